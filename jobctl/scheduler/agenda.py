"""What is due, and when next. Pure: no clock, no store, no process; times are arguments.

A job's place on its schedule is its *cursor*: every slot up to there was run, skipped or missed.
"""

import heapq
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobctl.clock import INSTANT
from jobctl.model import CatchUp, Job, Schedule
from jobctl.schedules.excluding import Excluding
from jobctl.store.records import Misfires

LATE = timedelta(seconds=60)
"""A slot that is later than this was missed, unless its job catches up; so a quick restart loses nothing."""


Span = tuple[datetime, datetime | None]
"""Begin and end of a run; None while it goes on."""


@dataclass(slots=True)
class AgendaEntry:
    """A job on the agenda.

    Attributes:
        due: its next slot.
        excluded: the first slot before it that is on an excluded date; of each such date only the first counts.
        wakes: when the first of both begins, ``due`` with jitter.
        never_ran: an interval job without any run: first due at its anchor.
        ahead: for a job whose slots wait for runs that block them: begin and end of the runs that its slots must wait for, as known when the job was
            put on the agenda.
    """

    job: Job
    schedule: Schedule
    anchor: datetime
    cursor: datetime | None
    due: datetime | None = None
    wakes: datetime | None = None
    never_ran: bool = False
    ahead: tuple[Span, ...] = ()
    excluded: datetime | None = None
    left_out: Iterator[datetime] = field(default_factory=lambda: iter(()))

    def plan(self, due: datetime, after: datetime) -> None:
        """Go on to a slot; those that are excluded between ``after`` and it come first."""
        self.due = due
        if isinstance(self.schedule, Excluding):
            self.left_out = self.schedule.left_out(after, due, self.anchor)
        self.pass_excluded()

    def pass_excluded(self) -> datetime | None:
        """The excluded slot that has come; the next one takes its place."""
        passed, self.excluded = self.excluded, next(self.left_out, None)
        return passed

    def begins(self, slot: datetime) -> datetime:
        """When a slot begins: at its time, or later by its jitter, but before the next slot.

        The jitter is random, seeded by the job's id and the slot, so that it is the same on every machine.
        """
        if not self.job.jitter:
            return slot
        room = min(self.job.jitter, self.schedule.next_after(slot, self.anchor) - slot)
        return slot + random.Random(f"{self.job.id} {slot.timestamp()}").random() * room

    def free_since(self, slot: datetime, now: datetime) -> datetime:
        """When a slot could begin: at its time, or at the end of the runs that it had to wait for."""
        ends = [end or now for begin, end in self.ahead if begin <= slot]
        return max([self.begins(slot), *ends])

    @property
    def behind(self) -> datetime:
        """Where the search for due slots begins. An interval that never ran is due at its anchor."""
        return self.anchor - INSTANT if self.cursor is None else self.cursor

    def missed_before(self, slot: datetime, cursor: datetime | None) -> int:
        """How many slots lie between ``cursor`` and ``slot``, both excluded.

        An interval that never ran has missed nothing.
        """
        if cursor is None and self.never_ran:
            return 0
        return self.schedule.count(self.last_dealt_with(slot, cursor), slot - INSTANT, self.anchor)

    def last_dealt_with(self, slot: datetime, cursor: datetime | None) -> datetime:
        """Start of the range before ``slot`` that is not accounted for yet.

        A cursor beyond ``slot`` is from before the clock was set back: the cursor known here counts.
        """
        if cursor is None:
            return self.anchor - INSTANT
        return cursor if cursor <= slot else self.behind


@dataclass(slots=True)
class DueSlot:
    """A job whose newest slot has come.

    Attributes:
        should_run: whether it runs; otherwise it was missed, and is only reported. ``Agenda.take_due`` decides.
        cursor: the job's in the run store, as far as this process knows.
        is_excluded: it is on an excluded date, and is only recorded.
        nothing_missed_before: no slot lies between ``cursor`` and this one.
        blocked_since: when a run was first found in its way. It replaces no run that began later: such runs, which
            other processes start in between, could all be cancelled for one slot.
    """

    entry: AgendaEntry
    slot: datetime
    should_run: bool
    cursor: datetime | None = None
    nothing_missed_before: bool = True
    blocked_since: datetime | None = None
    is_excluded: bool = False

    def count_from(self, cursor: datetime | None) -> None:
        """Count misfires from the cursor that the run store has."""
        self.cursor, self.nothing_missed_before = cursor, False

    def misfires(self) -> Misfires:
        """The slots that were missed before this one."""
        count = 0 if self.nothing_missed_before else self.entry.missed_before(self.slot, self.cursor)
        return Misfires(self.cursor, count)


class Agenda:
    """The jobs on their schedules, soonest first.

    Many jobs begin at the same instants, so the heap has each instant once. A job that has gone on to another one stays
    in the queue of its former instant until that is reached.
    """

    def __init__(self) -> None:
        self._entries: dict[str, AgendaEntry] = {}
        self._instants: list[datetime] = []  # a heap
        self._queues: dict[datetime, deque[str]] = {}

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._entries

    def __iter__(self) -> Iterator[AgendaEntry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, job_id: str) -> AgendaEntry | None:
        """The job's entry; None where it has none."""
        return self._entries.get(job_id)

    def renew(self, job: Job, anchor: datetime) -> AgendaEntry | None:
        """Replace the definition of a job that keeps its place; None where its schedule differs, or it has no place yet."""
        entry = self._entries.get(job.id)
        if entry is None or entry.due is None or (entry.schedule, entry.anchor) != (job.schedule, anchor):
            return None
        entry.job = job
        self._enqueue(entry, entry.due)
        return entry

    def put(
        self, job: Job, anchor: datetime, cursor: datetime | None, ahead: tuple[Span, ...] = ()
    ) -> AgendaEntry:
        """Put a job at its cursor; replaces an earlier definition."""
        if job.schedule is None:
            raise ValueError("a job without a schedule has no place on the agenda")
        entry = AgendaEntry(job, job.schedule, anchor, cursor, ahead=ahead)
        self._entries[job.id] = entry
        self._plan(entry, job.schedule.next_after(entry.behind, anchor), entry.behind)
        entry.never_ran = cursor is None and entry.due == anchor
        return entry

    def remove(self, job_id: str) -> None:
        """Take a job off, if it is there."""
        self._entries.pop(job_id, None)

    def next_due(self) -> datetime | None:
        """When the soonest job begins, or None."""
        while self._instants:
            instant = self._instants[0]
            queue = self._queues[instant]
            while queue:
                entry = self._entries.get(queue[0])
                if entry is not None and entry.wakes == instant:
                    return instant
                queue.popleft()
            heapq.heappop(self._instants)
            del self._queues[instant]
        return None

    def take_due(self, now: datetime, most: int = 1_000_000) -> list[DueSlot]:
        """Jobs with a slot that began at or before ``now``, soonest first, each at its newest such slot.

        A slot on an excluded date is only there if it has come just now, and besides the others.

        Each goes on to its first slot that begins after ``now``.

        Args:
            most: how many jobs to return, so that a burst does not delay its first job.
        """
        found: list[DueSlot] = []
        while len(found) < most and (wakes := self.next_due()) is not None and wakes <= now:
            entry = self._entries[self._queues[wakes].popleft()]
            due = entry.due or wakes
            if (excluded := entry.pass_excluded()) is not None:
                if now - excluded <= LATE:
                    found.append(DueSlot(entry, excluded, should_run=False, is_excluded=True))
                self._enqueue(entry, due)
                continue
            following = entry.schedule.next_after(due, entry.anchor)
            slot = due
            if entry.begins(following) <= now:
                slot = entry.schedule.latest_until(now, due, entry.anchor) or due
                if entry.begins(slot) > now:
                    slot = entry.schedule.latest_until(slot - INSTANT, due, entry.anchor) or due
                following = entry.schedule.next_after(slot, entry.anchor)
            should_run = (
                entry.never_ran
                or CatchUp.of(entry.job.catch_up) is not CatchUp.NONE
                or now - slot <= LATE
                or now - entry.free_since(slot, now) <= LATE
            )
            found.append(DueSlot(entry, slot, should_run, entry.cursor, nothing_missed_before=slot == due))
            self._plan(entry, following, slot)
        return found

    def advance(self, entry: AgendaEntry, cursor: datetime | None) -> None:
        """Every slot up to ``cursor`` was run, skipped or missed, perhaps in another process."""
        if cursor is None:
            return
        entry.cursor = cursor
        entry.never_ran = False
        if entry.due is not None and entry.due <= cursor:
            self._plan(entry, entry.schedule.next_after(cursor, entry.anchor), cursor)

    def furthest(self) -> datetime | None:
        """The latest cursor of all, or None."""
        return max((entry.cursor for entry in self if entry.cursor is not None), default=None)

    def rebase(self, now: datetime) -> None:
        """The clock was set back: every job goes on from ``now``.

        Slots of fixed-time schedules that ran before are then refused by the run store.
        """
        for entry in self._entries.values():
            entry.cursor = now
            entry.never_ran = False
            self._plan(entry, entry.schedule.next_after(now, entry.anchor), now)

    def _plan(self, entry: AgendaEntry, due: datetime, after: datetime) -> None:
        entry.plan(due, after)
        self._enqueue(entry, due)

    def _enqueue(self, entry: AgendaEntry, due: datetime) -> None:
        wakes = entry.wakes = entry.begins(due) if entry.excluded is None else entry.excluded
        queue = self._queues.get(wakes)
        if queue is None:
            queue = self._queues[wakes] = deque()
            heapq.heappush(self._instants, wakes)
        queue.append(entry.job.id)
