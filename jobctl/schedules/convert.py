"""Converts schedules for platforms that support only cron in UTC: exactly, or not at all, with the reason."""

from datetime import datetime, timedelta
from itertools import product

from jobctl.durations import write_duration
from jobctl.errors import ScheduleError
from jobctl.schedules.cron import Cron
from jobctl.schedules.cron_grammar import CronFields, FieldValues
from jobctl.schedules.every import Every
from jobctl.schedules.wall_times import changes
from jobctl.schedules.zones import zone
from jobctl.text import quote

_MINUTE, _HOUR, _DAY, _WEEK = 60, 3600, 86_400, 604_800
_CRON = {
    _MINUTE: "* * * * *",
    **{step * _MINUTE: f"*/{step} * * * *" for step in range(2, 31) if 60 % step == 0},
    _HOUR: "0 * * * *",
    **{step * _HOUR: f"0 */{step} * * *" for step in range(2, 13) if 24 % step == 0},
    _DAY: "0 0 * * *",
    _WEEK: "0 0 * * 0",
}
"""Every interval, in seconds, that a five-field expression can keep."""


def interval_to_cron(interval: timedelta) -> str:
    """The five-field cron expression that is due exactly every ``interval``, from midnight UTC.

    Raises:
        ScheduleError: no cron expression has that interval; says why, and which similar intervals work.
    """
    every = Every(interval)
    seconds = every.interval.total_seconds()
    if seconds in _CRON:
        return _CRON[int(seconds)]
    if seconds % _MINUTE:
        reason = "cron counts in whole minutes"
    elif seconds < _HOUR:
        reason = "an hour is not a multiple of it, and cron begins again each hour"
    elif seconds % _HOUR and seconds < _DAY:
        reason = "its minute changes from hour to hour, which one expression cannot express"
    elif seconds < _DAY:
        reason = "a day is not a multiple of it, and cron begins again each day"
    else:
        reason = "cron knows only days of the week and of the month"
    below = [step for step in _CRON if step < seconds][-1:]
    above = [step for step in _CRON if step > seconds][:1]
    near = " or ".join(write_duration(timedelta(seconds=step)) for step in below + above)
    raise ScheduleError(f"{every.text} cannot be a cron schedule: {reason}", hint=f"use {near}")


LOOK_AHEAD = timedelta(days=5 * 366)
_DAY_MINUTES = 24 * 60


def fields_in_utc(cron: Cron, now: datetime) -> CronFields:
    """The fields of the cron expression in UTC with the same due times.

    It considers the zone's clock changes within five years from ``now``; later ones are not reliably known.

    Raises:
        ScheduleError: one expression cannot express it, or not on both sides of a clock change.
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
    """Every offset from UTC from ``now`` on."""
    there = zone(name)
    instants = [now, *(instant for instant, _ in changes(now, now + LOOK_AHEAD, there))]
    return {instant.astimezone(there).utcoffset() or timedelta(0) for instant in instants}


def _shifted(cron: Cron, offset: timedelta) -> CronFields:
    fields = cron.fields
    east, seconds = divmod(int(offset.total_seconds()), 60)
    if seconds:
        raise _refusal(cron, f"{cron.timezone} is not whole minutes from UTC")
    times = [60 * hour + minute - east for hour in fields.hour.numbers for minute in fields.minute.numbers]
    clock = sorted({time % _DAY_MINUTES for time in times})
    hours, minutes = sorted({time // 60 for time in clock}), sorted({time % 60 for time in clock})
    if [60 * hour + minute for hour, minute in product(hours, minutes)] != clock:
        raise _refusal(cron, "one expression cannot express those hours and minutes in UTC")
    days = {time // _DAY_MINUTES for time in times}
    return fields._replace(
        minute=_values(minutes, 60),
        hour=_values(hours, 24),
        weekday=fields.weekday if days == {0} else _moved(cron, days),
    )


def _moved(cron: Cron, days: set[int]) -> FieldValues:
    """The days of the week if times are on the day before or after in UTC."""
    fields = cron.fields
    weekday = fields.weekday
    if not (fields.day.full and fields.month.full) or weekday.nth:
        raise _refusal(cron, "it is another day in UTC, and days of the month cannot be moved")
    if weekday.full:
        return weekday
    if len(days) > 1:
        raise _refusal(cron, "some of its times are on another day in UTC")
    by = days.pop()
    return _values(sorted({(day + by) % 7 for day in weekday.numbers}), 7)


def _values(numbers: list[int], of: int) -> FieldValues:
    full = len(numbers) == of
    return FieldValues(tuple(numbers), star=full, full=full)


def _refusal(cron: Cron, reason: str) -> ScheduleError:
    return ScheduleError(
        f"{quote(cron.text)} in {cron.timezone} cannot be a schedule in UTC: {reason}",
        hint='write its times in UTC, with timezone = "UTC"',
    )
