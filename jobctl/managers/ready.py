"""Slots that have come and wait for a worker: those of quick jobs apart, for many of them share one."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import islice

from jobctl.managers.agenda import Due
from jobctl.model import Job

_MOST = 128
_QUICK = timedelta(milliseconds=20)


class Ready:
    """At most one slot a job. What is quick is learned from run to run."""

    def __init__(self) -> None:
        self._dues: dict[bool, OrderedDict[str, Due]] = {True: OrderedDict(), False: OrderedDict()}
        self._quick: set[str] = set()

    def put(self, due: Due, *, first: bool = False) -> None:
        """The job's slot to run next; an older one that still waits was missed. ``first``: before all others."""
        job_id = due.entry.job.id
        dues = self._dues[self.is_quick(due.entry.job)]
        dues[job_id] = replace(due, alone=False) if job_id in dues else due
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
            if dues and (room := capacity(quick)) > 0:
                return list(islice(dues.values(), min(room, _MOST)))
        return []

    def is_quick(self, job: Job) -> bool:
        """Whether its run may wait behind others in one worker, that is not for it alone."""
        return job.id in self._quick and not job.environment

    def learn(self, job_id: str, took: timedelta, *, failed: bool) -> None:
        """How its last run went."""
        if not failed and took < _QUICK:
            self._quick.add(job_id)
        else:
            self._quick.discard(job_id)
