"""Slots that have come and wait for a worker: those of quick jobs apart, for many of them share one."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import islice

from jobctl.managers.agenda import Due
from jobctl.model import Job

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
