"""A schedule as Trigger.dev can be told it: five fields of numbers that mean there what they mean here.

It reads cron with cron-parser 4.9 on the text as it stands: two blanks count as a seconds field, names and
wrapping ranges are read differently from place to place, and where both day fields say something a day needs
to match one of them only. So the text is written anew from what was read, and refused where that differs.
"""

from datetime import UTC, datetime

from jobctl.errors import ScheduleError
from jobctl.model import Schedule
from jobctl.schedules import Cron, Every, days
from jobctl.schedules.convert import interval_to_cron
from jobctl.schedules.fields import DAY, HOUR, LAST, MINUTE, MONTH, WEEKDAY, Fields
from jobctl.schedules.walltime import changes
from jobctl.schedules.write import write_field
from jobctl.schedules.zones import zone
from jobctl.text import quote

_LOOK = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC))
_NIGHT = range(4)


def trigger_cron(schedule: Schedule) -> str:
    """The expression to send, for the schedule's own zone.

    Raises:
        ScheduleError: Trigger.dev cannot say it; the message says why, the hint what it could.
    """
    if isinstance(schedule, Every):
        return interval_to_cron(schedule.interval)
    if not isinstance(schedule, Cron):
        raise ScheduleError(f"{quote(schedule.text)} is neither an interval nor a cron expression")
    fields = schedule.fields
    if fields.second.numbers != (0,):
        raise ScheduleError(
            f"{quote(schedule.text)} counts seconds, and Trigger.dev whole minutes", hint="write five fields"
        )
    day, weekday = _days(fields, schedule.text)
    minute, hour = write_field(MINUTE, fields.minute), write_field(HOUR, fields.hour)
    return f"{minute} {hour} {day} {write_field(MONTH, fields.month)} {weekday}"


def caution(schedule: Schedule) -> str | None:
    """Where Trigger.dev keeps another rule than jobctl: fixed times in the nights when clocks change."""
    if not (isinstance(schedule, Cron) and schedule.fixed_time) or schedule.timezone == "UTC":
        return None
    if not any(hour in _NIGHT for hour in schedule.fields.hour.numbers):
        return None
    if next(changes(*_LOOK, zone(schedule.timezone)), None) is None:
        return None
    return "when the clocks change it may be due at another minute than under jobctl run"


def _days(fields: Fields, text: str) -> tuple[str, str]:
    """Both day fields, or why they cannot be said together."""
    if len(fields.weekday.nth) > 1 and any(nth != LAST for _, nth in fields.weekday.nth):
        raise ScheduleError(
            f"{quote(text)} has several #, and Trigger.dev takes one", hint="make two jobs of it"
        )
    day, weekday = write_field(DAY, fields.day), write_field(WEEKDAY, fields.weekday)
    if days.either(fields):
        return ("*", "*") if "*" in {day, weekday} else (day, weekday)
    if "*" not in {day, weekday}:
        raise ScheduleError(
            f"in {quote(text)} both day fields must match, and at Trigger.dev either may",
            hint="write * in one of them",
        )
    return day, weekday
