"""Misfires, slots that no scheduler served in time: counted once in the run store, and reported by the process that counted them.

A due slot that could have begun more than ``agenda.LATE`` ago is a misfire, unless its job catches up
(``Agenda.take_due`` decides); so is each slot between the job's cursor and the slot that runs now.
"""

from datetime import datetime

from jobctl.clock import INSTANT
from jobctl.errors import StoreError, UnknownToStoreError
from jobctl.events import Bus, SlotsMissed
from jobctl.scheduler.agenda import AgendaEntry, DueSlot
from jobctl.scheduler.lease import Lease
from jobctl.schedules import Excluding
from jobctl.store.base import RunStore
from jobctl.store.records import CursorMoved, Misfires


class MisfireReporter:
    """Reports misfires. What cannot be written now is counted with the job's next slot."""

    def __init__(self, store: RunStore, lease: Lease, bus: Bus) -> None:
        self._store = store
        self._lease = lease
        self._bus = bus

    def give_up(self, due: DueSlot, now: datetime) -> None:
        """No slot is recent enough to run: count all as missed. The job waits for its next slot."""
        job_id = due.entry.job.id
        try:
            misfires = due.misfires()
            while isinstance(
                refused := self._store.pass_slots(job_id, due.slot, misfires, self._lease.owner.id),
                CursorMoved,
            ):
                due.count_from(refused.cursor)
                misfires = due.misfires()
            if refused is None:
                self._report(due, misfires.cursor, misfires.count + 1, now)
        except UnknownToStoreError:
            self._lease.lose()
            return
        except StoreError:
            pass
        due.entry.cursor = due.slot

    def pass_excluded(self, entry: AgendaEntry, cursor: datetime | None, now: datetime) -> datetime | None:
        """A job's calendar is edited: the slots that it excluded so far are dealt with. Returns the new cursor.

        Args:
            entry: the job's, with the calendar as it was.
            cursor: the job's in the run store.
        """
        after = entry.behind if cursor is None else cursor
        if not isinstance(entry.schedule, Excluding) or entry.schedule.count(after, now, entry.anchor):
            return cursor
        last = entry.schedule.schedule.latest_until(now, after, entry.anchor)
        if last is None:
            return cursor
        refused = self._store.pass_slots(entry.job.id, last, None, self._lease.owner.id)
        return last if refused is None else cursor

    def report(self, due: DueSlot, misfires: Misfires | None, now: datetime) -> None:
        """A slot ran or was skipped; some before it may have been missed."""
        if misfires is not None and misfires.count:
            self._report(due, misfires.cursor, misfires.count, now)

    def _report(self, due: DueSlot, cursor: datetime | None, count: int, now: datetime) -> None:
        entry = due.entry
        first = entry.schedule.next_after(entry.last_dealt_with(due.slot, cursor), entry.anchor)
        last = due.slot
        if due.should_run:
            last = entry.schedule.latest_until(due.slot - INSTANT, first, entry.anchor) or first
        self._bus.publish(SlotsMissed(entry.job.id, count, first, last, runs_now=due.should_run, at=now))
