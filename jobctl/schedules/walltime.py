"""Wall-clock times and instants where clocks change: gaps, repeated periods, and when they happen.

Instants are aware, in UTC; wall-clock times are naive.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
LONGEST_GAP = timedelta(hours=3)
"""What a change of up to so much leaves out is made up for, where a schedule has fixed times."""


def wall(instant: datetime, zone: "ZoneInfo") -> datetime:
    """What a clock on the wall shows at an instant; ``fold`` is 1 in the second pass of a repeated period."""
    return instant.astimezone(zone).replace(tzinfo=None)


def readings(time: datetime, zone: "ZoneInfo") -> list[datetime]:
    """The instants, in order, at which the wall shows ``time``: none in a gap, two if repeated."""
    first = time.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = time.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return [first]
    return [first, second] if first < second else []


def change_at(time: datetime, zone: "ZoneInfo") -> tuple[datetime, timedelta]:
    """The clock change that a time in a gap or a repeated period belongs to, and by how much it goes forward."""
    before = _offset(time.replace(tzinfo=zone, fold=0))
    after = _offset(time.replace(tzinfo=zone, fold=1))
    naive = time.replace(fold=0, microsecond=0, tzinfo=UTC)
    low, high = naive - max(before, after) - SECOND, naive - min(before, after) + SECOND
    return _first_change(low, high, zone), after - before


def changes(after: datetime, until: datetime, zone: "ZoneInfo") -> Iterator[tuple[datetime, timedelta]]:
    """Each clock change in ``(after, until]``, whole seconds both, and by how much it goes forward."""
    while after < until:
        ahead = min(after + DAY, until)
        offset = _offset(after.astimezone(zone))
        if _offset(ahead.astimezone(zone)) != offset:
            ahead = _first_change(after, ahead, zone)
            yield ahead, _offset(ahead.astimezone(zone)) - offset
        after = ahead


def _first_change(low: datetime, high: datetime, zone: "ZoneInfo") -> datetime:
    """The first second in ``(low, high]`` whose offset is not that of ``low``."""
    before = _offset(low.astimezone(zone))
    while high - low > SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if _offset(middle.astimezone(zone)) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(time: datetime) -> timedelta:
    return time.utcoffset() or timedelta(0)
