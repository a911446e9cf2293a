"""``jobctl new ID``: a job with its function, its entry in the project's file and its test."""

import os
import shlex
from typing import Annotated, Any, NamedTuple

from jobctl.cli.commands.next import due
from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.terminal import rows
from jobctl.cli.times import exact, until
from jobctl.clock import iso
from jobctl.errors import UsageError
from jobctl.schedules import Cron
from jobctl.schedules.zones import zone


class Options(NamedTuple):
    """What the job is."""

    job_id: Annotated[str | None, argument("ID")] = None
    cron: Annotated[str | None, option("new", "--cron")] = None
    every: Annotated[str | None, option("new", "--every")] = None
    timezone: Annotated[str | None, option("new", "--timezone")] = None
    name: Annotated[str | None, option("new", "--name")] = None
    program: Annotated[str | None, option("new", "--command")] = None
    module: Annotated[str | None, option("new", "--module")] = None


def run(options: Options, context: Context) -> int:
    """Check everything, then write, then say what was done and what comes next."""
    from jobctl.catalogue.scaffold import demand_unknown, new_job, write

    if options.job_id is None:
        raise UsageError("new needs an id", hint='such as: jobctl new tidy-up --cron "30 2 * * *"')
    if (options.cron is None) == (options.every is None):
        raise UsageError("new needs either --cron or --every", hint='--cron "30 2 * * *", or --every 15m')
    demand_unknown(options.job_id, {job.id: job for job in context.catalogue})
    new = new_job(context.project.location, options.job_id, _settings(options), options.module)
    write(context.project.location, new)
    folder = os.path.relpath(context.project.folder)
    files = [(one.change, os.path.normpath(os.path.join(folder, one.name))) for one in new.files]  # noqa: PTH118
    out = context.output
    schedule = new.job.schedule
    now = context.now()
    times = list(due(schedule, now, now, 3)) if schedule else []
    if out.json:
        document = {
            "id": new.job.id,
            "files": [{"name": name, "change": change} for change, name in files],
            "next": [iso(one) for one in times],
        }
        out.document(document)
        return 0
    out.lines(rows((), files, header=False))
    local = zone(schedule.timezone) if isinstance(schedule, Cron) else zone("UTC")
    first = f"first due {exact(times[0], local)} ({until(times[0], now)})"
    begins = first if isinstance(schedule, Cron) else "first due as soon as a scheduler runs"
    there = f"cd {shlex.quote(folder)} && " if folder != "." else ""
    steps = [
        f"its function: {files[0][1]}" if new.test else f"its program: {options.program}",
        f"its entry: {files[-1][1]}",
        f"its schedule: {schedule.text if schedule else ''}, {begins}",
        f"its test: {there}python -m pytest {new.test}"
        if new.test
        else "no test: a program is tried by running it",
    ]
    for number, step in enumerate(steps, 1):
        out.note(f"{number}. {step}")
    out.note(f"try it: jobctl trigger {new.job.id}")
    return 0


def _settings(options: Options) -> dict[str, Any]:
    given: dict[str, Any] = {
        "name": options.name,
        "cron": options.cron,
        "every": options.every,
        "timezone": options.timezone,
    }
    if options.program is not None:
        try:
            given["command"] = shlex.split(options.program)
        except ValueError as error:
            raise UsageError(f"--command cannot be read: {str(error).lower()}") from None
        if not given["command"]:
            raise UsageError("--command names no program", hint="such as: --command 'pg_dump app'")
        if options.module is not None:
            raise UsageError("--module goes with a function, not with --command")
    return {key: value for key, value in given.items() if value is not None}
