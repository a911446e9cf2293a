"""A job's status from what Trigger.dev has of it: its schedule and its newest run."""

from collections.abc import Collection, Mapping, Sequence

from jobctl.errors import ScheduleError
from jobctl.managers.status import BY_HAND, not_enabled, status_from
from jobctl.model import Job, JobStatus, RunStatus, Status
from jobctl.trigger_dev.api import PAGE, TriggerDev
from jobctl.trigger_dev.crons import trigger_cron
from jobctl.trigger_dev.runs import as_run
from jobctl.trigger_dev.statuses import meaning
from jobctl.trigger_dev.wire import RemoteRun, RemoteSchedule


def newest_runs(api: TriggerDev, tasks: Sequence[str], remembered: Mapping[str, str]) -> dict[str, RemoteRun]:
    """The newest run of each task that has one.

    One page serves most of them; who runs seldom is asked for alone. The list lags behind and may stay
    empty though runs happen, so runs that were started from here are asked for by their ids. A failed run
    is read whole, since a list tells no error.
    """
    found: dict[str, RemoteRun] = {}
    for run in api.runs(tasks, limit=PAGE):
        found.setdefault(run.task, run)
    for task in tasks:
        listed = found.get(task) or next(iter(api.runs([task], limit=1)), None)
        known = remembered.get(task)
        if known is not None and (listed is None or listed.id != known):
            ours = api.run(known)
            if ours is not None and (listed is None or ours.created_at > listed.created_at):
                listed = ours
        if listed is not None and meaning(listed.status).run is RunStatus.FAILED and listed.error is None:
            listed = api.run(listed.id) or listed
        if listed is not None:
            found[task] = listed
    return found


def remote_status(
    job: Job, schedule: RemoteSchedule | None, last: RemoteRun | None, declared: Collection[str]
) -> JobStatus:
    """One job as it stands there."""
    run = as_run(last) if last else None
    state = meaning(last.status).job if last else Status.SCHEDULED
    off = _off_schedule(job, schedule, declared)
    if off is not None and state is not Status.RUNNING:
        state = Status.STOPPED
    next_run = schedule.next_run if schedule and off is None else None
    return status_from(job, state, run, next_run=next_run, note=off)


def _off_schedule(job: Job, schedule: RemoteSchedule | None, declared: Collection[str]) -> str | None:
    if job.schedule is None:
        return BY_HAND
    if job.id in declared:
        return None
    if schedule is not None:
        return None if schedule.active else "stopped"
    if (why := not_enabled(job)) is not None:
        return why
    try:
        trigger_cron(job.schedule)
    except ScheduleError as error:
        return str(error)
    return "not registered at Trigger.dev: jobctl run does that"
