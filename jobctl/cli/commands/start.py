"""``jobctl start ID``: puts a stopped job back on its schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobctl.cli.commands.stop import chosen_jobs, confirm, report
from jobctl.scheduler.liveness import scheduler_presence

if TYPE_CHECKING:
    from jobctl.cli.context import Context
    from jobctl.cli.shared_parameters import AllJobs, OptionalJobId, Yes


def run(
    context: Context, job_id: OptionalJobId = None, *, all_jobs: AllJobs = False, yes: Yes = False
) -> int:
    """Put a stopped job back on its schedule.

    Examples:
        jobctl start repository-sync
        jobctl start --all --yes
    """
    jobs = chosen_jobs(job_id, context, every=all_jobs, verb="start")
    if all_jobs:
        confirm(
            f"Put all {len(jobs)} jobs back on their schedules?",
            context,
            yes=yes,
            command="start --all",
        )
    manager, out = context.job_manager, context.output
    if all_jobs:
        manager.start_all_jobs()
    else:
        manager.start_job(jobs[0].id)
    report(jobs, context)
    if job_id is None:
        out.note(f"all {len(jobs)} jobs: back on the schedule{manager.place}")
    elif manager.place:
        out.note(f"{jobs[0].id}: back on the schedule{manager.place}")
    elif jobs[0].schedule is None:
        out.note(f"{jobs[0].id} has no schedule: run it manually with jobctl trigger {jobs[0].id}")
    elif not jobs[0].enabled:
        out.note(f"{jobs[0].id} is not enabled ({jobs[0].origin}), so no scheduler runs it")
    else:
        out.note(f"{jobs[0].id}: back on the schedule")
    schedules_here = manager.idle is None
    if schedules_here and not scheduler_presence(context.store, context.project.state, context.clock).running:
        out.note("no scheduler is running. Start it: jobctl run")
    return 0
