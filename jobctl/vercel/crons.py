"""A schedule as Vercel Cron can keep it: UTC, five fields of numbers, and what the plan allows.

Rules: Vercel's documentation of cron jobs, and what ``vercel crons add`` refuses: no names, no ``L`` or ``#``,
not both day fields at once. Of what its tools disagree about (``7``, ``5/15``) nothing is written.
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

MOST_CRONS = 100
"""A project's, on every plan."""
_LONGEST_TEXT = 256


class Plan(StrEnum):
    """``hobby`` runs a cron once a day at most, somewhere in its hour; ``pro`` once a minute, to the minute."""

    HOBBY = "hobby"
    PRO = "pro"

    @property
    def longest_call(self) -> int:
        """The most that a function's ``maxDuration`` may be, in seconds: https://vercel.com/docs/functions/limitations."""
        return 300 if self is Plan.HOBBY else 800


class Target(StrEnum):
    """``crons`` are in UTC; ``schedules``, in beta, have time zones and can be paused without a deployment."""

    CRONS = "crons"
    SCHEDULES = "schedules"


class Timing(NamedTuple):
    """The expression, and where it is not what the job has, why and what happens instead."""

    cron: str
    instead: str | None = None


def vercel_cron(schedule: Schedule, plan: Plan, now: datetime, target: Target = Target.CRONS) -> Timing:
    """What to write into ``vercel.json``: for ``schedules`` in the schedule's own time zone, else in UTC.

    A schedule that is too quick is slowed down to the quickest that Vercel keeps. What it would keep at
    other times, or on other days, is refused.

    Raises:
        ScheduleError: Vercel cannot say it; the message says why.
    """
    fields, instead = _fields(schedule, now, target)
    day, month, weekday = (
        write_field(*one) for one in ((DAY, fields.day), (MONTH, fields.month), (WEEKDAY, fields.weekday))
    )
    if "L" in day + weekday or "#" in weekday:
        raise ScheduleError(f"{quote(schedule.text)} has L or #, which Vercel does not know")
    if "*" not in {day, weekday}:
        raise ScheduleError(
            f"{quote(schedule.text)} has a day of month and a day of week, and Vercel takes one of them"
        )
    if plan is Plan.HOBBY and len(fields.hour.numbers) * len(fields.minute.numbers) > 1:
        fields = fields._replace(minute=_first(fields.minute), hour=_first(fields.hour))
        at = f"{fields.hour.numbers[0]:02}:{fields.minute.numbers[0]:02}"
        zone = schedule.timezone if target is Target.SCHEDULES else "UTC"
        instead = f"once a day, at {at} {zone}: the plan hobby allows no more"
    text = f"{write_field(MINUTE, fields.minute)} {write_field(HOUR, fields.hour)} {day} {month} {weekday}"
    if len(text) > _LONGEST_TEXT:
        raise ScheduleError(f"{quote(schedule.text)} is longer than {_LONGEST_TEXT} characters for Vercel")
    return Timing(text, instead)


def _fields(schedule: Schedule, now: datetime, target: Target) -> tuple[CronFields, str | None]:
    """In whole minutes; with what was slowed down."""
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
