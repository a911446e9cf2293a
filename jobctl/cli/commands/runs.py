"""``jobctl runs [ID|RUN]``: lists runs, newest first, or shows a single run."""

from datetime import datetime
from typing import Annotated

import typer

from jobctl.cli.context import Context, find_run, find_waiting, read_runs, report_service_error
from jobctl.cli.options import MAX_COUNT, JobOrRunId, NoHeader
from jobctl.cli.times import read_since
from jobctl.cli.views.runs import (
    LAST,
    actions_piped,
    actions_screen,
    detail,
    piped,
    screen,
    waiting_piped,
    waiting_screen,
)
from jobctl.errors import UsageError
from jobctl.model import Run, RunStatus, WaitingRun


def run(
    context: Context,
    job_or_run: JobOrRunId = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed runs.")] = False,
    status: Annotated[RunStatus | None, typer.Option("--status", help="Only runs in this state.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Only runs since a time, or since a duration ago such as 2d."
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", metavar="N", min=0, help="Number of runs at most, 0 for all."),
    ] = 20,
    waiting: Annotated[bool, typer.Option("--waiting", help="Runs that are kept for later.")] = False,
    actions: Annotated[
        bool, typer.Option("--actions", help="What people did to jobs and runs, and why.")
    ] = False,
    no_header: NoHeader = False,
) -> int:
    """List runs, newest first; or those kept for later.

    Examples:
        jobctl runs
        jobctl runs repository-sync --limit 5
        jobctl runs --failed --since 2d
        jobctl runs 3f2a91
        jobctl runs --waiting
        jobctl runs repository-sync --actions --since 7d
    """
    context.tolerate_bad_settings()
    if failed and status not in {None, RunStatus.FAILED}:
        raise UsageError(f"--failed and --status {status} exclude each other")
    now = context.now()
    begin = read_since(since, now) if since else None
    job_id = job_or_run
    if waiting or actions:
        if failed or status or (waiting and (actions or since)):
            raise UsageError("--waiting and --actions list no runs of a state; --waiting takes no --since")
        if job_id is not None:
            context.check_known(job_id)
        most = min(limit, MAX_COUNT) or None
        if waiting:
            return _show_waiting(context, job_id, most, header=not no_header)
        return _show_actions(context, job_id, begin, most, header=not no_header)
    if job_id is not None and (kept := find_waiting(job_id, context)) is not None:
        _present_waiting([kept], 0, context, header=not no_header)
        return 0
    if job_id is not None and (one := find_run(job_id, context)) is not None:
        return show_run(one, context, header=not no_header)
    limit = min(limit, MAX_COUNT)
    wanted = RunStatus.FAILED if failed else status
    out = context.output
    at_a_glance = job_id is not None and not (wanted or begin) and out.is_terminal and not out.json
    most = max(limit + 1, LAST if at_a_glance else 0) if limit else None
    statuses = [wanted] if wanted else []
    nothing: list[Run] = []
    runs, service_error = read_runs(
        context,
        remote=lambda manager: manager.runs(job_id, statuses=statuses, since=begin, limit=most),
        local=lambda store: list(store.runs(job_id, statuses=statuses, since=begin, limit=most)),
        default=nothing,
    )
    more = bool(limit) and len(runs) > limit
    shown = runs[:limit] if limit else runs
    if out.json:
        from jobctl.json_documents import run_document

        out.document({"runs": [run_document(run) for run in shown]})
    else:
        lately = runs[:LAST] if at_a_glance else ()
        out.present(
            lambda terminal: screen(
                shown, now, terminal, more=more, of_one_job=job_id is not None, lately=lately
            ),
            lambda: piped(shown, header=not no_header),
        )
    return report_service_error(service_error, out)


def _show_waiting(context: Context, job_id: str | None, most: int | None, *, header: bool) -> int:
    out = context.output
    nothing: list[WaitingRun] = []
    found, service_error = read_runs(
        context,
        remote=lambda manager: list(manager.waiting_runs(job_id)),
        local=lambda store: list(store.waiting(job_id)),
        default=nothing,
    )
    shown = found[:most]
    _present_waiting(shown, len(found) - len(shown), context, header=header)
    return report_service_error(service_error, out)


def _present_waiting(shown: list[WaitingRun], left_out: int, context: Context, *, header: bool) -> None:
    out = context.output
    if out.json:
        from jobctl.json_documents import waiting_document

        out.document({"waiting": [waiting_document(run) for run in shown]})
        return
    out.present(
        lambda terminal: waiting_screen(shown, context.now(), terminal, left_out=left_out),
        lambda: waiting_piped(shown, header=header),
    )


def _show_actions(
    context: Context, job_id: str | None, begin: datetime | None, most: int | None, *, header: bool
) -> int:
    out = context.output
    store = context.store_if_any
    shown = store.actions(job_id, since=begin, limit=most) if store is not None else []
    if out.json:
        from jobctl.json_documents import action_document

        out.document({"actions": [action_document(action) for action in shown]})
        return 0
    out.present(
        lambda terminal: actions_screen(shown, context.now(), terminal),
        lambda: actions_piped(shown, header=header),
    )
    return 0


def show_run(run: Run, context: Context, *, header: bool) -> int:
    """Show a single run."""
    out = context.output
    if out.json:
        from jobctl.json_documents import run_document

        out.document(run_document(run))
    else:
        out.present(
            lambda terminal: detail(run, context.now(), terminal), lambda: piped([run], header=header)
        )
    return 0
