"""Interval to cron and back, for platforms that know only cron: exact, or refused with the reason."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from jobctl.durations import write_duration
from jobctl.errors import ScheduleError
from jobctl.schedules import days
from jobctl.schedules.cron import Cron
from jobctl.schedules.every import Every
from jobctl.schedules.walltime import changes
from jobctl.schedules.zones import zone

_MINUTE, _HOUR, _DAY, _WEEK = 60, 3600, 86_400, 604_800
_CRON = {
    _MINUTE: "* * * * *",
    **{step * _MINUTE: f"*/{step} * * * *" for step in range(2, 31) if 60 % step == 0},
    _HOUR: "0 * * * *",
    **{step * _HOUR: f"0 */{step} * * *" for step in range(2, 13) if 24 % step == 0},
    _DAY: "0 0 * * *",
    _WEEK: "0 0 * * 0",
}
"""Every interval, in seconds, that a five-field expression keeps to."""

_LOOK = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC))


def interval_to_cron(interval: timedelta) -> str:
    """The five-field cron expression that is due exactly every ``interval`` in UTC, in step with midnight.

    Raises:
        ScheduleError: no cron expression has that rhythm; says why, and which intervals are near.
    """
    every = Every(interval)
    seconds = every.interval.total_seconds()
    if seconds in _CRON:
        return _CRON[int(seconds)]
    if seconds % _MINUTE:
        reason = "cron counts whole minutes"
    elif seconds < _HOUR:
        reason = "it does not divide an hour, and each hour begins anew"
    elif seconds % _HOUR and seconds < _DAY:
        reason = "its minute changes from hour to hour, which no one expression says"
    elif seconds < _DAY:
        reason = "it does not divide a day, and each day begins anew"
    else:
        reason = "cron knows days of the week and of the month only"
    below = [step for step in _CRON if step < seconds][-1:]
    above = [step for step in _CRON if step > seconds][:1]
    near = " or ".join(write_duration(timedelta(seconds=step)) for step in below + above)
    raise ScheduleError(f"{every.text} is no cron schedule: {reason}", hint=f"use {near}")


def cron_to_interval(cron: Cron) -> timedelta | None:
    """The interval of a schedule that is due in one even rhythm; None where it is not even.

    Clock changes must leave the rhythm alone too: of the schedule's zone, those from 2000 to 2050 are
    looked at.
    """
    fields = cron.fields
    times = [
        second + _MINUTE * minute + _HOUR * hour
        for hour in fields.hour.numbers
        for minute in fields.minute.numbers
        for second in fields.second.numbers
    ]
    if days.every_day(fields):
        around = _DAY
    elif _one_weekday(cron) and len(times) == 1:
        around = _WEEK
    else:
        return None
    steps = {after - before for before, after in pairwise([*times, times[0] + around])}
    step = steps.pop()
    return timedelta(seconds=step) if not steps and _keeps(cron, step) else None


def _one_weekday(cron: Cron) -> bool:
    fields = cron.fields
    plain = fields.day.full and fields.month.full and not days.either(fields)
    return plain and len(fields.weekday.numbers) == 1


def _keeps(cron: Cron, step: int) -> bool:
    """Whether a step is kept over every clock change of the zone."""
    if cron.timezone == "UTC":
        return True
    shifts = [forward for _, forward in changes(*_LOOK, zone(cron.timezone))]
    return not shifts or (not cron.fixed_time and all(shift.total_seconds() % step == 0 for shift in shifts))
