"""``jobctl trigger ID``: runs a job now, shows what it prints, and exits by its result."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from jobctl.cli.context import Context
from jobctl.cli.foreground import report_end, report_start, run_in_foreground, start_detached
from jobctl.cli.options import ArgumentsFile, JobArguments, JobId
from jobctl.cli.run_arguments import read_arguments
from jobctl.cli.times import dated, read_later, read_span
from jobctl.errors import ExitCode, UsageError
from jobctl.json_documents import waiting_document
from jobctl.modes import Mode
from jobctl.project import wait_for_store

_LEAST = timedelta(seconds=1)


def run(
    context: Context,
    job_id: JobId,
    arguments: JobArguments = None,
    *,
    arguments_file: ArgumentsFile = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return once the run has started.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, for jobs that support it.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Run it even where scheduling is disabled.")] = False,
    local: Annotated[bool, typer.Option("--local", help="Run it here, whatever the mode.")] = False,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="Timeout, instead of the job's own."),
    ] = None,
    no_retry: Annotated[
        bool, typer.Option("--no-retry", help="Make a single attempt, whatever the job's retries.")
    ] = False,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Run it later, not before this time.")
    ] = None,
    delay: Annotated[
        str | None,
        typer.Option("--in", metavar="DURATION", help="Run it later, after this time such as 2h."),
    ] = None,
) -> int:
    """Run a job now, and exit with its result; or later.

    Examples:
        jobctl trigger repository-sync
        jobctl trigger repository-sync --no-wait
        jobctl trigger nightly-backup target=s3://backups keep=7
        jobctl trigger repository-sync --in 2h
        jobctl trigger repository-sync --json > result.json
    """
    job = context.job(job_id)
    if no_retry:
        job = replace(job, retries=0)
    checked = read_arguments(context, job, arguments or [], arguments_file, dry_run=dry_run)
    if at is not None or delay is not None:
        if timeout or no_retry or force or local:
            raise UsageError("a later run takes no --timeout, --no-retry, --force or --local")
        return _trigger_later(context, job.id, _begin(at, delay, context), checked)
    limit = read_span(timeout, "--timeout", least=_LEAST) if timeout else None
    mode = context.mode
    if local or (force and mode is Mode.DISABLED):
        mode = Mode.LOCAL
    if mode is Mode.TRIGGER_DEV:
        from jobctl.cli.trigger_dev import run_there

        there, code = run_there(
            context,
            job,
            lambda manager: manager.trigger_job(job_id, arguments=checked, timeout=limit, retry=not no_retry),
            wait=not no_wait,
        )
        report_end(there, context)
        return code
    if mode is Mode.DISABLED:
        context.manager().trigger_job(job.id)  # raises, and says why
    if no_wait:
        given = json.dumps(checked).encode() if arguments_file == "-" else b""
        return report_start(start_detached(context, given), context)
    single = wait_for_store(lambda: context.single_run(job), context.clock, context.warn_of_store_error)
    with context.subscribers(single):
        done = run_in_foreground(context, single, checked, limit)
        if not done.stuck:
            report_end(done.run, context, retry=done.retry)
    return done.code


def _begin(at: str | None, delay: str | None, context: Context) -> datetime:
    """When a later run begins."""
    if at is not None and delay is not None:
        raise UsageError("--at and --in exclude each other")
    if delay is not None:
        return context.now() + read_span(delay, "--in", least=_LEAST)
    return read_later(at or "", "--at", context.now())


def _trigger_later(context: Context, job_id: str, at: datetime, arguments: dict[str, Any]) -> int:
    out = context.output
    manager = context.keeping_manager(job_id)
    run = manager.trigger_job_later(job_id, at, arguments=arguments)
    if out.json:
        out.document(waiting_document(run))
    out.note(
        f"{job_id}: run {run.short_id} begins {dated(run.begins_at)}{manager.place};"
        f" to cancel it: jobctl cancel {run.short_id}"
    )
    context.note_missing_scheduler()
    return ExitCode.DONE
