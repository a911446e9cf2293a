"""``jobctl next ID-or-CRON``: the next due times of a job or of a schedule. Nothing is run."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli.context import Context
from jobctl.cli.options import JobOrSchedule, NoHeader, ScheduleTimezone
from jobctl.cli.terminal import Column, rows
from jobctl.cli.times import dated, exact, read_time, zone_names, zulu
from jobctl.clock import iso
from jobctl.durations import until
from jobctl.errors import ScheduleError, UsageError
from jobctl.modes import Mode
from jobctl.schedules import Cron, Every, Excluding, in_zone, parse_schedule, unfiltered
from jobctl.schedules.advice import advice
from jobctl.schedules.words import in_words
from jobctl.schedules.zones import zone
from jobctl.text import counted, quote

if TYPE_CHECKING:
    from jobctl.model import Job, Schedule, WaitingRun
    from jobctl.store.records import JobRecord


_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
MOST = 10_000
_SHOWN = 5
_TITLES = ("NEXT", "LOCAL", "NOTE", "SCHEDULE", "TIMEZONE")


def run(
    context: Context,
    job_or_schedule: JobOrSchedule,
    *,
    count: Annotated[
        int, typer.Option("--count", "-n", metavar="N", min=1, max=MOST, help="Number of times to show.")
    ] = 5,
    timezone: ScheduleTimezone = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Show times after this time.", show_default="now"),
    ] = None,
    no_header: NoHeader = False,
) -> int:
    """Show when a job or a cron is due; explain says it in words.

    Examples:
        jobctl next repository-sync
        jobctl next "30 2 * * *" --timezone Europe/Berlin -n 3
        jobctl next "every 90m" --from 2027-03-27
    """
    schedule, anchor, job_note, waiting = _schedule(job_or_schedule, timezone, context)
    local = zone(schedule.timezone)
    now = context.now()
    begin = read_time(start, "--from", local) if start else now
    times = list(due(schedule, begin, anchor or begin, count))
    excluded = excluded_times(schedule, begin, times[-1], anchor or begin)
    out = context.output
    if out.json:
        out.document(
            {
                "schedule": schedule.text,
                "timezone": schedule.timezone,
                "words": in_words(schedule),
                "next": [iso(time) for time in times],
                "excluded": [iso(time) for time in excluded],
                "advice": advice(schedule),
                "waiting": [iso(run.begins_at) for run in waiting],
            }
        )
        return 0
    notes = [schedule.note(time) for time in times]
    if out.is_terminal:
        titles = [schedule.timezone.upper(), f"HERE, {zone_names(times)}", ""]
        cells = [
            (exact(time, local), f"{time.astimezone():%a %H:%M:%S}", note or until(time, now))
            for time, note in zip(times, notes, strict=True)
        ]
        columns = [Column(title, wraps=not title) for title in titles]
        head = out.terminal.heading(f"{schedule.text}  {schedule.timezone}")
        out.show(head, in_words(schedule), out.terminal.table(columns, cells, keep=1))
    else:
        records = (
            (zulu(time), exact(time, local), note or "", schedule.text, schedule.timezone)
            for time, note in zip(times, notes, strict=True)
        )
        out.lines(rows(_TITLES, records, header=not no_header))
    for rule in day_rules(schedule):
        out.note(rule)
    for line in advice(schedule):
        out.note(line)
    if excluded:
        shown = ", ".join(f"{time.astimezone(local):%a %Y-%m-%d %H:%M}" for time in excluded[:_SHOWN])
        more = f", and on {counted(len(excluded) - _SHOWN, 'more date')}" if len(excluded) > _SHOWN else ""
        out.note(f"left out, since these dates are excluded: {shown}{more}")
    if job_note:
        out.note(job_note)
    if waiting:
        out.note(
            f"kept for later: {counted(len(waiting), 'run')}, the first begins {dated(waiting[0].begins_at)};"
            f" see jobctl runs {job_or_schedule} --waiting"
        )
    return 0


def _schedule(
    text: str, timezone: str | None, context: Context
) -> "tuple[Schedule, datetime | None, str | None, Sequence[WaitingRun]]":
    """The schedule, the anchor of an interval, a note about the job, and its runs that are kept for later."""
    if _ID.fullmatch(text) and context.knows(text):
        job = context.listed_job(text)
        if job.after:
            raise UsageError(
                f"{job.id} has no due times: it runs {job.schedule_text}",
                hint=f"when that is due: jobctl next {job.after[0]}",
            )
        if job.schedule is None:
            raise UsageError(f"{job.id} has no schedule", hint=f"run it manually: jobctl trigger {job.id}")
        schedule = in_zone(job.schedule, timezone) if timezone else job.schedule
        store = context.store_if_any
        record = store.job(job.id) if store else None
        is_kept_here = record is not None and record.waiting and not context.uses_trigger_dev
        waiting = store.waiting(job.id) if store and is_kept_here else []
        return schedule, record.anchor if record else None, _job_note(job, record, context.mode), waiting
    try:
        return parse_schedule(text, timezone or "UTC"), None, None, []
    except ScheduleError:
        if _ID.fullmatch(text) and "-" in text:
            context.job(text)  # raises: says which job was probably meant
        raise


def _job_note(job: "Job", record: "JobRecord | None", mode: Mode) -> str | None:
    """Why the job will not run at these times, or None."""
    if not job.enabled:
        return f"{job.id} is not enabled ({job.origin}): no scheduler runs it"
    if job.unmet and mode is not Mode.TRIGGER_DEV:  # its worker may have what it needs
        return f"{job.id} is stopped: {job.unmet}"
    if record is not None and record.stopped is not None:
        return f"{job.id} is stopped: put it back with jobctl start {job.id}"
    if mode is Mode.LOCAL and record is None and job.schedule and isinstance(unfiltered(job.schedule), Every):
        return f"{job.id} is new: the first scheduler that knows it runs it at once, and counts from there"
    return None


def day_rules(schedule: "Schedule") -> list[str]:
    """How the two day fields of each expression combine, where both restrict the days."""
    crons = [member for member in schedule.members if isinstance(member, Cron)]
    rules = [(f"{quote(cron.text)} is " if len(crons) > 1 else "", cron.day_rule) for cron in crons]
    return [expression + rule for expression, rule in rules if rule]


def excluded_times(
    schedule: "Schedule", after: datetime, until: datetime, anchor: datetime
) -> list[datetime]:
    """The times in ``(after, until]`` that are left out, only the first on each excluded date."""
    return list(schedule.left_out(after, until, anchor)) if isinstance(schedule, Excluding) else []


def due(schedule: "Schedule", after: datetime, anchor: datetime, count: int) -> Iterator[datetime]:
    """The next ``count`` due times; an interval counts from its anchor."""
    for _ in range(count):
        after = schedule.next_after(after, anchor)
        yield after
