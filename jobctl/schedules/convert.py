"""Interval to cron and back, for platforms that know only cron: exact, or refused with the reason."""

from datetime import timedelta

from jobctl.durations import write_duration
from jobctl.errors import ScheduleError
from jobctl.schedules.cron import Cron
from jobctl.schedules.every import Every

_DAY = 86400


def interval_to_cron(interval: timedelta) -> str:
    """The five-field cron expression, in UTC, that is due exactly every ``interval``.

    Raises:
        ScheduleError: no cron expression has that rhythm; says why.
    """
    seconds = Every(interval).interval.total_seconds()
    shown = write_duration(interval)
    if seconds % 60:
        raise ScheduleError(
            f"every {shown} is no cron schedule: cron counts whole minutes", hint="use whole minutes"
        )
    minutes = int(seconds // 60)
    if minutes < 60:
        if 60 % minutes:
            raise ScheduleError(
                f"every {shown} is no cron schedule: {minutes} does not divide an hour, so each hour would begin anew",
                hint=f"use {_nearest(minutes, 60)} minutes",
            )
        return "* * * * *" if minutes == 1 else f"*/{minutes} * * * *"
    if minutes % 60 or 24 % (hours := minutes // 60):
        if minutes == 7 * 24 * 60:
            return "0 0 * * 0"
        raise ScheduleError(
            f"every {shown} is no cron schedule: it does not divide a day, so each day would begin anew",
            hint=f"use {_nearest(max(1, minutes // 60), 24)} hours",
        )
    if hours == 1:
        return "0 * * * *"
    return "0 0 * * *" if hours == 24 else f"0 */{hours} * * *"


def cron_to_interval(cron: Cron) -> timedelta | None:
    """The interval of a cron schedule that is due in an even rhythm; None where it is not even.

    A zone with clock changes makes none even but those that step within the hour.
    """
    second, minute, hour, day, month, weekday = cron.values
    days_free = len(day.numbers) == 31 and len(month.numbers) == 12 and not weekday.nth
    if not days_free or (cron.timezone != "UTC" and len(hour.numbers) != 24):
        return None
    if len(weekday.numbers) == 1:
        once = len(second.numbers) == len(minute.numbers) == len(hour.numbers) == 1
        return timedelta(days=7) if once else None
    if len(weekday.numbers) != 7:
        return None
    offsets = sorted(
        s + 60 * m + 3600 * h for h in hour.numbers for m in minute.numbers for s in sorted(second.numbers)
    )
    step = _step(frozenset(offsets), _DAY)
    return timedelta(seconds=step) if step else None


def _step(numbers: frozenset[int], around: int) -> int | None:
    """The one distance between neighbours, going around; None where there are several."""
    ordered = sorted(numbers)
    distances = {
        (after - before) for before, after in zip(ordered, [*ordered[1:], ordered[0] + around], strict=True)
    }
    return distances.pop() if len(distances) == 1 else None


def _nearest(wanted: int, whole: int) -> int:
    return min((n for n in range(1, whole + 1) if whole % n == 0), key=lambda n: abs(n - wanted))
