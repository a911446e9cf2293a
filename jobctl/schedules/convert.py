"""An interval as cron, for platforms that know nothing else: exact, or refused with the reason."""

from datetime import timedelta

from jobctl.durations import write_duration
from jobctl.errors import ScheduleError
from jobctl.schedules.every import Every

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
