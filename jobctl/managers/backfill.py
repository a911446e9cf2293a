"""Which past slots a backfill runs."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from jobctl.clock import INSTANT, iso
from jobctl.errors import UsageError
from jobctl.model import Job, Run, RunStatus, Schedule
from jobctl.store.base import RunStore

MOST = 10_000
"""Slots of one backfill."""


class PastSlot(NamedTuple):
    """A slot to run; ``before`` is the id of the run that has claimed it, if there was one."""

    slot: datetime
    before: str | None


def plan(job: Job, store: RunStore, begin: datetime, end: datetime, *, again: bool) -> list[PastSlot]:
    """The slots of a job from ``begin`` to ``end``, both included, oldest first.

    Those that wait already, that run, or that have completed are left out; with ``again`` those that have completed
    are not.

    Raises:
        UsageError: the job has no schedule, or more than 10,000 slots in that time.
    """
    if job.schedule is None:
        raise UsageError(
            f"{job.id} has no schedule, so it has no past slots",
            hint=f"run it now: jobctl trigger {job.id}",
        )
    record = store.job(job.id)
    anchor = record.anchor if record else begin
    number = job.schedule.count(begin - INSTANT, end, anchor)
    if number > MOST:
        raise UsageError(
            f"{job.id} has {number:,} slots from {iso(begin)} to {iso(end)}; a backfill has at most {MOST:,}",
            hint="choose a shorter time, and backfill the rest later",
        )
    first, best = _runs_by_slot(store.runs_of_slots(job.id, begin, end))
    waits = {run.slot for run in store.waiting(job.id)}
    done = {RunStatus.RUNNING} if again else {RunStatus.RUNNING, RunStatus.COMPLETED}
    return [
        PastSlot(slot, first.get(slot))
        for slot in _slots(job.schedule, begin, end, anchor)
        if slot not in waits and not best.get(slot, set()) & done
    ]


def _slots(schedule: Schedule, begin: datetime, end: datetime, anchor: datetime) -> Iterable[datetime]:
    slot = schedule.next_after(begin - INSTANT, anchor)
    while slot <= end:
        yield slot
        slot = schedule.next_after(slot, anchor)


def _runs_by_slot(runs: Iterable[Run]) -> tuple[Mapping[datetime, str], Mapping[datetime, set[RunStatus]]]:
    """The newest run that has claimed each slot, and the states of all runs for it, reruns included.

    Args:
        runs: oldest first, so that a run comes after the one that it repeats.
    """
    slots: dict[str, datetime] = {}
    first: dict[datetime, str] = {}
    states: dict[datetime, set[RunStatus]] = {}
    for run in runs:
        slot = run.scheduled_for or slots.get(run.rerun_of or "")
        if slot is not None:
            slots[run.id] = slot
            states.setdefault(slot, set()).add(run.status)
            if run.scheduled_for is not None:
                first[slot] = run.id
    return first, states
