"""``jobctl cancel RUN``: asks a run to end, wherever it runs, and waits for its end."""

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli.context import Context, find_run, find_waiting
from jobctl.cli.options import RunningJobOrRun
from jobctl.cli.views.runs import ending
from jobctl.durations import ago, format_duration
from jobctl.errors import ExitCode, NotRunningError, UsageError
from jobctl.json_documents import trigger_document, waiting_document
from jobctl.model import DEFAULT_GRACE, Run, RunStatus
from jobctl.text import counted, is_id_prefix, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.model import WaitingRun

_POLL_S = 0.1
_AFTER_GRACE_S = 15.0
"""Seconds to wait for a run to end after its grace time: another machine reads the request once a second."""


def run(
    context: Context,
    job_or_run: RunningJobOrRun,
    *,
    now: Annotated[bool, typer.Option("--now", help="End it without a grace time.")] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Reason that is kept with the run.")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for its end.")] = False,
) -> int:
    """End a run, wherever it runs; it is not retried.

    Examples:
        jobctl cancel repository-sync
        jobctl cancel 8f2a4c1e --reason "wrong arguments"
        jobctl cancel repository-sync --now
    """
    why = printable(reason) if reason else None
    asked, kept = _find(job_or_run, context)
    manager, out = context.job_manager, context.output
    cancelled = 0
    if kept:
        cancelled, begun = _cancel_waiting(kept, why, context)
        asked = begun or asked
    if asked is not None and not manager.cancel_run(asked.id, why, now=now):
        if not cancelled:
            raise _ended(manager.run(asked.id) or asked, context)
        asked = None
    if asked is None:
        if out.json:
            out.document({"waiting": [waiting_document(run) for run in kept]})
        return ExitCode.DONE
    out.note(f"{asked.job_id}: run {asked.short_id} is asked to end")
    last = asked if no_wait else _wait(asked, context)
    if out.json:
        out.document(trigger_document(last))
    if last.status is RunStatus.RUNNING:
        if no_wait:
            return ExitCode.DONE
        place = f"pid {last.pid} on {last.host}" if last.pid else last.host
        out.warn(f"it has not ended yet ({place}); see its end with: jobctl runs {last.job_id}")
        return ExitCode.JOB_FAILED
    out.note(ending(last))
    return ExitCode.DONE if last.status is RunStatus.CANCELLED else ExitCode.ALREADY_RUNNING


def _cancel_waiting(
    kept: "Sequence[WaitingRun]", why: str | None, context: Context
) -> tuple[int, Run | None]:
    """Cancel runs that wait; returns how many, and the run that has begun meanwhile: it goes on, or has ended."""
    manager = context.job_manager
    batches = {run.batch for run in kept if run.batch is not None and len(kept) > 1}
    ended = sum(manager.cancel_batch(batch, why) for batch in batches)
    begun: Run | None = None
    for run in kept:
        if run.batch in batches:
            continue
        is_asked = manager.cancel_run(run.id, why)
        found = manager.run(run.id)
        if found is not None and (not is_asked or found.status is RunStatus.RUNNING):
            begun = found
        else:
            ended += is_asked
    if batches and begun is None:
        going = manager.runs(kept[0].job_id, statuses=[RunStatus.RUNNING], limit=1)
        begun = next((run for run in going if run.batch in batches), None)
    if ended:
        when = "before it began" if ended == 1 else "before they began"
        context.output.note(f"{kept[0].job_id}: {counted(ended, 'run')} cancelled {when}")
    return ended, begun


def _find(name: str, context: Context) -> "tuple[Run | None, Sequence[WaitingRun]]":
    """What to end: the unfinished run of this id, job or backfill, and runs that are kept for later.

    Of a job that runs, only that run; of one that does not, all its runs that wait.

    Raises:
        NotRunningError: the run has ended, or no run of the job goes on or waits.
        UsageError: several backfills begin with the name.
    """
    if (kept := find_waiting(name, context)) is not None:
        return None, [kept]
    store = None if context.uses_trigger_dev else context.store_if_any
    if store is not None and is_id_prefix(name) and not context.is_recorded(name):
        going = store.runs(statuses=[RunStatus.RUNNING], limit=None)
        running = [run for run in going if run.batch is not None and run.batch.startswith(name)]
        waits = store.waiting(batch=name)
        if len({run.batch for run in running} | {run.batch for run in waits}) > 1:
            raise UsageError(f'several backfills begin with "{name}"', hint="type more of its characters")
        if running or waits:
            return running[0] if running else None, waits
    found = find_run(name, context)
    if found is None:
        going = context.job_manager.runs(name, statuses=[RunStatus.RUNNING], limit=1)
        if going:
            return going[0], []
        waits = context.job_manager.waiting_runs(name)
        if not waits:
            raise NotRunningError(f"{name} is not running", hint=f"what ran: jobctl runs {name}")
        return None, waits
    if found.status is not RunStatus.RUNNING:
        raise _ended(found, context)
    return found, []


def _ended(run: Run, context: Context) -> NotRunningError:
    when = f" ({ago(run.finished_at, context.now())})" if run.finished_at else ""
    spent = f" after {format_duration(run.duration)}" if run.duration is not None else ""
    return NotRunningError(
        f"run {run.short_id} of {run.job_id} has ended: {run.status.value}{spent}{when}",
        hint=f"run it again with: jobctl rerun {run.short_id}",
    )


def _wait(run: Run, context: Context) -> Run:
    """The run when it has ended, or as it is when the time is over."""
    manager = context.job_manager
    known = next((job for job in context.catalogue if job.id == run.job_id), None)
    grace = known.grace if known else DEFAULT_GRACE
    end = context.clock.monotonic() + grace.total_seconds() + _AFTER_GRACE_S
    pause = threading.Event()
    with context.output.working(f"waiting for the end of {run.job_id}"):
        while (last := manager.run(run.id) or run).status is RunStatus.RUNNING:
            if context.clock.monotonic() > end:
                break
            pause.wait(1.0 if manager.place else _POLL_S)
    return last
