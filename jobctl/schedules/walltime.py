"""Wall-clock times and instants where clocks change: gaps, repeated periods, and when they happen."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)


def wall(instant: datetime, zone: "ZoneInfo") -> datetime:
    """What a clock on the wall shows at an instant: naive, ``fold`` kept."""
    return instant.astimezone(zone).replace(tzinfo=None)


def readings(time: datetime, zone: "ZoneInfo") -> list[datetime]:
    """The instants, in UTC and in order, at which the wall shows ``time``: none in a gap, two if repeated."""
    first = time.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = time.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return [first]
    return sorted(one for one in (first, second) if wall(one, zone).replace(fold=0) == time.replace(fold=0))


def offsets(time: datetime, zone: "ZoneInfo") -> tuple[timedelta, timedelta]:
    """The offsets before and after the change that a wall time is in; equal where it is in none."""
    before = time.replace(tzinfo=zone, fold=0).utcoffset()
    after = time.replace(tzinfo=zone, fold=1).utcoffset()
    if before is None or after is None:
        raise AssertionError("a zone always has an offset")
    return before, after


def change_at(time: datetime, zone: "ZoneInfo") -> datetime:
    """The instant of the clock change that a wall time, in a gap or a repeated period, belongs to."""
    before, after = offsets(time, zone)
    naive = time.replace(fold=0, microsecond=0, tzinfo=UTC)
    low = naive - max(before, after) - SECOND
    high = naive - min(before, after) + SECOND
    while high - low > SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
