"""``jobctl explain ID|CRON``: a schedule in words, when it is due, and what differs elsewhere. Nothing is run."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from jobctl.cli.commands.next import due, excluded_times
from jobctl.cli.context import Context
from jobctl.cli.options import JobOrSchedule, NoHeader, ScheduleTimezone
from jobctl.cli.terminal import rows
from jobctl.cli.times import exact, zulu
from jobctl.clock import iso
from jobctl.errors import ScheduleError, UsageError
from jobctl.schedules import Cron, Every, in_zone, parse_schedule, unfiltered
from jobctl.schedules.advice import advice
from jobctl.schedules.convert import interval_to_cron
from jobctl.schedules.cron_grammar import either_day_is_enough
from jobctl.schedules.wall_times import changes
from jobctl.schedules.words import in_words
from jobctl.schedules.zones import zone

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jobctl.cli.terminal import Terminal
    from jobctl.model import Schedule

_NEXT = 3
_AHEAD = timedelta(days=366)
_AROUND = timedelta(days=1)


class Explained(NamedTuple):
    """What is said of a schedule.

    Attributes:
        excluded: times at which it is not due, until the last of the next, one for each date.
        clock_changes: due times within a year that a clock change moves, and how.
        elsewhere: by platform, what differs there; None: nothing.
        advice: what may not be meant, and how to write it.
    """

    schedule: "Schedule"
    words: str
    next: list[datetime]
    last: datetime | None
    excluded: list[datetime]
    clock_changes: list[tuple[datetime, str]]
    elsewhere: dict[str, str | None]
    advice: list[str]


def run(
    context: Context,
    job_or_schedule: JobOrSchedule,
    *,
    timezone: ScheduleTimezone = None,
    no_header: NoHeader = False,
) -> int:
    """Say a schedule in words.

    It also shows when it is due, what a clock change does, and what differs at Trigger.dev, Vercel, Kubernetes and
    systemd.

    Examples:
        jobctl explain report-monthly-comprehensive
        jobctl explain "0 9 1 * MON" --timezone Europe/Berlin
        jobctl explain "*/7 * * * *"
    """
    schedule, anchor = _schedule(job_or_schedule, timezone, context)
    found = explain(schedule, anchor, context.now())
    out = context.output
    if out.json:
        out.document(
            {
                "schedule": schedule.text,
                "timezone": schedule.timezone,
                "words": found.words,
                "next": [iso(time) for time in found.next],
                "last": iso(found.last) if found.last else None,
                "excluded": [iso(time) for time in found.excluded],
                "clock_changes": [{"at": iso(time), "note": note} for time, note in found.clock_changes],
                "elsewhere": found.elsewhere,
                "advice": found.advice,
            }
        )
    else:
        out.present(
            lambda terminal: _screen(found, terminal),
            lambda: rows(("WHAT", "VALUE"), _lines(found, zulu), header=not no_header),
        )
    return 0


def explain(schedule: "Schedule", anchor: datetime | None, now: datetime) -> Explained:
    """Find out everything.

    Args:
        anchor: from which an interval counts; None: it has not begun.
    """
    last = (
        schedule.latest_until(now, now - _AHEAD, anchor or now)
        if anchor or not isinstance(unfiltered(schedule), Every)
        else None
    )
    crons = [member for member in schedule.members if isinstance(member, Cron)]
    clock_changes = list(_clock_changes(schedule, now)) if crons else []
    following = list(due(schedule, now, anchor or now, _NEXT))
    return Explained(
        schedule,
        in_words(schedule),
        following,
        last,
        excluded_times(schedule, now, following[-1], anchor or now),
        clock_changes,
        _elsewhere(schedule, now, [note for _, note in clock_changes]),
        advice(schedule),
    )


def _schedule(text: str, timezone: str | None, context: Context) -> "tuple[Schedule, datetime | None]":
    """The schedule, and the anchor of a job's interval."""
    if re.fullmatch(r"[a-z0-9-]+", text) and context.knows(text):
        job = context.listed_job(text)
        if job.schedule is None:
            raise UsageError(
                f"{job.id} has no times: " + (f"it runs {job.schedule_text}" if job.after else "manual only"),
                hint=f"see jobctl status {job.id}",
            )
        store = context.store_if_any
        record = store.job(job.id) if store else None
        schedule = in_zone(job.schedule, timezone) if timezone else job.schedule
        return schedule, record.anchor if record else None
    return parse_schedule(text, timezone or "UTC"), None


def _clock_changes(schedule: "Schedule", now: datetime) -> Iterator[tuple[datetime, str]]:
    there = zone(schedule.timezone)
    begin = now.replace(microsecond=0)
    for change, _ in changes(begin, begin + _AHEAD, there):
        time = change - _AROUND
        while (time := schedule.next_after(time, now)) < change + _AROUND:
            note = schedule.note(time)
            if note is not None:
                yield time, note
                break


def _elsewhere(schedule: "Schedule", now: datetime, notes: list[str]) -> dict[str, str | None]:
    """By platform, what differs there.

    Args:
        notes: what clock changes do to its due times.
    """
    from jobctl.trigger_dev.cron import trigger_cron
    from jobctl.vercel.crons import Plan, vercel_cron

    def at_trigger_dev(member: "Schedule") -> None:
        trigger_cron(member)

    leaves_out = any("does not exist" in note for note in notes)
    repeats = any("comes twice" in note for note in notes)
    platforms: dict[str, Callable[[Schedule], str | None]] = {
        "Trigger.dev": at_trigger_dev,
        "Vercel": lambda member: vercel_cron(member, Plan.PRO, now).instead,
        "Kubernetes": lambda member: _in_kubernetes(member, leaves_out=leaves_out),
        "systemd": lambda member: _in_systemd(member, leaves_out=leaves_out, repeats=repeats),
    }
    found: dict[str, str | None] = {}
    for name, difference in platforms.items():
        clauses = []
        for member in schedule.members:
            try:
                clauses.append(difference(member))
            except ScheduleError as error:
                clauses.append(error.problem + (f"; {error.hint}" if error.hint else ""))
        if name == "Kubernetes" and len(schedule.members) > 1:
            clauses.append("a CronJob has one expression, so make one for each")
        found[name] = "; ".join(dict.fromkeys(filter(None, clauses))) or None
    return found


def _in_systemd(schedule: "Schedule", *, leaves_out: bool, repeats: bool) -> str | None:
    """As a timer: https://www.freedesktop.org/software/systemd/man/latest/systemd.time.html.

    Args:
        leaves_out: whether a clock change leaves out a due time.
        repeats: whether one repeats a due time.
    """
    if not isinstance(schedule, Cron):
        return "OnUnitActiveSec= counts from the last start, so its times move"
    fields = schedule.fields
    if either_day_is_enough(fields) and not (fields.day.full or fields.weekday.full):
        return "both day fields of OnCalendar= must match, so write a line for each"
    if fields.weekday.nth:
        return "it knows no #: write the weekday with a range of days, such as Mon *-*-08..14"
    if fields.day.last_day:
        return "the last day of the month is ~01 there"
    if repeats and not schedule.fixed_time:
        return "a time that a clock change repeats is due once"
    return "a time that a clock change leaves out is not due" if leaves_out else None


def _in_kubernetes(schedule: "Schedule", *, leaves_out: bool) -> str | None:
    """By the parser of its CronJob: https://github.com/robfig/cron, version 3.

    Args:
        leaves_out: whether a clock change leaves out a due time.
    """
    if isinstance(schedule, Every):
        interval_to_cron(schedule.interval)
        return None
    if not isinstance(schedule, Cron):
        return None
    fields = schedule.fields
    if fields.second.numbers != (0,):
        return "it has no seconds"
    if fields.weekday.nth or fields.day.last_day:
        return "it knows neither L nor #"
    starts_with_step = any(days.star and not days.full for days in (fields.day, fields.weekday))
    if starts_with_step and not (fields.day.full or fields.weekday.full):
        return "a step such as */2 does not count as a star there, so it is due when either day field matches"
    return "a time that a clock change leaves out is not due" if leaves_out else None


def _lines(found: Explained, times: Callable[[datetime], str]) -> Iterator[tuple[str, str]]:
    yield "schedule", f"{found.schedule.text}  {found.schedule.timezone}"
    yield "means", found.words
    for time in found.next:
        yield "next", times(time)
    if found.last is not None:
        yield "last", times(found.last)
    for time in found.excluded[:_NEXT]:
        yield "left out", times(time)
    for time, note in found.clock_changes:
        yield "clock change", f"{times(time)}: {note}"
    for platform, difference in found.elsewhere.items():
        yield platform, difference or "the same"
    for line in found.advice:
        yield "advice", line


def _screen(found: Explained, terminal: "Terminal") -> "Iterator[RenderableType]":
    yield terminal.heading(f"{found.schedule.text}  {found.schedule.timezone}")
    local = zone(found.schedule.timezone)
    shown: list[tuple[str, RenderableType]] = []
    before = ""
    for name, value in [*_lines(found, lambda time: exact(time, local))][1:]:
        shown.append(("" if name == before else name, value))
        before = name
    yield terminal.fields(shown)
