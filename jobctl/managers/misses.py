"""Slots that nobody served: counted once, in the run store, and told once, by whoever counted them."""

from datetime import datetime, timedelta

from jobctl.errors import StoreError
from jobctl.events import Bus, SlotsMissed
from jobctl.managers.agenda import Due, Entry
from jobctl.runs.store import RunStore

_INSTANT = timedelta(milliseconds=1)


class Misses:
    """Tells of missed slots. What cannot be written now is counted with the job's next slot."""

    def __init__(self, store: RunStore, bus: Bus) -> None:
        self._store = store
        self._bus = bus

    def passed(self, due: Due, now: datetime) -> None:
        """The newest slot is too late as well: the job waits for its next."""
        entry = due.entry
        missed = entry.missed_before(due.slot, entry.cursor) + 1
        first = entry.schedule.next_after(entry.behind, entry.anchor)
        if self._count(entry, due.slot, missed):
            self._bus.publish(SlotsMissed(entry.job.id, missed, first, due.slot, runs_now=False, at=now))
        entry.cursor = due.slot

    def before(self, due: Due, cursor: datetime | None, now: datetime) -> None:
        """A slot was taken; those between the job's cursor and it were missed."""
        entry, slot = due.entry, due.slot
        if due.alone and cursor == entry.cursor:
            return  # nothing can lie between, and asking the schedule is dear
        missed = entry.missed_before(slot, cursor)
        if missed and self._count(entry, slot, missed):
            first = entry.schedule.next_after(cursor or entry.behind, entry.anchor)
            last = entry.schedule.latest_until(slot - _INSTANT, first, entry.anchor) or first
            self._bus.publish(SlotsMissed(entry.job.id, missed, first, last, runs_now=True, at=now))

    def _count(self, entry: Entry, until: datetime, missed: int) -> bool:
        try:
            return self._store.pass_slots(entry.job.id, until, missed)
        except StoreError:
            return False
