"""``jobctl stop ID``: takes a job off its schedule, kept over restarts."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli.command_data import ALIASES
from jobctl.cli.context import Context
from jobctl.cli.options import AllJobs, OptionalJobId, Yes
from jobctl.cli.times import dated, read_later
from jobctl.clock import INSTANT
from jobctl.errors import UsageError
from jobctl.json_documents import job_document
from jobctl.model import RunStatus
from jobctl.text import printable

if TYPE_CHECKING:
    from jobctl.model import Job

OPPOSITES = {"stop": "start", "pause": "resume"}
"""The command that undoes a command."""


def run(
    context: Context,
    job_id: OptionalJobId = None,
    *,
    all_jobs: AllJobs = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Reason that status shows.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="TIME", help="Put it back then: a time, or how long from now such as 2d."
        ),
    ] = None,
    skip_next: Annotated[bool, typer.Option("--skip-next", help="Leave out its next run only.")] = False,
    yes: Yes = False,
) -> int:
    """Take a job off its schedule.

    Examples:
        jobctl stop repository-sync
        jobctl stop repository-sync --reason "host moves" --until 2d
        jobctl stop repository-sync --skip-next
        jobctl stop --all --yes
    """
    jobs = chosen_jobs(job_id, context, every=all_jobs)
    typed = context.command
    if all_jobs:
        confirm(f"Take all {len(jobs)} jobs off their schedules?", context, yes=yes, command=f"{typed} --all")
    undo = f"jobctl {OPPOSITES[typed]} {'--all' if all_jobs else jobs[0].id}"
    # half a character, as other encodings than UTF-8 leave it, fits no database
    reason = printable(reason) if reason is not None else None
    manager, out = context.job_manager, context.output
    manager.add(jobs)
    if skip_next and (all_jobs or until is not None):
        raise UsageError("--skip-next takes one job, and no --until")
    end = _after_next(jobs[0], context) if skip_next else _end(until, context)
    if all_jobs:
        manager.stop_all_jobs(reason, until=end)
    else:
        manager.stop_job(jobs[0].id, reason, until=end)
    report(jobs, context)
    stopped = jobs[0].id if len(jobs) == 1 else f"all {len(jobs)} jobs"
    how_long = f" until {dated(end)}" if end else ""
    if skip_next:
        how_long += ", so its next run is left out"
    out.note(f"{stopped}: stopped{manager.place}, off the schedule{how_long}. To put it back: {undo}")
    if not manager.place:  # else that would be one more request
        ids = {job.id for job in jobs}
        running = [run.job_id for run in manager.runs(statuses=[RunStatus.RUNNING], limit=None)]
        running = [job_id for job_id in running if job_id in ids]
        if running:
            out.note(f"a run in progress goes on: {', '.join(running)}")
    return 0


def _end(text: str | None, context: Context) -> datetime | None:
    """When jobs go back on their schedules.

    Raises:
        UsageError: the text is no time and no duration, or the time is past.
    """
    return None if text is None else read_later(text, "--until", context.now())


def _after_next(job: "Job", context: Context) -> datetime:
    """Just after the next due time of a job.

    Raises:
        UsageError: it has none.
    """
    status = context.job_manager.get_job_status(job.id)
    if status is None or status.next_run is None:
        raise UsageError(
            f"{job.id} has no next run that could be left out", hint=f"see jobctl status {job.id}"
        )
    return status.next_run + INSTANT


def chosen_jobs(job_id: str | None, context: Context, *, every: bool) -> "list[Job]":
    """The named job, or all jobs.

    Raises:
        UsageError: neither or both are named.
        UnknownJobError: no job has this id.
    """
    typed = context.command
    if every and job_id is not None:
        raise UsageError(f"{typed} takes an id or --all, not both")
    if every:
        return list(context.catalogue.jobs)
    if job_id is None:
        others = {
            "start": "the scheduler: jobctl run; one job now: jobctl trigger ID",
            "stop": f"every job: jobctl {typed} --all; the scheduler: Ctrl-C where it runs",
        }
        raise UsageError(f"{typed} needs the id of a job", hint=others[ALIASES.get(typed, typed)])
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
