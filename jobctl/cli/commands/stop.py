"""``jobctl stop ID``: takes a job off its schedule, kept over restarts."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli.context import Context
from jobctl.cli.options import AllJobs, OptionalJobId, Yes
from jobctl.errors import UsageError
from jobctl.json_documents import job_document
from jobctl.model import RunStatus
from jobctl.text import printable

if TYPE_CHECKING:
    from jobctl.model import Job


def run(
    context: Context,
    job_id: OptionalJobId = None,
    *,
    all_jobs: AllJobs = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Reason that status shows.")
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
    # half a character, as other encodings than UTF-8 leave it, fits no database
    reason = printable(reason) if reason is not None else None
    manager, out = context.job_manager, context.output
    manager.add(jobs)
    if all_jobs:
        manager.stop_all_jobs(reason)
    else:
        manager.stop_job(jobs[0].id, reason)
    report(jobs, context)
    stopped = jobs[0].id if len(jobs) == 1 else f"all {len(jobs)} jobs"
    out.note(f"{stopped}: stopped{manager.place}, off the schedule. To put it back: {undo}")
    if not manager.place:  # else that would be one more request
        ids = {job.id for job in jobs}
        running = [run.job_id for run in manager.runs(statuses=[RunStatus.RUNNING], limit=None)]
        running = [job_id for job_id in running if job_id in ids]
        if running:
            out.note(f"a run in progress goes on: {', '.join(running)}")
    return 0


def chosen_jobs(job_id: str | None, context: Context, *, every: bool, verb: str) -> "list[Job]":
    """The named job, or all jobs.

    Raises:
        UsageError: neither or both are named.
        UnknownJobError: no job has this id.
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
    return [context.listed_job(job_id)]


def confirm(question: str, context: Context, *, yes: bool, command: str) -> None:
    """Ask for confirmation on the terminal.

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


def report(jobs: "list[Job]", context: Context) -> None:
    """Print the new state of the jobs with ``--json``."""
    if context.output.json:
        statuses = context.job_manager.statuses_of(jobs)
        context.output.document({"jobs": [job_document(status) for status in statuses]})
