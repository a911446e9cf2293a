"""Slots that nobody served: counted once, in the run store, and told once, by whoever counted them."""

from datetime import datetime

from jobctl.errors import StoreError, UnknownToStoreError
from jobctl.events import Bus, SlotsMissed
from jobctl.scheduler.agenda import INSTANT, Due
from jobctl.scheduler.lease import Lease
from jobctl.store.base import RunStore
from jobctl.store.records import Claimed, Overlap


class Misses:
    """Tells of missed slots. What cannot be written now is counted with the job's next slot."""

    def __init__(self, store: RunStore, lease: Lease, bus: Bus) -> None:
        self._store = store
        self._lease = lease
        self._bus = bus

    def passed(self, due: Due, now: datetime) -> None:
        """The newest slot is too late as well: the job waits for its next."""
        entry = due.entry
        try:
            passed = self._store.pass_slots(entry.job.id, due.slot, due.missed, self._lease.owner.id)
        except UnknownToStoreError:
            self._lease.lose()
            return
        except StoreError:
            passed = None
        if passed is not None:
            self._tell(due, passed.missed, passed.cursor, now)
        entry.cursor = due.slot

    def before(self, due: Due, answer: Claimed | Overlap, now: datetime) -> None:
        """A slot was dealt with; some before it may have been missed."""
        if answer.missed:
            self._tell(due, answer.missed, answer.cursor, now)

    def _tell(self, due: Due, missed: int, cursor: datetime | None, now: datetime) -> None:
        entry = due.entry
        first = entry.schedule.next_after(entry.last_dealt_with(due.slot, cursor), entry.anchor)
        last = due.slot
        if due.serve:
            last = entry.schedule.latest_until(due.slot - INSTANT, first, entry.anchor) or first
        self._bus.publish(SlotsMissed(entry.job.id, missed, first, last, runs_now=due.serve, at=now))
