"""``jobctl rerun RUN``: runs a job again with the arguments and the slot of an earlier run."""

from typing import Annotated

import typer

from jobctl.cli.commands.stop import confirm
from jobctl.cli.context import Context, find_run
from jobctl.cli.foreground import (
    ForegroundResult,
    report_end,
    report_start,
    run_in_foreground,
    start_detached,
)
from jobctl.cli.options import JobOrRunId, Yes
from jobctl.cli.times import local, read_since
from jobctl.clock import iso
from jobctl.errors import ExitCode, JobctlError, UsageError
from jobctl.json_documents import run_document
from jobctl.managers.rerun import repeat
from jobctl.model import Run, RunStatus
from jobctl.modes import Mode
from jobctl.project import wait_for_store
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
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return once the run has started.")] = False,
    yes: Yes = False,
) -> int:
    """Run a job again as in an earlier run.

    The new run has the same arguments and the same slot, and is linked to the earlier one. With the id of a job: its newest
    run.

    Examples:
        jobctl rerun 8f2a4c1e
        jobctl rerun repository-sync --no-wait
        jobctl rerun --failed --since 2d
    """
    if failed == (job_or_run is not None):
        raise UsageError("rerun takes a run, or --failed", hint="what ran: jobctl runs")
    if failed and no_wait:
        raise UsageError("--no-wait takes one run, not --failed")
    if job_or_run is not None:
        return _run_one_again(_find(job_or_run, context), context, wait=not no_wait)
    if context.uses_trigger_dev:
        raise UsageError(
            "Trigger.dev does not list which failed runs were run again",
            hint="run each again by its id: jobctl rerun run_…",
        )
    out = context.output
    chosen = _failed(since, context)
    if not chosen:
        out.note(f"no failed run since {since} that was not run again")
    for each in chosen:
        error = f": {each.error}" if each.error else ""
        out.message(f"{each.short_id} {each.job_id}, {local(each.started_at, context.now())}{error}")
    if chosen:
        _refuse_if_disabled(chosen[0], context)
        confirm(f"Run {counted(len(chosen), 'run')} again?", context, yes=yes, command="rerun --failed")
    return _run_all_again(chosen, context)


def _find(name: str, context: Context) -> Run:
    """The run of this id, or the newest run of the job.

    Raises:
        UsageError: the job has no run yet.
    """
    found = find_run(name, context)
    if found is not None:
        return found
    runs = [run for run in context.job_manager.runs(name, limit=20) if run.status is not RunStatus.SKIPPED]
    if not runs:
        raise UsageError(f"{name} never ran", hint=f"run it with: jobctl trigger {name}")
    return runs[0]


def _run_one_again(before: Run, context: Context, *, wait: bool) -> int:
    if context.uses_trigger_dev and before.id.startswith("run_"):
        from jobctl.cli.trigger_dev import run_there

        job = context.job(before.job_id)
        there, code = run_there(context, job, lambda manager: manager.rerun(before.id), wait=wait)
        report_end(there, context)
        return code
    _refuse_if_disabled(before, context)
    if not wait:
        return report_start(start_detached(context), context)
    done = _run_again(before, context)
    if not done.stuck:
        report_end(done.run, context, retry=done.retry)
    return done.code


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


def _refuse_if_disabled(before: Run, context: Context) -> None:
    if context.mode is Mode.DISABLED:
        context.manager().rerun(before.id)  # raises, and says why


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


def _run_again(before: Run, context: Context) -> ForegroundResult:
    repeated = repeat(before.id, context.store.run)
    job = context.job(before.job_id)
    due = f", due {iso(repeated.slot)}" if repeated.slot else ""
    context.output.note(f"{job.id}: again as in run {before.short_id}{due}")
    single = wait_for_store(lambda: context.single_run(job), context.clock, context.warn_of_store_error)
    with context.subscribers(single):
        return run_in_foreground(
            context, single, dict(repeated.arguments), slot=repeated.slot, rerun_of=before.id
        )
