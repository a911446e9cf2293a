"""Notices when the wall clock moves against the steady one, or was set back before; keeps the clock generation."""

from datetime import datetime, timedelta

from jobctl.clock import Clock
from jobctl.events import Bus, ClockJumped, ClocksDiffer
from jobctl.scheduler.agenda import LATE
from jobctl.scheduler.lease import Lease
from jobctl.store.base import RunStore

JUMP = timedelta(seconds=2)
_WARN_S = 60.0


class ClockWatch:
    """Compares how far both clocks have advanced since the last reading, and publishes moves.

    A small move back, as an NTP daemon makes it, changes nothing: jobs wait for their next slot that was not run
    yet, a minute at most, so that none is run twice and none is lost. After a larger one, or several that add up,
    they go on at once in a new clock generation.

    Attributes:
        clock_generation: which claims are made in; each larger move back begins one in the run store.
    """

    def __init__(self, clock: Clock, store: RunStore, lease: Lease, bus: Bus) -> None:
        self.clock_generation = 0
        self._clock = clock
        self._store = store
        self._lease = lease
        self._bus = bus
        self._warn_after = 0.0
        self._wall = self._read_wall = clock.now()
        self._steady = self._read_steady = clock.monotonic()

    def begin(self) -> None:
        """Read the clock generation from the store."""
        self.clock_generation = self._store.clock_generation()

    def read(self) -> tuple[datetime, timedelta]:
        """The wall clock, and by how much it moved where that is more than 2 s; ``accept`` comes next."""
        now = self._read_wall = self._clock.now()
        steady = self._read_steady = self._clock.monotonic()
        moved = now - self._wall - timedelta(seconds=steady - self._steady)
        return now, moved if abs(moved) > JUMP else timedelta(0)

    def is_set_back(self, moved: timedelta, furthest: datetime | None) -> bool:
        """Whether it moved back so far that jobs should not wait until it is where they were, at most ``furthest``."""
        if moved >= timedelta(0):
            return False
        return -moved > LATE or (furthest is not None and self.is_ahead(furthest, self._read_wall))

    def accept(self, moved: timedelta, *, waits: bool = False) -> None:
        """Publish a move, and compare with this reading from now on; otherwise the next one shows the same move."""
        self._wall, self._steady = self._read_wall, self._read_steady
        if moved:
            self._bus.publish(ClockJumped(self._read_wall, moved, waits))

    def begin_generation(self) -> None:
        """The clock was set back: begin a clock generation."""
        self._store.bring_slots_forward(self._clock.now())
        self.clock_generation = self._store.next_clock_generation(self.clock_generation, self._lease.owner.id)

    def look_back(self) -> bool:
        """Begin a clock generation if slots of this one lie far ahead: the clock was set back while no scheduler ran
        here, or a scheduler that has ended had a clock ahead. Returns whether it did."""
        now, newest = self._clock.now(), self._store.newest_cursor()
        if newest is None or not self.is_ahead(newest, now):
            return False
        self.begin_generation()
        self._bus.publish(ClockJumped(now, now - newest))
        return True

    def warn_ahead(self, cursor: datetime, now: datetime) -> None:
        """Publish, once a minute at most, that another scheduler has served slots that lie far ahead of this clock."""
        if self.is_ahead(cursor, now) and self._clock.monotonic() >= self._warn_after:
            self._warn_after = self._clock.monotonic() + _WARN_S
            self._bus.publish(ClocksDiffer(now, cursor - now))

    def is_ahead(self, instant: datetime, now: datetime) -> bool:
        """Whether a scheduler's time lies further ahead than clocks differ, or jobs wait."""
        return instant > now + LATE
