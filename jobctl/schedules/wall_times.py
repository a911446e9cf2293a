"""Due times of cron: wall-clock times, clock changes, the next match, and counts by arithmetic.

Instants are aware, in UTC; wall-clock times are naive.
"""

import os
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
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


def count_wall(fields: CronFields, after: datetime, until: datetime) -> int:
    """The number of matching wall-clock times in ``(after, until]``, both naive."""
    if until <= after:
        return 0
    daily = len(fields.hour.numbers) * len(fields.minute.numbers) * len(fields.second.numbers)
    days = range(after.toordinal(), until.toordinal())
    number = len(days)
    if not names_every_day(fields):
        number = sum(is_due_on(fields, datetime.fromordinal(day)) for day in days)
    return number * daily - _count_of_day(fields, after) + _count_of_day(fields, until)


def count_due(fields: CronFields, zone: "ZoneInfo", after: datetime, until: datetime, *, fixed: bool) -> int:
    """The number of due times in ``(after, until]``, both whole seconds, by the rules for clock changes."""
    shown = wall(after, zone)  # the wall-clock time up to which all is counted
    if fixed and shown.fold:
        shown = wall(change_at(shown, zone)[0] - SECOND, zone)
    number = 0
    for change, forward in changes(after, until, zone):
        here = wall(change, zone)
        last, first = here - forward - SECOND, here - SECOND
        number += count_wall(fields, shown, last)
        if not fixed:
            shown = first
        elif forward < timedelta(0):
            shown = max(shown, last)
        else:
            made_up = forward <= LONGEST_GAP and count_wall(fields, last, first) > 0
            number += made_up and not count_wall(fields, first, here)
            shown = first
    return number + count_wall(fields, shown, wall(until, zone))


def _count_of_day(fields: CronFields, time: datetime) -> int:
    """The number of matching times of a day up to ``time``, included."""
    if not is_due_on(fields, time.date()):
        return 0
    hours, minutes, seconds = fields.hour.numbers, fields.minute.numbers, fields.second.numbers
    number = bisect_left(hours, time.hour) * len(minutes) * len(seconds)
    if time.hour in hours:
        number += bisect_left(minutes, time.minute) * len(seconds)
        if time.minute in minutes:
            number += bisect_right(seconds, time.second)
    return number
