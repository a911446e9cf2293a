"""The clocks: the wall clock, which only this module reads, for decisions; the steady one for durations."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_BOOTTIME: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = timedelta(milliseconds=1)
"""The smallest difference of two times: the run store keeps milliseconds."""


class Clock(Protocol):
    """The clocks as an argument, so that tests can move them."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""

    def seconds_until(self, instant: datetime) -> float:
        """Seconds on the wall clock until ``instant``, more exactly than ``now`` shows it."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def boottime(self) -> float:
        """The same for leases: time in suspend counts, where the system measures it."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The wall clock in whole milliseconds, as the run store keeps times."""
        return from_ms(time.time_ns() // 1_000_000)

    def seconds_until(self, instant: datetime) -> float:
        """Seconds on the wall clock until ``instant``, in microseconds."""
        return (instant - self.now()).total_seconds() - time.time_ns() % 1_000_000 / 1e9

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def boottime(self) -> float:
        """Seconds on a clock that never goes back; time in suspend counts, where the system measures it."""
        return boottime()


def boottime() -> float:
    """Seconds since a start that all processes of a machine share; on Linux time in suspend counts."""
    return time.clock_gettime(_BOOTTIME)


def to_ms(instant: datetime) -> int:
    """Whole milliseconds since 1970, as the run store keeps times."""
    return round(instant.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    """The instant of so many milliseconds since 1970, aware, in UTC."""
    return _EPOCH + ms * INSTANT  # half the time of timedelta(milliseconds=ms)


def whole(instant: datetime) -> datetime:
    """Rounded to whole milliseconds, as the run store keeps times."""
    return from_ms(to_ms(instant)) if instant.microsecond % 1000 else instant


def iso(instant: datetime) -> str:
    """ISO 8601 with offset and milliseconds where there are any, for JSON and piped rows."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds" if instant.microsecond else "seconds")


def local(instant: datetime) -> str:
    """``Tue 2026-11-24 09:00:00 CET`` in this machine's zone, for sentences."""
    return f"{instant.astimezone():%a %Y-%m-%d %H:%M:%S %Z}"
