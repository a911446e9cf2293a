"""A schedule as Trigger.dev can be told it: five fields of numbers that mean there what they mean here.

It reads cron with cron-parser 4.9 on the text as it stands: two blanks count as a seconds field, names and
wrapping ranges are read differently from place to place, and where both day fields say something a day needs
to match one of them only. So the text is written anew from what was read, and refused where that differs.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from jobctl.errors import ScheduleError
from jobctl.model import Schedule
from jobctl.schedules import Cron, Every, cron_grammar
from jobctl.schedules.convert import interval_to_cron
from jobctl.schedules.cron_grammar import DAY, HOUR, LAST, MINUTE, MONTH, WEEKDAY, Fields, write_field
from jobctl.schedules.cron_times import changes
from jobctl.schedules.zones import same_zones, zone
from jobctl.text import quote
from jobctl.trigger_dev.cron_parser import due_times

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_YEAR = timedelta(days=366)
_BEFORE, _AFTER = timedelta(hours=3), timedelta(hours=26)
"""Of a clock change: what it leaves out or repeats lies within."""


def window_of(jitter: timedelta) -> str:
    """A job's jitter as the window within which Trigger.dev spreads its times: whole minutes, a day at most.

    ``0m`` keeps them exact, where a server would spread them by itself.
    """
    minutes = min(ceil(jitter.total_seconds() / 60), 24 * 60)
    return f"{minutes // 60}h" if minutes and minutes % 60 == 0 else f"{minutes}m"


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


def known_zone(name: str, known: frozenset[str]) -> str | None:
    """The zone as Trigger.dev calls it, whose list has some by their older names; None where it has it under none."""
    if name == "UTC" or name in known:
        return name
    return next((one for one in same_zones(name) if one in known), None)


def caution(schedule: Schedule, now: datetime) -> str | None:
    """Where Trigger.dev is due at other times than ``jobctl run``, as a clause; None where it never is.

    The due times of a year are compared around every clock change.
    """
    if isinstance(schedule, Every) and schedule.interval > timedelta(hours=1):
        return _in_step(schedule)
    if not isinstance(schedule, Cron) or schedule.timezone == "UTC" or schedule.fields.second.numbers != (0,):
        return None
    place = zone(schedule.timezone)
    for change, _ in changes(now, now + _YEAR, place):
        begin, end = change - _BEFORE, change + _AFTER
        theirs = set(due_times(schedule.fields, place, begin, end))
        ours = set(_due_times(schedule, begin, end))
        if theirs != ours:
            first = min(theirs ^ ours).astimezone(place)
            there, here = (_clock_times(one, place) for one in (theirs - ours, ours - theirs))
            return f"when the clocks change its times differ: on {first:%Y-%m-%d} Trigger.dev {there}, and jobctl run {here}"
    return None


def _due_times(schedule: Cron, begin: datetime, end: datetime) -> Iterator[datetime]:
    due = schedule.next_after(begin)
    while due <= end:
        yield due
        due = schedule.next_after(due)


def _clock_times(instants: set[datetime], place: "ZoneInfo") -> str:
    """``runs it at 02:30 CET, 03:00 CEST``; of many the first three."""
    shown = [f"{one.astimezone(place):%H:%M %Z}" for one in sorted(instants)]
    more = f" and {len(shown) - 3} times more" if len(shown) > 3 else ""
    return f"runs it at {', '.join(shown[:3])}{more}" if shown else "skips it"


def _in_step(schedule: Every) -> str | None:
    """What becomes of an interval whose first time matters."""
    try:
        interval_to_cron(schedule.interval)
    except ScheduleError:  # which refuses it anyway
        return None
    day = "Sunday at midnight" if schedule.interval >= timedelta(weeks=1) else "midnight"
    return f"{schedule.text} counts there from {day} UTC, and not from its first run"


def _days(fields: Fields, text: str) -> tuple[str, str]:
    """Both day fields, or why they cannot be said together."""
    if len(fields.weekday.nth) > 1 and any(nth != LAST for _, nth in fields.weekday.nth):
        raise ScheduleError(
            f"{quote(text)} has several #, and Trigger.dev takes one", hint="make two jobs of it"
        )
    day, weekday = write_field(DAY, fields.day), write_field(WEEKDAY, fields.weekday)
    if cron_grammar.either(fields):
        return ("*", "*") if "*" in {day, weekday} else (day, weekday)
    if "*" not in {day, weekday}:
        raise ScheduleError(
            f"in {quote(text)} both day fields must match, and at Trigger.dev either may",
            hint="write * in one of them",
        )
    return day, weekday
