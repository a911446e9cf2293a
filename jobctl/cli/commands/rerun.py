"""``jobctl rerun RUN``: runs a job again with the arguments and the slot of an earlier run."""

import json
from datetime import datetime
from typing import Annotated

import typer

from jobctl.cli.commands.stop import confirm
from jobctl.cli.context import Context, find_run
from jobctl.cli.foreground import ForegroundResult, report_end, run_in_foreground
from jobctl.cli.options import JobOrRunId, Yes
from jobctl.cli.times import local, read_since
from jobctl.clock import iso
from jobctl.errors import AlreadyRunningError, ExitCode, JobctlError, UsageError
from jobctl.json_documents import run_document
from jobctl.model import Run, RunStatus
from jobctl.project import wait_for_store
from jobctl.settings.masking import MASK
from jobctl.text import counted


def run(
    context: Context,
    job_or_run: JobOrRunId = None,
    *,
    failed: Annotated[
        bool, typer.Option("--failed", help="All failed runs that were not run again, oldest first.")
    ] = False,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="With --failed: since when, or how long ago.")
    ] = "1d",
    yes: Yes = False,
) -> int:
    """Run a job again as in an earlier run.

    The new run has the same arguments and the same slot, and is linked to the earlier one. With the id of a job: its newest
    run.

    Examples:
        jobctl rerun 8f2a4c1e
        jobctl rerun repository-sync
        jobctl rerun --failed --since 2d
    """
    if failed == (job_or_run is not None):
        raise UsageError("rerun takes a run, or --failed", hint="what ran: jobctl runs")
    out = context.output
    if job_or_run is not None:
        done = _run_again(_find(job_or_run, context), context)
        if not done.stuck:
            report_end(done.run, context, retry=done.retry)
        return done.code
    chosen = _failed(since, context)
    if not chosen:
        out.note(f"no failed run since {since} that was not run again")
    for each in chosen:
        error = f": {each.error}" if each.error else ""
        out.message(f"{each.short_id} {each.job_id}, {local(each.started_at, context.now())}{error}")
    if chosen:
        confirm(f"Run {counted(len(chosen), 'run')} again?", context, yes=yes, command="rerun --failed")
    return _run_all_again(chosen, context)


def _find(name: str, context: Context) -> Run:
    """The run of this id, or the newest run of the job.

    Raises:
        UsageError: the job has no run yet.
        AlreadyRunningError: the run has not ended.
    """
    found = find_run(name, context)
    if found is None:
        runs = [
            run for run in context.job_manager.runs(name, limit=20) if run.status is not RunStatus.SKIPPED
        ]
        if not runs:
            raise UsageError(f"{name} never ran", hint=f"run it with: jobctl trigger {name}")
        found = runs[0]
    if found.status is RunStatus.RUNNING:
        raise AlreadyRunningError(
            f"run {found.short_id} of {found.job_id} has not ended",
            hint=f"end it with: jobctl cancel {found.short_id}",
        )
    return found


def _failed(since: str, context: Context) -> list[Run]:
    """Failed runs since then that were not run again, oldest first."""
    runs = context.store.runs(since=read_since(since, context.now()), limit=None)
    repeated = {run.rerun_of for run in runs}
    known = context.catalogue.ids()
    return [
        run
        for run in reversed(runs)
        if run.status is RunStatus.FAILED and run.id not in repeated and run.job_id in known
    ]


def _run_all_again(chosen: list[Run], context: Context) -> int:
    """Run them one after another; one that cannot be run stops no other."""
    runs, code = [], int(ExitCode.DONE)
    for each in chosen:
        try:
            done = _run_again(each, context)
        except JobctlError as error:
            context.output.problem(error)
            code = max(code, error.exit_code)
            continue
        runs.append(run_document(done.run))
        code = max(code, done.code)
        if not (done.stuck or context.output.json):
            report_end(done.run, context, retry=done.retry)
    if context.output.json:
        context.output.document({"runs": runs})
    return code


def _slot(run: Run, context: Context) -> datetime | None:
    """The slot that a run was for; that of a rerun is its first run's, which alone has claimed it."""
    while run.rerun_of is not None and (before := context.job_manager.run(run.rerun_of)) is not None:
        run = before
    return run.scheduled_for


def _run_again(before: Run, context: Context) -> ForegroundResult:
    job = context.job(before.job_id)
    arguments = dict(before.arguments or {})
    if MASK in json.dumps(arguments, ensure_ascii=False):
        raise UsageError(
            f"the arguments of run {before.short_id} hold a secret, which is not kept",
            hint=f"give them again: jobctl trigger {job.id} NAME=VALUE",
        )
    slot = _slot(before, context)
    due = f", due {iso(slot)}" if slot else ""
    context.output.note(f"{job.id}: again as in run {before.short_id}{due}")
    single = wait_for_store(lambda: context.single_run(job), context.clock, context.warn_of_store_error)
    with context.subscribers(single):
        return run_in_foreground(context, single, arguments, slot=slot, rerun_of=before.id)
