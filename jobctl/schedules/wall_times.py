"""Due times of cron: wall-clock times, clock changes, the next match, and counts by arithmetic.

Instants are aware, in UTC; wall-clock times are naive.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from jobctl.schedules.cron_grammar import (
    LAST,
    CronFields,
    FieldValues,
    either_day_is_enough,
    has_day_of_month,
    is_due_on,
    names_every_day,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
LONGEST_GAP = timedelta(hours=3)
"""Fixed times in a gap of up to this length are due right after it."""


def wall(instant: datetime, zone: "ZoneInfo") -> datetime:
    """The wall-clock time of an instant; ``fold`` is 1 in the second pass of a repeated period."""
    return instant.astimezone(zone).replace(tzinfo=None)


def readings(time: datetime, zone: "ZoneInfo") -> list[datetime]:
    """The instants, in order, at which a wall clock shows ``time``: none in a gap, two if it is repeated."""
    first = time.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = time.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return [first]
    return [first, second] if first < second else []


def change_at(time: datetime, zone: "ZoneInfo") -> tuple[datetime, timedelta]:
    """The clock change of a time in a gap or a repeated period, and by how much it moves the clock forward."""
    before = _offset(time.replace(tzinfo=zone, fold=0))
    after = _offset(time.replace(tzinfo=zone, fold=1))
    naive = time.replace(fold=0, microsecond=0, tzinfo=UTC)
    low, high = naive - max(before, after) - SECOND, naive - min(before, after) + SECOND
    return _first_change(low, high, zone), after - before


def changes(after: datetime, until: datetime, zone: "ZoneInfo") -> Iterator[tuple[datetime, timedelta]]:
    """Each clock change in ``(after, until]``, both whole seconds, and by how much it moves the clock forward."""
    while after < until:
        ahead = min(after + DAY, until)
        offset = _offset(after.astimezone(zone))
        if _offset(ahead.astimezone(zone)) != offset:
            ahead = _first_change(after, ahead, zone)
            yield ahead, _offset(ahead.astimezone(zone)) - offset
        after = ahead


def _first_change(low: datetime, high: datetime, zone: "ZoneInfo") -> datetime:
    """The first second in ``(low, high]`` with another offset than ``low``."""
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


_MAX_YEARS_AHEAD = 50
_LOCK = (
    threading.Lock()
)  # a croniter keeps its position in itself; held while forking, so no child inherits it locked
os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


class WallTimes:
    """The wall-clock times that match an expression, found by croniter. Threads may share it."""

    __slots__ = ("_croniter",)

    def __init__(self, expression: str, *, either_day: bool) -> None:
        from croniter import croniter

        self._croniter = croniter(
            expression,
            datetime(1970, 1, 1),  # noqa: DTZ001 - a wall-clock time has no zone
            ret_type=datetime,
            day_or=either_day,
            max_years_between_matches=_MAX_YEARS_AHEAD,
        )

    def after(self, time: datetime) -> datetime:
        """The first matching time strictly after ``time``, both naive.

        Raises:
            OverflowError: there is none before the year 10,000.
        """
        with _LOCK:
            try:
                self._croniter.set_current(time, force=True)
                found: datetime = self._croniter.get_next(datetime)
            except ValueError as error:
                raise OverflowError("no such time") from error
            return found


def wall_times(fields: CronFields) -> WallTimes:
    """The wall-clock times of parsed fields. Expressions with the same meaning share them."""
    return _wall_times(_expression_for_croniter(fields), either_day_is_enough(fields))


@lru_cache(maxsize=512)
def _wall_times(expression: str, either_day: bool) -> WallTimes:  # noqa: FBT001
    return WallTimes(expression, either_day=either_day)


def _expression_for_croniter(fields: CronFields) -> str:
    """Minute to weekday; then seconds, if they are not 0."""
    second, minute, hour, day, month, weekday = map(_field_for_croniter, fields)
    if not has_day_of_month(fields):
        day = "*"  # croniter 6 fails for "Monday or 30 February"
    elif either_day_is_enough(fields) and "*" in {day, weekday}:
        day = weekday = "*"
    five = f"{minute} {hour} {day} {month} {weekday}"
    return five if second == "0" else f"{five} {second}"


def _field_for_croniter(values: FieldValues) -> str:
    if values.full:
        return "*"
    items = [str(number) for number in values.numbers]
    items += [f"L{day}" if nth == LAST else f"{day}#{nth}" for day, nth in values.nth]
    return ",".join([*items, "L"] if values.last_day else items)


def is_fixed_time(fields: CronFields) -> bool:
    """Whether each wall-clock time is due only once: neither minute nor hour begins with a star."""
    return not (fields.minute.star or fields.hour.star)


def count_due(
    expressions: Sequence[CronFields], zone: "ZoneInfo | None", after: datetime, until: datetime
) -> int:
    """The number of instants in ``(after, until]``, whole seconds, at which an expression or several are due.

    By arithmetic, and by the rules for clock changes.

    Args:
        zone: of the wall clock; None: UTC.
    """
    after, until = (instant.replace(microsecond=0) for instant in (after, until))
    if zone is None:
        return _count_wall(expressions, after.replace(tzinfo=None), until.replace(tzinfo=None))

    def count(fields: Sequence[CronFields], start: datetime, end: datetime) -> int:
        """In ``(start, end]``, between clock changes, within the whole range."""
        start, end = max(start, after), min(end, until)
        if start >= end:
            return 0
        # from the first second on, since a clock change may come right before it
        return _count_wall(fields, wall(start + SECOND, zone) - SECOND, wall(end, zone))

    fixed = [fields for fields in expressions if is_fixed_time(fields)]
    number, start = 0, after - DAY
    for change, forward in changes(after - DAY, until, zone):
        before = change - SECOND
        number += count(expressions, start, before)
        start = before
        if forward < timedelta(0):  # the second pass: what is due at fixed times was due in the first
            start -= forward
            number += count([fields for fields in expressions if not is_fixed_time(fields)], before, start)
        elif forward <= LONGEST_GAP and change > after:
            here = wall(change, zone)
            is_made_up = _count_wall(fixed, here - forward - SECOND, here - SECOND) > 0
            number += is_made_up and not _count_wall(expressions, here - SECOND, here)
    return number + count(expressions, start, until)


def _count_wall(expressions: Sequence[CronFields], after: datetime, until: datetime) -> int:
    """The number of wall-clock times in ``(after, until]`` that match an expression or several, all naive."""
    if until <= after or not expressions:
        return 0
    number = 0
    every_day = tuple(fields for fields in expressions if names_every_day(fields))
    days = range(after.toordinal(), until.toordinal())
    if len(every_day) == len(expressions):
        number = len(days) * _times_of_day(every_day).bit_count()
    else:
        number = sum(_times_on(expressions, date.fromordinal(day)).bit_count() for day in days)
    return number - _count_of_day(expressions, after) + _count_of_day(expressions, until)


def _count_of_day(expressions: Sequence[CronFields], time: datetime) -> int:
    """The number of matching times of a day up to ``time``, included."""
    second = 3600 * time.hour + 60 * time.minute + time.second
    return (_times_on(expressions, time.date()) & ((2 << second) - 1)).bit_count()


def _times_on(expressions: Sequence[CronFields], day: date) -> int:
    return _times_of_day(tuple(fields for fields in expressions if is_due_on(fields, day)))


@lru_cache(maxsize=64)
def _times_of_day(expressions: tuple[CronFields, ...]) -> int:
    """The seconds of a day that match an expression or several, as the bits of a number."""
    times = 0
    for fields in expressions:
        minute = _bits(1, 1, fields.second)
        times |= _bits(_bits(minute, 60, fields.minute), 3600, fields.hour)
    return times


def _bits(pattern: int, length: int, values: FieldValues) -> int:
    """The pattern, at each of the values of a field."""
    bits = 0
    for number in values.numbers:
        bits |= pattern << number * length
    return bits
