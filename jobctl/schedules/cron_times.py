"""Due times of cron: wall-clock times, clock changes, the walk through the calendar, and counts without listing."""

import os
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from jobctl.schedules import cron_grammar
from jobctl.schedules.cron_grammar import LAST, Fields, Values, parse

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


_YEARS = 50
_LOCK = threading.Lock()
os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


class Walker:
    """The times of one expression. May be shared by threads."""

    __slots__ = ("_croniter", "_found", "_since")

    def __init__(self, canonical: str, *, either: bool) -> None:
        from croniter import croniter

        self._since = self._found = datetime(1970, 1, 1)  # noqa: DTZ001 - what a wall clock shows has no zone
        self._croniter = croniter(
            canonical, self._since, ret_type=datetime, day_or=either, max_years_between_matches=_YEARS
        )

    def after(self, time: datetime) -> datetime:
        """The first matching time strictly after a naive one.

        Raises:
            OverflowError: there is none before the year 10,000.
        """
        with _LOCK:
            if not self._since <= time < self._found:
                try:
                    self._croniter.set_current(time, force=True)
                    found: datetime = self._croniter.get_next(datetime)
                except ValueError as error:
                    raise OverflowError("no such time") from error
                self._since, self._found = time, found
            return self._found


@lru_cache(maxsize=512)
def walker(expression: str) -> Walker:
    """The walker of an expression that can be read; those that mean the same share it."""
    _, fields = parse(expression)
    return _walker(_canonical(fields), cron_grammar.either(fields))


@lru_cache(maxsize=512)
def _walker(canonical: str, either: bool) -> Walker:  # noqa: FBT001
    return Walker(canonical, either=either)


def _canonical(fields: Fields) -> str:
    """Minute to weekday, and seconds behind them where croniter needs to know."""
    second, minute, hour, day, month, weekday = map(_listed, fields)
    if not cron_grammar.has_day_of_month(fields):
        day = "*"  # croniter 6 fails at a Monday or 30 February
    elif cron_grammar.either(fields) and "*" in {day, weekday}:
        day = weekday = "*"
    five = f"{minute} {hour} {day} {month} {weekday}"
    return five if second == "0" else f"{five} {second}"


def _listed(values: Values) -> str:
    if values.full:
        return "*"
    items = [str(number) for number in values.numbers]
    items += [f"L{day}" if nth == LAST else f"{day}#{nth}" for day, nth in values.nth]
    return ",".join([*items, "L"] if values.last_day else items)


def count_wall(fields: Fields, after: datetime, until: datetime) -> int:
    """How many matching wall-clock times lie in ``(after, until]``, both naive."""
    if until <= after:
        return 0
    daily = len(fields.hour.numbers) * len(fields.minute.numbers) * len(fields.second.numbers)
    first, last = after.toordinal(), until.toordinal()
    each = range(first, last)
    number = (
        len(each)
        if cron_grammar.every_day(fields)
        else sum(cron_grammar.matches(fields, datetime.fromordinal(day)) for day in each)
    )
    return number * daily - _until(fields, after) + _until(fields, until)


def count_due(fields: Fields, zone: "ZoneInfo", after: datetime, until: datetime, *, fixed: bool) -> int:
    """How many due times lie in ``(after, until]``, whole seconds, by the rule for clock changes."""
    shown = wall(after, zone)  # what the wall showed so far
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


def _until(fields: Fields, time: datetime) -> int:
    """How many times of its day match up to and with ``time``."""
    if not cron_grammar.matches(fields, time.date()):
        return 0
    hours, minutes, seconds = fields.hour.numbers, fields.minute.numbers, fields.second.numbers
    number = bisect_left(hours, time.hour) * len(minutes) * len(seconds)
    if time.hour in hours:
        number += bisect_left(minutes, time.minute) * len(seconds)
        if time.minute in minutes:
            number += bisect_right(seconds, time.second)
    return number
