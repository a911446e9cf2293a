"""A job's status from its definition and what the run store knows of it. Nothing is computed anew."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from jobctl.model import Job, JobStatus, Run, RunStatus, Status
from jobctl.runs.store import JobRecord

BY_HAND = "no schedule: by hand only"
_BY_RUN = {
    RunStatus.RUNNING: Status.RUNNING,
    RunStatus.COMPLETED: Status.COMPLETED,
    RunStatus.FAILED: Status.FAILED,
}


def job_status(job: Job, record: JobRecord | None, now: datetime) -> JobStatus:
    """One job as it stands. ``next_run`` is what its scheduler last wrote, None where that is past."""
    last = record.last if record else None
    state = _BY_RUN.get(last.status, Status.SCHEDULED) if last else Status.SCHEDULED
    off = _off_schedule(job, record)
    by_hand = job.schedule is None and job.unmet is None and last is not None
    if off is not None and state is not Status.RUNNING and not by_hand:
        state = Status.STOPPED
    planned = record.next_run if record and off is None else None
    return status_from(job, state, last, next_run=planned if planned and planned > now else None, note=off)


def status_from(
    job: Job, state: Status, last: Run | None, *, next_run: datetime | None, note: str | None
) -> JobStatus:
    """A status put together from the definition and the newest run, wherever that is known from."""
    return JobStatus(
        id=job.id,
        name=job.name,
        status=state,
        last_run=last.started_at if last else None,
        next_run=next_run,
        duration=last.duration if last else None,
        error=last.error if last else None,
        schedule=job.schedule.text if job.schedule else None,
        timezone=job.schedule.timezone if job.schedule else "UTC",
        run_id=last.id if last else None,
        note=note,
    )


def job_statuses(jobs: Iterable[Job], records: Mapping[str, JobRecord], now: datetime) -> list[JobStatus]:
    """Every job in the order given."""
    return [job_status(job, records.get(job.id), now) for job in jobs]


def _off_schedule(job: Job, record: JobRecord | None) -> str | None:
    if record is not None and record.stopped is not None:
        return record.stop_reason or "stopped"
    return not_to_be_timed(job) or (BY_HAND if job.schedule is None else None)


def not_to_be_timed(job: Job) -> str | None:
    """Why a definition with a schedule is left off it, or None."""
    return job.unmet if job.enabled else f"not enabled ({job.origin})"
