"""Slots that wait for the end of a run that is in their way: one a job, the newest."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from jobctl.managers.agenda import Due, Span
from jobctl.model import Job, OnOverlap
from jobctl.store.records import JobRecord

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
