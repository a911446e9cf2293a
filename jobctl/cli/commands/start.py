"""``jobctl start ID``: puts a stopped job back on its schedule."""

from typing import Annotated, NamedTuple

from jobctl.cli.commands.stop import chosen_jobs, confirm, registration, report
from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.managers.presence import scheduler
from jobctl.modes import Mode


class Options(NamedTuple):
    """Which jobs."""

    job_id: str | None = None
    every: bool = False
    yes: bool = False


def command(
    context: Context,
    *,
    job_id: Annotated[str | None, argument()] = None,
    every: Annotated[bool, option("start", "--all")] = False,
    yes: Annotated[bool, option("start", "--yes")] = False,
) -> int:
    """Parse."""
    return run(Options(job_id, every, yes), context)


def run(options: Options, context: Context) -> int:
    """Start, and say whether anything will come of it."""
    jobs = chosen_jobs(options.job_id, context, every=options.every, verb="start")
    if options.every:
        confirm(f"Put all {len(jobs)} jobs back on their schedules?", context, yes=options.yes, verb="start")
    store = context.store
    store.register([registration(one) for one in jobs], context.now())
    store.start([one.id for one in jobs])
    report(jobs, context)
    out = context.output
    what = jobs[0].id if len(jobs) == 1 else f"all {len(jobs)} jobs"
    out.note(f"{what}: back on the schedule")
    for job in jobs if options.job_id is not None else []:
        if job.schedule is None:
            out.note(f"it has no schedule: run it by hand with jobctl trigger {job.id}")
        elif not job.enabled:
            out.note(f"it is not enabled ({job.origin}), so no scheduler runs it")
    if context.mode is Mode.LOCAL and not scheduler(store, context.now()).running:
        out.note("no scheduler is running here: jobctl run")
    return 0
