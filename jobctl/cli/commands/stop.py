"""``jobctl stop ID``: takes a job off its schedule, kept over restarts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from jobctl.documents import job_document
from jobctl.errors import UsageError
from jobctl.managers.status import job_statuses
from jobctl.modes import Mode
from jobctl.store.records import registration
from jobctl.text import printable

if TYPE_CHECKING:
    import typer

    from jobctl.cli.context import Context
    from jobctl.cli.parameters import AllJobs, OptionalJobId, Yes
    from jobctl.model import Job


def run(
    context: Context,
    job_id: OptionalJobId = None,
    *,
    all_jobs: AllJobs = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; status shows it.")
    ] = None,
    yes: Yes = False,
) -> int:
    """Take a job off its schedule.

    Examples:
        jobctl stop repository-sync
        jobctl stop repository-sync --reason "host moves"
        jobctl stop --all --yes
    """
    jobs = chosen_jobs(job_id, context, every=all_jobs, verb="stop")
    if all_jobs:
        confirm(f"Take all {len(jobs)} jobs off their schedules?", context, yes=yes, command="stop --all")
    undo = f"jobctl start {'--all' if all_jobs else jobs[0].id}"
    if context.mode is Mode.TRIGGER_DEV:
        if all_jobs:
            context.trigger_dev.stop_all_jobs()
        else:
            context.trigger_dev.stop_job(jobs[0].id)
        report(jobs, context)
        context.output.note(f"stopped at Trigger.dev; back on with: {undo}")
        return 0
    store = context.store
    store.register([registration(one) for one in jobs], context.now())
    # half a character, as other encodings than UTF-8 leave it, fits no database
    reason = printable(reason) if reason is not None else None
    store.stop([one.id for one in jobs], context.now(), reason)
    report(jobs, context)
    out = context.output
    running = [run.job_id for run, _ in store.unfinished() if run.job_id in {one.id for one in jobs}]
    what = jobs[0].id if len(jobs) == 1 else f"all {len(jobs)} jobs"
    out.note(f"{what}: stopped, off the schedule until: {undo}")
    if running:
        out.note(f"a run in progress goes on: {', '.join(running)}")
    return 0


def chosen_jobs(job_id: str | None, context: Context, *, every: bool, verb: str) -> list[Job]:
    """One job or all of them.

    Raises:
        UsageError: neither or both are named.
        UnknownJobError: there is no such job.
    """
    if every and job_id is not None:
        raise UsageError(f"{verb} takes an id or --all, not both")
    if every:
        return list(context.catalogue.jobs)
    if job_id is None:
        others = {
            "start": "the scheduler: jobctl run; one job now: jobctl trigger ID",
            "stop": "every job: jobctl stop --all; the scheduler: Ctrl-C where it runs",
        }
        raise UsageError(f"{verb} needs the id of a job", hint=others[verb])
    return [context.job(job_id)]


def confirm(question: str, context: Context, *, yes: bool, command: str) -> None:
    """Ask a person at a terminal.

    Raises:
        UsageError: there is no terminal, or the answer is no.
    """
    if yes:
        return
    if context.output.json or not (sys.stdin.isatty() and context.output.stderr.isatty()):
        raise UsageError(f"{command} asks first, and there is no terminal to answer on", hint="add --yes")
    context.output.stderr.write(f"{question} [y/N] ")
    context.output.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was changed")


def report(jobs: list[Job], context: Context) -> None:
    """The jobs as they now are, for ``--json``."""
    if context.output.json:
        found = (
            context.trigger_dev.statuses_of(jobs)
            if context.mode is Mode.TRIGGER_DEV
            else job_statuses(jobs, context.store.jobs(), context.now())
        )
        context.output.document({"jobs": [job_document(one) for one in found]})
