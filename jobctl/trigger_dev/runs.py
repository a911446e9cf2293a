"""Trigger.dev's words for the state of a run, and ours.

Its flags ``isCompleted`` and ``isFailed`` are false for runs that expired or ran out of time, so what is
final is decided here: https://trigger.dev/docs/runs, vocabulary of API version 2025-07-16.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl.durations import milliseconds
from jobctl.errors import ScheduleError, ServiceError
from jobctl.histogram import histogram, percentile
from jobctl.managers.status import BY_HAND, not_enabled, status_from
from jobctl.model import Job, JobMetrics, JobStatus, JobTotals, Reason, Run, RunStatus, Status, Trigger
from jobctl.trigger_dev.cron import trigger_cron
from jobctl.trigger_dev.schedule_sync import unknown_task
from jobctl.trigger_dev.wire import PAGE, RemoteRun, RemoteSchedule

if TYPE_CHECKING:
    from jobctl.trigger_dev.client import TriggerDev


class Meaning(NamedTuple):
    """What a word means for a run, for its job, and for people. ``reason`` None is that of the job itself."""

    run: RunStatus
    job: Status
    reason: Reason | None
    words: str


_RUNNING, _FAILED = RunStatus.RUNNING, RunStatus.FAILED
MEANINGS = {
    "PENDING_VERSION": Meaning(_RUNNING, Status.SCHEDULED, None, "waits for a worker with this task"),
    "DELAYED": Meaning(_RUNNING, Status.SCHEDULED, None, "waits for its time"),
    "QUEUED": Meaning(_RUNNING, Status.SCHEDULED, None, "waits in the queue"),
    "DEQUEUED": Meaning(_RUNNING, Status.RUNNING, None, "is handed to a worker"),
    "EXECUTING": Meaning(_RUNNING, Status.RUNNING, None, "runs"),
    "WAITING": Meaning(_RUNNING, Status.RUNNING, None, "waits for its next attempt"),
    "COMPLETED": Meaning(RunStatus.COMPLETED, Status.COMPLETED, None, "completed"),
    "CANCELED": Meaning(
        RunStatus.CANCELLED, Status.SCHEDULED, Reason.CANCELLED, "it was cancelled at Trigger.dev"
    ),
    "FAILED": Meaning(_FAILED, Status.FAILED, Reason.ERROR, "it failed"),
    "CRASHED": Meaning(_FAILED, Status.FAILED, Reason.CRASHED, "its worker crashed"),
    "SYSTEM_FAILURE": Meaning(_FAILED, Status.FAILED, Reason.CRASHED, "Trigger.dev itself failed"),
    "TIMED_OUT": Meaning(_FAILED, Status.FAILED, Reason.TIMEOUT, "it took longer than its maximum duration"),
    "EXPIRED": Meaning(_FAILED, Status.FAILED, Reason.LOST, "it expired: no worker took it in time"),
}


def meaning(status: str) -> Meaning:
    """Of one word. One that is not known is not final, and shown as it is."""
    return MEANINGS.get(status) or Meaning(_RUNNING, Status.RUNNING, None, status.lower())


def words_for(statuses: Iterable[RunStatus]) -> list[str]:
    """Every word of Trigger.dev for some of ours. It has none for ``skipped``."""
    wanted = set(statuses)
    return [word for word, one in MEANINGS.items() if one.run in wanted]


PLACE = "Trigger.dev"


def as_run(remote: RemoteRun) -> Run:
    """One run. What its worker answered counts: it says why a job failed, and that one was skipped.

    The duration is the time from beginning to end, pauses between attempts included.
    """
    found = meaning(remote.status)
    told = remote.output if _is_told(remote.output) else {}
    status, reason, error = found.run, found.reason, remote.error
    if told.get("status") == RunStatus.SKIPPED:
        status, reason, error = RunStatus.SKIPPED, Reason.OVERLAP, told.get("error")
    elif status is RunStatus.FAILED and error is None:
        error = found.words
    ended = remote.finished_at
    return Run(
        id=remote.id,
        job_id=remote.task,
        status=status,
        trigger=Trigger.MANUAL if remote.by_hand else Trigger.SCHEDULE,
        started_at=remote.started_at or remote.created_at,
        reason=reason,
        # the engine dates the run of a schedule by its nominal time, however early or late it begins
        scheduled_for=None if remote.by_hand else remote.created_at,
        finished_at=ended,
        duration=max(ended - remote.started_at, timedelta(0)) if ended and remote.started_at else None,
        error=error,
        result=told.get("result") if told else remote.output,
        host=PLACE,
        attempt=remote.attempts,
    )


def totals(runs: Iterable[Run], job_ids: Iterable[str]) -> JobMetrics:
    """Over these runs; one that has not ended is none yet."""
    by_job: dict[str, list[Run]] = {job_id: [] for job_id in job_ids}
    for run in runs:
        if run.status is not RunStatus.RUNNING:
            by_job.setdefault(run.job_id, []).append(run)
    jobs = tuple(_of_job(job_id, found) for job_id, found in by_job.items())
    timed = [one for found in by_job.values() for one in _durations(found)]
    return JobMetrics(
        total_executions=sum(one.total_executions for one in jobs),
        successful_jobs=sum(one.successful_jobs for one in jobs),
        failed_jobs=sum(one.failed_jobs for one in jobs),
        skipped=sum(one.skipped for one in jobs),
        average_job_duration=_average(timed),
        jobs=jobs,
    )


def _of_job(job_id: str, runs: list[Run]) -> JobTotals:
    statuses = [run.status for run in runs]
    completed, failed = statuses.count(RunStatus.COMPLETED), statuses.count(RunStatus.FAILED)
    timed = _durations(runs)
    ordered = sorted(milliseconds(one) or 0 for one in timed)
    return JobTotals(
        id=job_id,
        total_executions=completed + failed,
        successful_jobs=completed,
        failed_jobs=failed,
        skipped=statuses.count(RunStatus.SKIPPED),
        average_job_duration=_average(timed),
        p50=percentile(ordered, 50),
        p95=percentile(ordered, 95),
        max=percentile(ordered, 100),
        histogram=histogram(ordered),
    )


def _durations(runs: Iterable[Run]) -> list[timedelta]:
    """Of those that were executed to an end of their own."""
    ended = {RunStatus.COMPLETED, RunStatus.FAILED}
    return [run.duration for run in runs if run.status in ended and run.duration is not None]


def _average(durations: list[timedelta]) -> timedelta | None:
    return sum(durations, timedelta(0)) / len(durations) if durations else None


def _is_told(output: Any) -> bool:
    """Whether an output is the document that an exported worker answers with."""
    return isinstance(output, Mapping) and "job_id" in output and "status" in output


PAUSES_S = (1.0, 2.0, 3.0, 5.0)
"""Between two looks at a run; the last one again and again."""
UNDEPLOYED_S = 15.0
"""How long a run may wait for a version of the worker that has its task."""


def looks(api: "TriggerDev", run_id: str, wait: Callable[[float], object]) -> Iterator[RemoteRun]:
    """The run at each look that finds it.

    Args:
        wait: between two looks; takes seconds.

    Raises:
        ServiceError: nobody knows it, no worker has its task, or Trigger.dev does not answer.
    """
    waited = 0.0
    for pause in chain(PAUSES_S, repeat(PAUSES_S[-1])):
        run = api.run(run_id)
        if run is not None:
            yield run
            if meaning(run.status).run is not RunStatus.RUNNING:
                return
        if waited >= UNDEPLOYED_S:
            _demand_worker(api, run_id, run)
        waited += pause
        wait(pause)


def _demand_worker(api: "TriggerDev", run_id: str, run: RemoteRun | None) -> None:
    if run is None:
        raise ServiceError(f"Trigger.dev does not know the run {run_id}")
    if run.status == "PENDING_VERSION":
        text, hint = unknown_task(run.task, api.account)
        raise ServiceError(f"{text}; run {run_id} waits there for one", hint=hint)


def newest_runs(
    api: "TriggerDev", tasks: Sequence[str], remembered: Mapping[str, str]
) -> dict[str, RemoteRun]:
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
