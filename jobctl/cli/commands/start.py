"""``jobctl start ID``: puts a stopped job back on its schedule."""

from typing import TYPE_CHECKING

from jobctl.cli.commands.stop import chosen_jobs, confirm, report
from jobctl.cli.context import Context
from jobctl.cli.options import AllJobs, OptionalJobId, Yes

if TYPE_CHECKING:
    from jobctl.model import Job


def run(
    context: Context, job_id: OptionalJobId = None, *, all_jobs: AllJobs = False, yes: Yes = False
) -> int:
    """Put a stopped job back on its schedule.

    Examples:
        jobctl start repository-sync
        jobctl start --all --yes
    """
    jobs = chosen_jobs(job_id, context, every=all_jobs)
    if all_jobs:
        confirm(
            f"Put all {len(jobs)} jobs back on their schedules?",
            context,
            yes=yes,
            command=f"{context.command} --all",
        )
    manager, out = context.job_manager, context.output
    manager.add(jobs)
    stopped = [] if manager.place else [job.id for job in jobs if _is_stopped(job, context)]
    if all_jobs:
        manager.start_all_jobs()
    else:
        manager.start_job(jobs[0].id)
    report(jobs, context)
    if manager.place:
        out.note(
            f"{f'all {len(jobs)} jobs' if all_jobs else jobs[0].id}: back on the schedule{manager.place}"
        )
    elif all_jobs:
        out.note(f"back on the schedule: {', '.join(stopped)}" if stopped else "no job was stopped")
    else:
        out.note(_outcome(jobs[0], was_stopped=bool(stopped)))
    context.note_missing_scheduler()
    return 0


def _is_stopped(job: "Job", context: Context) -> bool:
    record = context.store.job(job.id)
    return record is not None and record.stopped is not None


def _outcome(job: "Job", *, was_stopped: bool) -> str:
    if job.schedule_text is None:
        return f"{job.id} has no schedule: run it manually with jobctl trigger {job.id}"
    if not job.enabled:
        return f"{job.id} is not enabled ({job.origin}), so no scheduler runs it"
    if job.unmet is not None:
        return f"{job.id} cannot run yet, so no scheduler runs it: {job.unmet}"
    return f"{job.id}: back on the schedule" if was_stopped else f"{job.id} was not stopped: nothing changed"
