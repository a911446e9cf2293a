"""``jobctl backfill ID``: runs a job for past slots, one after another."""

import re
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Annotated

import typer

from jobctl.cli.context import Context
from jobctl.cli.options import ArgumentsFile, JobArguments, JobId
from jobctl.cli.run_arguments import read_arguments
from jobctl.cli.times import exact, read_time
from jobctl.cli.views.runs import waiting_piped
from jobctl.json_documents import waiting_document
from jobctl.model import short_id
from jobctl.schedules.zones import zone
from jobctl.text import counted, printable

_DAY = re.compile(r"\s*\d{4}-\d{2}-\d{2}\s*", re.ASCII)


def run(
    context: Context,
    job_id: JobId,
    arguments: JobArguments = None,
    *,
    begin: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Slots from this time, or from this day.")
    ],
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Slots up to this time, or this day.", show_default="now"),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also slots that have completed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the slots, and run nothing.")] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Reason that is kept with the action.")
    ] = None,
    arguments_file: ArgumentsFile = None,
) -> int:
    """Run a job for its past slots.

    A scheduler runs them, oldest first, one after another; those that are left are kept over restarts. Slots that have
    completed are left out.

    Examples:
        jobctl backfill report-daily-activity-summary --from 2026-11-01 --to 2026-11-03 --dry-run
        jobctl backfill report-daily-activity-summary --from 2026-11-01 --to 2026-11-03
        jobctl backfill nightly-import --from 2026-11-01T00:00Z --again source=archive
    """
    job = context.job(job_id)
    checked = read_arguments(context, job, arguments or [], arguments_file, dry_run=False)
    local = zone(job.schedule.timezone if job.schedule else "UTC")
    out = context.output
    runs = context.keeping_manager(job.id).backfill(
        job.id,
        read_time(begin, "--from", local),
        _last(end, local) if end else context.now(),
        again=again,
        arguments=checked,
        reason=printable(reason) if reason else None,
        dry_run=dry_run,
    )
    batch = runs[0].batch if runs and not dry_run else None
    if dry_run:
        runs = [replace(run, id="", batch=None) for run in runs]
    if out.json:
        out.document({"batch": batch, "runs": [waiting_document(run) for run in runs]})
    elif not out.is_terminal:
        out.lines(waiting_piped(runs, header=True))
    elif dry_run:
        for run in runs:
            out.line(exact(run.slot or run.begins_at, local) + ("  again" if run.rerun_of else ""))
    if not runs:
        out.note(f"{job.id}: nothing to do: every slot has completed, runs, waits or is excluded")
    elif dry_run:
        out.note(f"{job.id}: {counted(len(runs), 'slot')}; nothing was started: a dry run")
    elif batch is not None:
        out.note(
            f"{job.id}: {counted(len(runs), 'run')} wait, oldest slot first;"
            f" to cancel those that are left: jobctl cancel {short_id(batch)}"
        )
        context.note_missing_scheduler()
    return 0


def _last(text: str, local: tzinfo) -> datetime:
    """The end: of a day, its last moment."""
    end = read_time(text, "--to", local)
    return end + timedelta(days=1, milliseconds=-1) if _DAY.fullmatch(text) else end
