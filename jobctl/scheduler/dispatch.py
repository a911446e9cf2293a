"""Slots that have come and wait for a worker: those of quick jobs apart, for many of them share one."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import islice

from jobctl.model import Job, OnOverlap
from jobctl.scheduler.agenda import Due, Span
from jobctl.store.records import JobRecord

_MOST = 128
_LEAST = 32  # to a claim while more are due: each is a transaction, and a burst is worked off by few
_QUICK = timedelta(milliseconds=20)


class Ready:
    """At most one slot a job. What is quick is learned from run to run.

    A job that has not run here yet is taken for what the last such one turned out to be: many that are
    new and quick are then not handed over one by one, and a slow one holds up none, since the pool
    takes back what is stuck behind it.
    """

    def __init__(self) -> None:
        self._dues: dict[bool, OrderedDict[str, Due]] = {True: OrderedDict(), False: OrderedDict()}
        self._known: dict[str, bool] = {}
        self._newcomers_quick = False

    @property
    def any_quick(self) -> bool:
        """Whether quick ones wait."""
        return bool(self._dues[True])

    def put(self, due: Due, *, first: bool = False) -> None:
        """The job's slot to run next, before all others or behind them. One that waited before it was missed."""
        job_id = due.entry.job.id
        if any(job_id in dues for dues in self._dues.values()):
            due = replace(due, alone=False)
            self.forget(job_id)
        dues = self._dues[self.is_quick(due.entry.job)]
        dues[job_id] = due
        if first:
            dues.move_to_end(job_id, last=False)

    def forget(self, job_id: str | None = None) -> None:
        """Of a job nothing waits any more; nor of any where none is named."""
        for dues in self._dues.values():
            if job_id is None:
                dues.clear()
            else:
                dues.pop(job_id, None)

    def pick(self, capacity: Callable[[bool], int]) -> list[Due]:
        """What there is room for now, the quick ones first. They stay until they are forgotten."""
        for quick, dues in self._dues.items():
            room = capacity(quick) if dues else 0
            if room >= min(len(dues), _LEAST if quick else 1) > 0:
                return list(islice(dues.values(), min(room, _MOST)))
        return []

    def is_quick(self, job: Job) -> bool:
        """Whether its run may wait behind others in one worker, that is not for it alone."""
        return self._known.get(job.id, self._newcomers_quick) and not job.environment

    def learn(self, job_id: str, took: timedelta, *, failed: bool) -> None:
        """How its last run went."""
        quick = not failed and took < _QUICK
        if job_id not in self._known:
            if quick and not self._newcomers_quick:
                others = self._dues[False]
                newcomers = [
                    one
                    for one, due in others.items()
                    if one not in self._known and not due.entry.job.environment
                ]
                self._dues[True].update({one: others.pop(one) for one in newcomers})
            self._newcomers_quick = quick
        self._known[job_id] = quick


_ASK_AGAIN_S = 1.0


class Queue:
    """In line: who has waited longest is asked for first.

    They are asked for again whenever a run ends here, each second for runs that end elsewhere, and before a
    newcomer of their group.
    """

    def __init__(self) -> None:
        self._dues: dict[str, Due] = {}
        self._asked = 0.0
        self._nudged = False

    def __bool__(self) -> bool:
        return bool(self._dues)

    def hold(self, due: Due, now: float) -> None:
        """Put a slot that could not run at ``now``, in seconds of the steady clock, at the end."""
        self._dues[due.entry.job.id] = due
        self._asked = now

    def takes(self, due: Due) -> bool:
        """Whether a slot of the same job waits: the newer one has its place in line now, and it was missed."""
        job = due.entry.job
        if job.id in self._dues:
            self._dues[job.id] = replace(due, alone=False)
            return True
        if job.group is not None and any(job.group == one.entry.job.group for one in self._dues.values()):
            self.nudge()
        return False

    def forget(self, job_id: str | None = None) -> None:
        """Of a job that is off its schedule nothing waits; nor of any where none is named."""
        if job_id is None:
            self._dues.clear()
        else:
            self._dues.pop(job_id, None)

    def nudge(self) -> None:
        """Have them asked for: a run has ended here."""
        self._nudged = True

    def again(self, now: float) -> list[Due]:
        """Those to ask for now, in line."""
        if not self._dues or not (self._nudged or now - self._asked >= _ASK_AGAIN_S):
            return []
        self._nudged = False
        found = list(self._dues.values())
        self._dues.clear()
        return found


def ahead_of(jobs: Iterable[Job], records: Mapping[str, JobRecord]) -> dict[str, tuple[Span, ...]]:
    """For each job that queues, the newest run of those that must not run beside it.

    A run has its place in line by its slot, or by its start where it has none.
    """
    chosen = list(jobs)
    lines: dict[tuple[str | None, str], list[Span]] = {}
    for job in chosen:
        run = records[job.id].last
        if run is not None:
            lines.setdefault(_line_of(job), []).append((run.scheduled_for or run.started_at, run.finished_at))
    return {job.id: tuple(lines.get(_line_of(job), ())) for job in chosen if job.overlap is OnOverlap.QUEUE}


def _line_of(job: Job) -> tuple[str | None, str]:
    return (job.group, "" if job.group is not None else job.id)
