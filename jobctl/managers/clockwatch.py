"""Sees the wall clock move against the steady one: a jump, or a sleep of the machine."""

from datetime import datetime, timedelta

from jobctl.clock import Clock
from jobctl.runs.store import LEASE, RunStore

JUMP = timedelta(seconds=2)


def leeway(store: RunStore) -> timedelta:
    """How far ahead of the clock here another process may have seen it: machines' clocks differ."""
    return LEASE if store.leased else JUMP


class ClockWatch:
    """Compares the advance of both clocks from look to look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall = self._seen_wall = clock.now()
        self._steady = self._seen_steady = clock.monotonic()

    def look(self) -> tuple[datetime, timedelta | None]:
        """The wall clock now, and by how much it moved where that is more than 2 s. ``accept`` ends the look."""
        now = self._seen_wall = self._clock.now()
        steady = self._seen_steady = self._clock.monotonic()
        moved = now - self._wall - timedelta(seconds=steady - self._steady)
        return now, moved if abs(moved) > JUMP else None

    def accept(self) -> None:
        """Go on from the last look; without it the same move is seen again."""
        self._wall, self._steady = self._seen_wall, self._seen_steady
