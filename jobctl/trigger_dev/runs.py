"""Trigger.dev's runs in jobctl's words: as runs, and as totals of a job."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from jobctl.durations import milliseconds
from jobctl.histogram import histogram, percentile
from jobctl.model import JobMetrics, JobTotals, Reason, Run, RunStatus, Trigger
from jobctl.trigger_dev.statuses import meaning
from jobctl.trigger_dev.wire import RemoteRun

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
