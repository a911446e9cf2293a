"""The JSON documents of ``--json`` and of the endpoints. Fields may be added; none is renamed or removed."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobctl.clock import iso
from jobctl.durations import milliseconds
from jobctl.model import (
    Action,
    JobMetrics,
    JobStatus,
    JobTotals,
    Progress,
    Run,
    RunStatus,
    SentNotification,
    WaitingRun,
)

if TYPE_CHECKING:
    from jobctl.model import Job
    from jobctl.scheduler.liveness import Presence
    from jobctl.settings.masking import Mask
    from jobctl.store.logs import LogUsage


def time(instant: datetime | None) -> str | None:
    """ISO 8601 in UTC, or null."""
    return None if instant is None else iso(instant)


def trigger_document(run: Run) -> dict[str, Any]:
    """A run as in ``trigger --json``."""
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
    """A run as in ``runs --json``."""
    return {
        **trigger_document(run),
        "trigger": run.trigger.value,
        "scheduled_for": time(run.scheduled_for),
        "host": run.host,
        "pid": run.pid,
        "attempt": run.attempt,
        "arguments": dict(run.arguments or {}),
        "progress": _progress(run.progress),
        "rerun_of": run.rerun_of,
        "actor": run.actor,
        "batch": run.batch,
        "retry_at": time(run.retry_at) if run.status is RunStatus.RUNNING else None,
    }


def waiting_document(run: WaitingRun) -> dict[str, Any]:
    """A run that is kept for later as in ``runs --waiting --json``."""
    return {
        "run_id": run.id,
        "job_id": run.job_id,
        "begins_at": time(run.begins_at),
        "trigger": run.trigger.value,
        "scheduled_for": time(run.slot),
        "arguments": dict(run.arguments or {}),
        "rerun_of": run.rerun_of,
        "actor": run.actor,
        "reason": run.reason,
        "batch": run.batch,
    }


def action_document(action: Action) -> dict[str, Any]:
    """What a person or a program did, as in ``runs --actions --json``."""
    return {
        "action": action.kind.value,
        "at": time(action.at),
        "actor": action.actor,
        "job_id": action.job_id,
        "run_id": action.run_id,
        "reason": action.reason,
    }


def settings_document(job: "Job", mask: "Mask") -> dict[str, Any]:
    """The definition of a job as in ``status ID --json``: the value and the place of each key."""
    from jobctl.catalogue.definition import definition

    return {each.key: {"value": each.value, "place": each.place} for each in definition(job, mask)}


def notification_document(sent: SentNotification) -> dict[str, Any]:
    """A notification that was sent, as in ``status ID --json``."""
    return {
        "at": time(sent.at),
        "event": sent.event,
        "run_id": sent.run_id,
        "channel": sent.channel,
        "receiver": sent.receiver,
        "error": sent.error,
    }


def logs_document(logs: "LogUsage | None") -> dict[str, Any] | None:
    """The disk usage of a job's logs on this machine, as in ``status ID --json``."""
    if logs is None:
        return None
    return {"bytes": logs.size, "limit": logs.limit, "oldest_deleted_at": time(logs.deleted_at)}


def job_document(status: JobStatus) -> dict[str, Any]:
    """A job as in ``status --json``."""
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
        "progress": _progress(status.progress),
        "stopped_until": time(status.stopped_until),
        "waiting": status.waiting,
        "late": status.late,
    }


def _progress(progress: Progress | None) -> dict[str, Any] | None:
    return None if progress is None else asdict(progress)


def scheduler_document(found: "Presence") -> dict[str, Any]:
    """The local scheduler that runs, or the last one that did."""
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
    """Totals as in ``metrics --json``; a rate of no runs is null. ``detail`` adds the histograms."""
    return {
        **_totals(metrics),
        "last_cleanup": time(metrics.last_cleanup),
        "jobs": [
            {
                "id": job.id,
                **_totals(job),
                "p50_ms": milliseconds(job.p50),
                "p95_ms": milliseconds(job.p95),
                "max_ms": milliseconds(job.max),
                **({"histogram": [asdict(bucket) for bucket in job.histogram]} if detail else {}),
            }
            for job in metrics.jobs
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
