"""Runs of Trigger.dev as runs of jobctl, with the metrics and the status of a job that follow from them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain, repeat
from typing import TYPE_CHECKING, NamedTuple

from jobctl.durations import milliseconds
from jobctl.errors import ScheduleError, ServiceError
from jobctl.managers.status import AFTER_IS_LOCAL, MANUAL_ONLY, not_enabled, status_from
from jobctl.model import (
    Job,
    JobMetrics,
    JobStatus,
    JobTotals,
    Reason,
    Run,
    RunStatus,
    Status,
    Trigger,
    WaitingRun,
)
from jobctl.schedules import Excluding
from jobctl.store.metrics import histogram, percentile
from jobctl.trigger_dev.api_types import DELAYED, PAGE, RemoteRun, RemoteSchedule
from jobctl.trigger_dev.cron import trigger_cron
from jobctl.trigger_dev.schedule_sync import unknown_task

if TYPE_CHECKING:
    from jobctl.trigger_dev.client import TriggerDevClient

HOST = "Trigger.dev"
PAUSES_S = (1.0, 2.0, 3.0, 5.0)
"""Between requests for an unfinished run; the last one repeats."""
UNDEPLOYED_S = 15.0
"""How long a run may wait for a version of the worker that has its task."""


class StatusMeaning(NamedTuple):
    """A status of Trigger.dev for a run, for its job, and in words. ``reason`` None: the worker's output has it."""

    run: RunStatus
    job: Status
    reason: Reason | None
    words: str


_RUNNING, _FAILED = RunStatus.RUNNING, RunStatus.FAILED
STATUSES = {
    "PENDING_VERSION": StatusMeaning(_RUNNING, Status.SCHEDULED, None, "waits for a worker with this task"),
    DELAYED: StatusMeaning(_RUNNING, Status.SCHEDULED, None, "waits for its time"),
    "QUEUED": StatusMeaning(_RUNNING, Status.SCHEDULED, None, "waits in the queue"),
    "DEQUEUED": StatusMeaning(_RUNNING, Status.RUNNING, None, "is handed to a worker"),
    "EXECUTING": StatusMeaning(_RUNNING, Status.RUNNING, None, "runs"),
    "WAITING": StatusMeaning(_RUNNING, Status.RUNNING, None, "waits for its next attempt"),
    "COMPLETED": StatusMeaning(RunStatus.COMPLETED, Status.COMPLETED, None, "completed"),
    "CANCELED": StatusMeaning(
        RunStatus.CANCELLED, Status.SCHEDULED, Reason.CANCELLED, "it was cancelled at Trigger.dev"
    ),
    "FAILED": StatusMeaning(_FAILED, Status.FAILED, Reason.ERROR, "it failed"),
    "CRASHED": StatusMeaning(_FAILED, Status.FAILED, Reason.CRASHED, "its worker crashed"),
    "SYSTEM_FAILURE": StatusMeaning(_FAILED, Status.FAILED, Reason.CRASHED, "Trigger.dev itself failed"),
    "TIMED_OUT": StatusMeaning(
        _FAILED, Status.FAILED, Reason.TIMEOUT, "it took longer than its maximum duration"
    ),
    "EXPIRED": StatusMeaning(_FAILED, Status.FAILED, Reason.LOST, "it expired: no worker took it in time"),
}
"""Statuses of API version 2025-07-16: https://trigger.dev/docs/runs.

The API's flags ``isCompleted`` and ``isFailed`` are not used: they are false for runs that expired or timed out.
"""


def meaning(status: str) -> StatusMeaning:
    """The meaning of a status. An unknown one is not final, and shown as it is."""
    return STATUSES.get(status) or StatusMeaning(_RUNNING, Status.RUNNING, None, status.lower())


def remote_statuses(statuses: Iterable[RunStatus]) -> list[str]:
    """Trigger.dev's statuses for some of jobctl's. It has none for ``skipped``; a delayed run is no run yet."""
    wanted = set(statuses)
    return [name for name, meant in STATUSES.items() if meant.run in wanted and name != DELAYED]


def as_waiting(remote: RemoteRun) -> WaitingRun:
    """A delayed run as one that is kept for later. A list has no arguments."""
    return WaitingRun(
        remote.id,
        remote.task,
        remote.delayed_until or remote.created_at,
        Trigger.MANUAL,
        arguments=remote.arguments,
    )


def as_run(remote: RemoteRun) -> Run:
    """A run of jobctl. The output of an exported worker says why the job failed, or that it was skipped.

    The duration is the time from start to end, including pauses between attempts.
    """
    found, output = meaning(remote.status), remote.output
    is_document = isinstance(output, Mapping) and "job_id" in output and "status" in output
    status, reason, error = found.run, found.reason, remote.error
    if is_document and output["status"] == RunStatus.SKIPPED:
        excluded = output.get("reason") == Reason.EXCLUDED
        status, reason = RunStatus.SKIPPED, Reason.EXCLUDED if excluded else Reason.OVERLAP
        error = output.get("error")
    elif status is RunStatus.FAILED and error is None:
        error = found.words
    ended = remote.finished_at
    return Run(
        id=remote.id,
        job_id=remote.task,
        status=status,
        trigger=Trigger.MANUAL if remote.manual else Trigger.SCHEDULE,
        started_at=remote.started_at or remote.created_at,
        reason=reason,
        # the creation time of a schedule's run is its nominal time, whenever it starts
        scheduled_for=None if remote.manual else remote.created_at,
        finished_at=ended,
        duration=max(ended - remote.started_at, timedelta(0)) if ended and remote.started_at else None,
        error=error,
        result=output.get("result") if is_document else output,
        host=HOST,
        attempt=remote.attempts,
    )


def metrics(runs: Iterable[Run], job_ids: Iterable[str]) -> JobMetrics:
    """Totals of the finished runs among ``runs``, for these jobs and any other that has one."""
    by_job: dict[str, list[Run]] = {job_id: [] for job_id in job_ids}
    for run in runs:
        if run.status is not RunStatus.RUNNING:
            by_job.setdefault(run.job_id, []).append(run)
    jobs = tuple(_totals(job_id, found) for job_id, found in by_job.items())
    return JobMetrics(
        total_executions=sum(job.total_executions for job in jobs),
        successful_jobs=sum(job.successful_jobs for job in jobs),
        failed_jobs=sum(job.failed_jobs for job in jobs),
        skipped=sum(job.skipped for job in jobs),
        average_job_duration=_average([took for found in by_job.values() for took in _durations(found)]),
        jobs=jobs,
    )


def _totals(job_id: str, runs: list[Run]) -> JobTotals:
    durations = _durations(runs)
    ordered = sorted(milliseconds(took) or 0 for took in durations)
    count = {status: sum(run.status is status for run in runs) for status in RunStatus}
    completed, failed = count[RunStatus.COMPLETED], count[RunStatus.FAILED]
    return JobTotals(
        id=job_id,
        total_executions=completed + failed,
        successful_jobs=completed,
        failed_jobs=failed,
        skipped=count[RunStatus.SKIPPED],
        average_job_duration=_average(durations),
        p50=percentile(ordered, 50),
        p95=percentile(ordered, 95),
        max=percentile(ordered, 100),
        histogram=histogram(ordered),
    )


def _durations(runs: Iterable[Run]) -> list[timedelta]:
    ended = {RunStatus.COMPLETED, RunStatus.FAILED}
    return [run.duration for run in runs if run.status in ended and run.duration is not None]


def _average(durations: list[timedelta]) -> timedelta | None:
    return sum(durations, timedelta(0)) / len(durations) if durations else None


def poll_run(api: "TriggerDevClient", run_id: str, wait: Callable[[float], object]) -> Iterator[RemoteRun]:
    """Fetch a run again and again, until it has ended.

    Args:
        wait: called with the seconds between requests.

    Raises:
        ServiceError: the run is unknown, no worker has its task, or Trigger.dev does not respond.
    """
    waited = 0.0
    for pause in chain(PAUSES_S, repeat(PAUSES_S[-1])):
        run = api.run(run_id)
        if run is not None:
            yield run
            if meaning(run.status).run is not RunStatus.RUNNING:
                return
        if waited >= UNDEPLOYED_S and run is None:
            raise ServiceError(f"Trigger.dev does not know the run {run_id}")
        if waited >= UNDEPLOYED_S and run is not None and run.status == "PENDING_VERSION":
            problem, hint = unknown_task(run.task, api.account)
            raise ServiceError(f"{problem}; run {run_id} waits for a worker", hint=hint)
        waited += pause
        wait(pause)


def newest_runs(
    api: "TriggerDevClient", tasks: Sequence[str], started_here: Mapping[str, str]
) -> dict[str, RemoteRun]:
    """The newest run of each task that has one, delayed runs left out.

    Args:
        started_here: the id of the last run that was started from here, by task: lists lag behind.
    """
    newest: dict[str, RemoteRun] = {}
    for run in api.runs(tasks, limit=PAGE):  # one page has it for most tasks
        newest.setdefault(run.task, run)
    for task in tasks:
        last = newest.get(task) or next(iter(api.runs([task], limit=1)), None)
        known = started_here.get(task)
        if known is not None and (last is None or last.id != known):
            started = api.run(known)
            if started is not None and (last is None or started.created_at > last.created_at):
                last = started
        if last is not None and meaning(last.status).run is RunStatus.FAILED and last.error is None:
            last = api.run(last.id) or last  # a list has no errors
        if last is not None:
            newest[task] = last
    return newest


def remote_status(
    job: Job,
    schedules: Collection[RemoteSchedule],
    last: RemoteRun | None,
    delayed: Sequence[WaitingRun],
    declared: Collection[str],
) -> JobStatus:
    """The status of a job at Trigger.dev.

    Args:
        schedules: its own, one for each of its cron expressions.
        last: its newest run that is not delayed.
        delayed: its delayed runs.
        declared: tasks whose schedule is in the worker's code.
    """
    run = as_run(last) if last else None
    state = meaning(last.status).job if last else Status.SCHEDULED
    off = _off_schedule(job, schedules, declared)
    if off is not None and state is not Status.RUNNING:
        state = Status.STOPPED
    times = [run.begins_at for run in delayed]
    if off is None:
        times += [
            _not_excluded(job, each.next_run)
            for each in schedules
            if each.active and each.next_run is not None
        ]
    found = status_from(job, state, run, next_run=min(times, default=None), note=off)
    return replace(found, waiting=len(delayed)) if delayed else found


def _not_excluded(job: Job, due: datetime) -> datetime:
    """A due time there, or the first after it whose date is not excluded."""
    if isinstance(job.schedule, Excluding) and job.schedule.excludes(due):
        return job.schedule.next_after(due, due)
    return due


def _off_schedule(job: Job, schedules: Collection[RemoteSchedule], declared: Collection[str]) -> str | None:
    """Why a job is not scheduled there, or None."""
    if job.schedule is None:
        return AFTER_IS_LOCAL if job.after else MANUAL_ONLY
    if job.id in declared:
        return None
    if schedules:
        return None if any(each.active for each in schedules) else "stopped"
    if (why := not_enabled(job)) is not None:
        return why
    try:
        for member in job.schedule.members:
            trigger_cron(member)
    except ScheduleError as error:
        return str(error)
    return "not registered at Trigger.dev: jobctl run does that"
