"""A schedule of a time zone said in UTC, for platforms that know no other: exact, or refused."""

from datetime import datetime, timedelta
from itertools import product

from jobctl.errors import ScheduleError
from jobctl.schedules.cron import Cron
from jobctl.schedules.fields import Fields, Values
from jobctl.schedules.walltime import changes
from jobctl.schedules.zones import zone
from jobctl.text import quote

LOOK_AHEAD = timedelta(days=5 * 366)
_DAY = 24 * 60


def fields_in_utc(cron: Cron, now: datetime) -> Fields:
    """The fields of the expression that is due, in UTC, when this one is.

    The zone's clock changes of the five years from ``now`` are looked at; nobody knows later ones.

    Raises:
        ScheduleError: no one expression says it, or not on both sides of a clock change.
    """
    if cron.timezone == "UTC":
        return cron.fields
    offsets = _offsets(cron.timezone, now)
    if len(offsets) > 1 and cron.fixed_time:
        raise _refusal(cron, f"{cron.timezone} changes its clocks, and UTC does not")
    found = {_shifted(cron, offset) for offset in offsets}
    if len(found) > 1:
        raise _refusal(cron, f"{cron.timezone} changes its clocks, and UTC does not")
    return found.pop()


def _offsets(name: str, now: datetime) -> set[timedelta]:
    """East of UTC, every one from now on."""
    there = zone(name)
    instants = [now, *(instant for instant, _ in changes(now, now + LOOK_AHEAD, there))]
    return {instant.astimezone(there).utcoffset() or timedelta(0) for instant in instants}


def _shifted(cron: Cron, offset: timedelta) -> Fields:
    fields = cron.fields
    east, seconds = divmod(int(offset.total_seconds()), 60)
    if seconds:
        raise _refusal(cron, f"{cron.timezone} is not whole minutes from UTC")
    times = [60 * hour + minute - east for hour in fields.hour.numbers for minute in fields.minute.numbers]
    clock = sorted({time % _DAY for time in times})
    hours, minutes = sorted({time // 60 for time in clock}), sorted({time % 60 for time in clock})
    if [60 * hour + minute for hour, minute in product(hours, minutes)] != clock:
        raise _refusal(cron, "one expression cannot say those hours and minutes in UTC")
    days = {time // _DAY for time in times}
    return fields._replace(
        minute=_values(minutes, 60),
        hour=_values(hours, 24),
        weekday=fields.weekday if days == {0} else _moved(cron, days),
    )


def _moved(cron: Cron, days: set[int]) -> Values:
    """The days of the week where some or all times lie on the day before or after in UTC."""
    fields = cron.fields
    weekday = fields.weekday
    if not (fields.day.full and fields.month.full) or weekday.nth:
        raise _refusal(cron, "it is another day in UTC, and days of the month do not move with it")
    if weekday.full:
        return weekday
    if len(days) > 1:
        raise _refusal(cron, "some of its times are on another day in UTC")
    by = days.pop()
    return _values(sorted({(day + by) % 7 for day in weekday.numbers}), 7)


def _values(numbers: list[int], of: int) -> Values:
    full = len(numbers) == of
    return Values(tuple(numbers), star=full, full=full)


def _refusal(cron: Cron, reason: str) -> ScheduleError:
    return ScheduleError(
        f"{quote(cron.text)} in {cron.timezone} is no schedule in UTC: {reason}",
        hint='give it the times of UTC, and timezone = "UTC"',
    )
