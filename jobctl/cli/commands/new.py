"""``jobctl new ID``: a job with its function, its entry in the project's file and its test."""

import os
import shlex
from typing import Annotated, Any

import typer

from jobctl.cli.commands.next import due
from jobctl.cli.context import Context
from jobctl.cli.terminal import rows
from jobctl.cli.times import exact
from jobctl.clock import iso
from jobctl.durations import until
from jobctl.errors import UsageError
from jobctl.schedules.advice import advice
from jobctl.schedules.words import in_words
from jobctl.schedules.zones import zone


def run(
    context: Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the new job, in kebab-case.")],
    *,
    cron: Annotated[
        list[str] | None,
        typer.Option("--cron", metavar="CRON", help="Cron expression; several times for several."),
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", metavar="DURATION", help="Interval, instead of --cron.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", metavar="ZONE", help="Time zone of --cron.", show_default="UTC"),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="Display name.")] = None,
    command: Annotated[
        str | None, typer.Option("--command", metavar="TEXT", help="Run this program instead of a function.")
    ] = None,
    module: Annotated[
        str | None,
        typer.Option("--module", metavar="MODULE", help="Module of its function.", show_default="jobs.NAME"),
    ] = None,
) -> int:
    """Add a job with its file and test; import reads a crontab.

    Examples:
        jobctl new tidy-up --cron "30 2 * * *"
        jobctl new dump --every 6h --command "pg_dump app"
    """
    from jobctl.catalogue.scaffold import demand_unknown, new_job, write

    if bool(cron) is (every is not None):
        problem = "new needs --cron or --every" if not cron else "--cron and --every exclude each other"
        raise UsageError(problem, hint='--cron "30 2 * * *", or --every 15m')
    demand_unknown(job_id, {job.id: job for job in context.catalogue})
    settings: dict[str, Any] = {
        "name": name,
        "cron": cron[0] if cron and len(cron) == 1 else cron or None,
        "every": every,
        "timezone": timezone,
        "command": _program(command, module),
    }
    settings = {key: value for key, value in settings.items() if value is not None}
    new = new_job(context.project.location, job_id, settings, module)
    write(context.project.location, new)
    folder = os.path.relpath(context.project.folder)
    files = [(file.change, os.path.normpath(os.path.join(folder, file.name))) for file in new.files]  # noqa: PTH118
    out = context.output
    schedule = new.job.schedule
    now = context.now()
    times = list(due(schedule, now, now, 3)) if schedule else []
    doubts = advice(schedule) if schedule else []
    if out.json:
        document = {
            "id": new.job.id,
            "files": [{"name": name, "change": change} for change, name in files],
            "words": in_words(schedule) if schedule else None,
            "next": [iso(time) for time in times],
            "advice": doubts,
        }
        out.document(document)
        return 0
    out.lines(rows((), files, header=False))
    local = zone(schedule.timezone if schedule else "UTC")
    first = f"first due {exact(times[0], local)} ({until(times[0], now)})"
    begins = "first due as soon as a scheduler runs" if every is not None else first
    change_folder = f"cd {shlex.quote(folder)} && " if folder != "." else ""
    steps = [
        f"its function: {files[0][1]}" if new.test else f"its program: {command}",
        f"its entry: {files[-1][1]}",
        f"its schedule: {f'{schedule.text} ({in_words(schedule)})' if schedule else ''}, {begins}",
        f"its test: {change_folder}python -m pytest {new.test}"
        if new.test
        else "no test: run the program to try it",
    ]
    for number, step in enumerate(steps, 1):
        out.note(f"{number}. {step}")
    for line in doubts:
        out.note(f"check its schedule: {line}")
    out.note(f"try it: jobctl trigger {new.job.id}")
    return 0


def _program(command: str | None, module: str | None) -> list[str] | None:
    if command is None:
        return None
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--command cannot be read: {str(error).lower()}") from None
    if not words:
        raise UsageError("--command names no program", hint="such as: --command 'pg_dump app'")
    if module is not None:
        raise UsageError("--module goes with a function, not with --command")
    return words
