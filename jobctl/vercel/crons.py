"""Converts a schedule to a cron expression of Vercel: in UTC, five fields of numbers, within the plan's limits.

Rules: Vercel's documentation of cron jobs, and what ``vercel crons add`` refuses: names, ``L``, ``#``, both day fields.
Forms that its tools read differently (``7``, ``5/15``) are never written.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from jobctl.errors import ScheduleError
from jobctl.model import Schedule
from jobctl.schedules import Cron, Every
from jobctl.schedules.convert import fields_in_utc, interval_to_cron
from jobctl.schedules.cron_grammar import (
    DAY,
    HOUR,
    MINUTE,
    MONTH,
    WEEKDAY,
    CronFields,
    FieldValues,
    write_field,
)
from jobctl.text import quote

MAX_CRONS = 100
"""Per project, on every plan."""
_MAX_LENGTH = 256


class Plan(StrEnum):
    """``hobby`` calls at most once a day, at any time of the hour; ``pro`` at most once a minute, on the minute."""

    HOBBY = "hobby"
    PRO = "pro"

    @property
    def longest_call(self) -> int:
        """The limit of ``maxDuration`` in seconds: https://vercel.com/docs/functions/limitations."""
        return 300 if self is Plan.HOBBY else 800


class Target(StrEnum):
    """``crons`` are in UTC; ``schedules``, in beta, have time zones and can be paused without a deployment."""

    CRONS = "crons"
    SCHEDULES = "schedules"


class Timing(NamedTuple):
    """The expression, and what happens instead of the job's schedule; None: exactly that."""

    cron: str
    instead: str | None = None


def vercel_cron(schedule: Schedule, plan: Plan, now: datetime, target: Target = Target.CRONS) -> Timing:
    """Convert a schedule: for ``schedules`` in its own time zone, for ``crons`` in UTC.

    A schedule that is too frequent is changed to the most frequent that Vercel supports.

    Raises:
        ScheduleError: Vercel does not support it, or would run it at other times.
    """
    fields, instead = _fields(schedule, now, target)
    day, month, weekday = (
        write_field(*field) for field in ((DAY, fields.day), (MONTH, fields.month), (WEEKDAY, fields.weekday))
    )
    if "L" in day + weekday or "#" in weekday:
        raise ScheduleError(f"{quote(schedule.text)} has L or #, which Vercel does not support")
    if "*" not in {day, weekday}:
        raise ScheduleError(
            f"{quote(schedule.text)} has a day of month and a day of week, and Vercel accepts one of them"
        )
    if plan is Plan.HOBBY and len(fields.hour.numbers) * len(fields.minute.numbers) > 1:
        fields = fields._replace(minute=_first(fields.minute), hour=_first(fields.hour))
        at = f"{fields.hour.numbers[0]:02}:{fields.minute.numbers[0]:02}"
        zone = schedule.timezone if target is Target.SCHEDULES else "UTC"
        instead = f"once a day, at {at} {zone}: the plan hobby allows no more"
    text = f"{write_field(MINUTE, fields.minute)} {write_field(HOUR, fields.hour)} {day} {month} {weekday}"
    if len(text) > _MAX_LENGTH:
        raise ScheduleError(f"{quote(schedule.text)} is longer than {_MAX_LENGTH} characters for Vercel")
    return Timing(text, instead)


def _fields(schedule: Schedule, now: datetime, target: Target) -> tuple[CronFields, str | None]:
    """The fields in whole minutes, and what happens instead of the schedule, or None."""
    if isinstance(schedule, Every):
        if schedule.interval.total_seconds() < 60:
            return Cron("* * * * *").fields, "once a minute: Vercel counts whole minutes"
        return Cron(interval_to_cron(schedule.interval)).fields, None
    if not isinstance(schedule, Cron):
        raise ScheduleError(f"{quote(schedule.text)} is neither an interval nor a cron expression")
    fields = schedule.fields if target is Target.SCHEDULES else fields_in_utc(schedule, now)
    seconds = fields.second.numbers
    if len(seconds) > 1:
        return fields, "once in each such minute: Vercel counts whole minutes"
    if seconds != (0,):
        return fields, f"at second 0 instead of {seconds[0]}: Vercel counts whole minutes"
    return fields, None


def _first(values: FieldValues) -> FieldValues:
    return FieldValues(values.numbers[:1], star=False, full=False)
