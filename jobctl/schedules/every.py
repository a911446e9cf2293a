"""Fixed intervals, counted from an anchor: they do not drift, and a restart does not shift them."""

from datetime import datetime, timedelta
from typing import Self

from jobctl.clock import from_ms, to_ms
from jobctl.durations import MAXIMUM, write_duration
from jobctl.errors import ScheduleError

MINIMUM = timedelta(seconds=1)


class Every:
    """Due at ``anchor + n * interval``.

    Args:
        interval: a ``timedelta`` or seconds; 1 second to 100 years, rounded to milliseconds.

    Raises:
        ScheduleError: it is not a number, too short or too long.
    """

    __slots__ = ("_step", "interval")

    def __init__(self, interval: timedelta | float) -> None:
        seconds: object = interval.total_seconds() if isinstance(interval, timedelta) else interval
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise ScheduleError(f"an interval is a timedelta or seconds, not {type(interval).__name__}")
        if not seconds <= MAXIMUM.total_seconds():
            raise ScheduleError("an interval is a number of seconds, and at most 100 years")
        if seconds < MINIMUM.total_seconds():
            given = f", not {seconds:g} s" if abs(seconds) < 1e9 else ""
            raise ScheduleError(f"an interval is at least 1 s{given}")
        self._step = round(seconds * 1000)
        self.interval = timedelta(milliseconds=self._step)

    @property
    def text(self) -> str:
        """``every 5m``."""
        return f"every {write_duration(self.interval)}"

    @property
    def timezone(self) -> str:
        """Always ``UTC``: an interval does not depend on a wall clock."""
        return "UTC"

    @property
    def members(self) -> tuple[Self, ...]:
        """Itself: it is a single schedule."""
        return (self,)

    def is_fixed(self, slot: datetime) -> bool:  # noqa: ARG002
        """Always False: after a clock is set back, an interval continues at once."""
        return False

    def note(self, instant: datetime) -> str | None:  # noqa: ARG002
        """Always None: a clock change has no effect."""
        return None

    def next_after(self, instant: datetime, anchor: datetime) -> datetime:
        """The first due time strictly after ``instant``, which may be before the anchor if a clock was set back.

        Raises:
            ScheduleError: there is none before the year 10,000.
        """
        start = to_ms(anchor)
        try:
            return from_ms(start + ((_floor_ms(instant) - start) // self._step + 1) * self._step)
        except OverflowError:
            raise ScheduleError(f"{self.text} has no due time after {instant:%Y-%m-%d}") from None

    def latest_until(self, instant: datetime, after: datetime, anchor: datetime) -> datetime | None:
        """The latest due time in ``(after, instant]``; None if there is none."""
        start = to_ms(anchor)
        found = from_ms(start + (_floor_ms(instant) - start) // self._step * self._step)
        return found if found > after else None

    def count(self, after: datetime, until: datetime, anchor: datetime) -> int:
        """The number of due times in ``(after, until]``."""
        start = to_ms(anchor)
        number = (_floor_ms(until) - start) // self._step - (_floor_ms(after) - start) // self._step
        return max(0, number)

    def __eq__(self, other: object) -> bool:
        return other.interval == self.interval if isinstance(other, Every) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.interval)

    def __repr__(self) -> str:
        return f"Every({self.interval!r})"


def _floor_ms(instant: datetime) -> int:
    return to_ms(instant.replace(microsecond=instant.microsecond // 1000 * 1000))
