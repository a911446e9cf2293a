"""How many due times lie between two instants: by arithmetic a day, not by listing them."""

from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobctl.schedules import days
from jobctl.schedules.fields import Fields
from jobctl.schedules.walltime import LONGEST_GAP, SECOND, change_at, changes, wall

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo


def count_wall(fields: Fields, after: datetime, until: datetime) -> int:
    """How many matching wall-clock times lie in ``(after, until]``, both naive."""
    if until <= after:
        return 0
    daily = len(fields.hour.numbers) * len(fields.minute.numbers) * len(fields.second.numbers)
    first, last = after.toordinal(), until.toordinal()
    each = range(first, last)
    number = (
        len(each)
        if days.every_day(fields)
        else sum(days.matches(fields, datetime.fromordinal(day)) for day in each)
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
    if not days.matches(fields, time.date()):
        return 0
    hours, minutes, seconds = fields.hour.numbers, fields.minute.numbers, fields.second.numbers
    number = bisect_left(hours, time.hour) * len(minutes) * len(seconds)
    if time.hour in hours:
        number += bisect_left(minutes, time.minute) * len(seconds)
        if time.minute in minutes:
            number += bisect_right(seconds, time.second)
    return number
