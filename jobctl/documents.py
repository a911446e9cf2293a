"""The JSON of ``--json``: what scripts may rely on. More may be added, none renamed."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobctl.clock import iso
from jobctl.durations import milliseconds
from jobctl.model import JobMetrics, JobStatus, JobTotals, Run, RunStatus

if TYPE_CHECKING:
    from jobctl.scheduler.liveness import Presence
    from jobctl.store.logs import Usage


def time(instant: datetime | None) -> str | None:
    """ISO 8601 in UTC, or null."""
    return None if instant is None else iso(instant)


def trigger_document(run: Run) -> dict[str, Any]:
    """A run as ``trigger --json`` shows it."""
    return {
        "run_id": run.id,
        "job_id": run.job_id,
        "status": run.status.value,
        "reason": run.reason.value if run.reason else None,
        "started_at": time(run.started_at),
        "finished_at": time(run.finished_at),
        "duration_ms": milliseconds(run.duration),
        "error": run.error,
        "result": run.result,
    }


def run_document(run: Run) -> dict[str, Any]:
    """A run as ``runs --json`` shows it."""
    return {
        **trigger_document(run),
        "trigger": run.trigger.value,
        "scheduled_for": time(run.scheduled_for),
        "host": run.host,
        "pid": run.pid,
        "attempt": run.attempt,
        "retry_at": time(run.retry_at) if run.status is RunStatus.RUNNING else None,
    }


def logs_document(logs: "Usage | None") -> dict[str, Any] | None:
    """What the logs of a job take on this machine, as ``status ID --json`` shows it."""
    if logs is None:
        return None
    return {"bytes": logs.size, "limit": logs.most, "oldest_deleted_at": time(logs.deleted_at)}


def job_document(status: JobStatus) -> dict[str, Any]:
    """A job as ``status --json`` shows it."""
    return {
        "id": status.id,
        "name": status.name,
        "status": status.status.value,
        "schedule": status.schedule,
        "timezone": status.timezone,
        "last_run": time(status.last_run),
        "next_run": time(status.next_run),
        "duration_ms": milliseconds(status.duration),
        "error": status.error,
        "run_id": status.run_id,
        "note": status.note,
        "retry_at": time(status.retry_at),
    }


def scheduler_document(found: "Presence") -> dict[str, Any]:
    """The local scheduler: alive or not, and the newest one known."""
    return {
        "running": found.running,
        "pid": found.pid,
        "host": found.host,
        "since": time(found.since),
        "ended": None if found.killed else time(found.ended),
        "killed": found.killed,
        "stopped": found.stopped,
    }


def metrics_document(metrics: JobMetrics, *, detail: bool = False) -> dict[str, Any]:
    """Totals as ``metrics --json`` shows them, in ``detail`` for one job. A rate over nothing is null."""
    return {
        **_totals(metrics),
        "last_cleanup": time(metrics.last_cleanup),
        "jobs": [
            {
                "id": one.id,
                **_totals(one),
                "p50_ms": milliseconds(one.p50),
                "p95_ms": milliseconds(one.p95),
                "max_ms": milliseconds(one.max),
                **({"histogram": [asdict(each) for each in one.histogram]} if detail else {}),
            }
            for one in metrics.jobs
        ],
    }


def _totals(totals: JobMetrics | JobTotals) -> dict[str, Any]:
    return {
        "total_executions": totals.total_executions,
        "successful_jobs": totals.successful_jobs,
        "failed_jobs": totals.failed_jobs,
        "skipped": totals.skipped,
        "success_rate": totals.success_rate,
        "average_job_duration_ms": milliseconds(totals.average_job_duration),
    }
