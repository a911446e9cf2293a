"""What differs between two plans of the same time: which slots appear, vanish or move."""

from collections.abc import Collection, Iterator
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from jobctl.planning.plan import RunPlan
from jobctl.planning.plan_warnings import PlanWarning, warnings
from jobctl.value_class import value


class SlotChange(StrEnum):
    """What becomes of a slot."""

    NEW = "new"
    GONE = "gone"
    MOVED = "moved"


class ChangedSlot(NamedTuple):
    """A slot of a job. ``at``: before the change, of a new slot after it. ``moved_to``: of a moved slot alone."""

    job_id: str
    at: datetime
    change: SlotChange
    moved_to: datetime | None = None


@value
class PlanDiff:
    """What a plan changes.

    Attributes:
        slots: in order of jobs and time.
        new_warnings: those that only the later plan has.
        gone_warnings: those that only the earlier plan has.
    """

    slots: tuple[ChangedSlot, ...]
    new_warnings: tuple[PlanWarning, ...]
    gone_warnings: tuple[PlanWarning, ...]


def diff(before: RunPlan, after: RunPlan, ignored: Collection[str] = ()) -> PlanDiff:
    """Compare two plans of the same time.

    Args:
        ignored: codes of warnings that the project file ignores.
    """
    old_warnings, new_warnings = warnings(before, ignored), warnings(after, ignored)
    return PlanDiff(
        tuple(_changed_slots(before, after)),
        tuple(warning for warning in new_warnings if warning not in old_warnings),
        tuple(warning for warning in old_warnings if warning not in new_warnings),
    )


def _changed_slots(before: RunPlan, after: RunPlan) -> Iterator[ChangedSlot]:
    """Where a job has as many slots after the change as before, each of the changed ones has moved."""
    old = {job.id: before.slots(job) for job in before.jobs}
    new = {job.id: after.slots(job) for job in after.jobs}
    for job_id in dict.fromkeys([*old, *new]):
        was, becomes = old.get(job_id, []), new.get(job_id, [])
        gone, added = sorted({*was} - {*becomes}), sorted({*becomes} - {*was})
        if len(gone) == len(added):
            for slot, moved_to in zip(gone, added, strict=True):
                yield ChangedSlot(job_id, slot, SlotChange.MOVED, moved_to)
        else:
            changed = [ChangedSlot(job_id, slot, SlotChange.GONE) for slot in gone]
            yield from sorted(changed + [ChangedSlot(job_id, slot, SlotChange.NEW) for slot in added])
