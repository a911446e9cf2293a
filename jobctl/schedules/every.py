"""A fixed interval, counted from an anchor: it does not drift, and a restart keeps its cadence."""

import math
from datetime import datetime, timedelta

from jobctl.clock import from_ms, to_ms
from jobctl.durations import MAXIMUM, write_duration
from jobctl.errors import ScheduleError
from jobctl.text import quote

MINIMUM = timedelta(seconds=1)


class Every:
    """Due at ``anchor + n * interval``. In whole milliseconds.

    Args:
        interval: a ``timedelta`` or seconds; 1 second to 100 years.

    Raises:
        ScheduleError: it is no number, too short or too long.
    """

    __slots__ = ("_step", "interval")

    def __init__(self, interval: timedelta | float) -> None:
        given: object = interval
        if not isinstance(interval, timedelta):
            if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
                raise ScheduleError(
                    f"{quote(str(given))} is not an interval", hint="give seconds or a timedelta"
                )
            if abs(interval) > MAXIMUM.total_seconds():
                raise ScheduleError("an interval is at most 100 years")
            interval = timedelta(seconds=interval)
        if interval < MINIMUM:
            raise ScheduleError(f"an interval is at least 1 s, not {interval.total_seconds():g} s")
        if interval > MAXIMUM:
            raise ScheduleError("an interval is at most 100 years")
        self.interval = interval
        self._step = round(interval.total_seconds() * 1000)

    @property
    def text(self) -> str:
        """``every 5m``."""
        return f"every {write_duration(self.interval)}"

    @property
    def timezone(self) -> str:
        """Always ``UTC``: an interval knows no wall clock."""
        return "UTC"

    @property
    def fixed_time(self) -> bool:
        """Never: after a clock is set back, an interval goes on at once."""
        return False

    def next_after(self, instant: datetime, anchor: datetime) -> datetime:
        """The first due time strictly after ``instant``; before the anchor too, should a clock be set back."""
        start = to_ms(anchor)
        return from_ms(start + ((_floor_ms(instant) - start) // self._step + 1) * self._step)

    def latest_until(self, instant: datetime, after: datetime, anchor: datetime) -> datetime | None:
        """The newest due time in ``(after, instant]``."""
        start = to_ms(anchor)
        found = from_ms(start + (_floor_ms(instant) - start) // self._step * self._step)
        return found if found > after else None

    def count(self, after: datetime, until: datetime, anchor: datetime, limit: int = 1_000_000) -> int:
        """How many due times lie in ``(after, until]``, by arithmetic, up to ``limit``."""
        start = to_ms(anchor)
        number = (_floor_ms(until) - start) // self._step - (_floor_ms(after) - start) // self._step
        return min(max(0, number), limit)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Every) and other.interval == self.interval

    def __hash__(self) -> int:
        return hash(self.interval)

    def __repr__(self) -> str:
        return f"Every({self.interval!r})"


def _floor_ms(instant: datetime) -> int:
    return to_ms(instant.replace(microsecond=instant.microsecond // 1000 * 1000))
