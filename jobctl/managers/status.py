"""A job's status from its definition and what the run store knows of it. What a scheduler has written down is not
computed anew."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from jobctl.model import Job, JobStatus, Run, RunStatus, Status
from jobctl.modes import Mode
from jobctl.store.records import JobRecord

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
    found = status_from(job, state, last, next_run=planned if planned and planned > now else None, note=off)
    if last is None or state is not Status.RUNNING or last.retry_at is None:
        return found
    return replace(found, note=f"retrying {last.attempt + 1}/{job.retries + 1}", retry_at=last.retry_at)


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


def all_statuses(
    jobs: Iterable[Job], records: Mapping[str, JobRecord], now: datetime, mode: Mode
) -> list[JobStatus]:
    """Every job in the order given, then those that a running application scheduled in its code."""
    chosen = list(jobs)
    chosen += _of_applications(records, {one.id for one in chosen}, now)
    found = job_statuses(chosen, records, now)
    return with_next_times(found, chosen, now) if mode is Mode.VERCEL else found


def with_next_times(statuses: Sequence[JobStatus], jobs: Sequence[Job], now: datetime) -> list[JobStatus]:
    """Each with the next time of its job's schedule, where no local scheduler writes it down."""
    return [_with_next_time(one, job, now) for one, job in zip(statuses, jobs, strict=True)]


def _with_next_time(status: JobStatus, job: Job, now: datetime) -> JobStatus:
    if job.schedule is None or status.status is Status.STOPPED or status.next_run is not None:
        return status
    return replace(status, next_run=job.schedule.next_after(now, status.last_run or now))


def recorded_jobs(records: Mapping[str, JobRecord]) -> tuple[Job, ...]:
    """Jobs as the run store knows them, without what they run."""
    from jobctl.schedules import parse_schedule

    return tuple(
        Job(
            one.id,
            one.name,
            parse_schedule(one.schedule, one.timezone) if one.schedule else None,
            "",
            origin="run store",
        )
        for one in records.values()
    )


def _of_applications(records: Mapping[str, JobRecord], known: set[str], now: datetime) -> tuple[Job, ...]:
    """The catalogue does not have them."""
    return recorded_jobs(
        {
            one.id: one
            for one in records.values()
            if one.id not in known and one.schedule and one.next_run is not None and one.next_run > now
        }
    )


def _off_schedule(job: Job, record: JobRecord | None) -> str | None:
    if record is not None and record.stopped is not None:
        return record.stop_reason or "stopped"
    return not_to_be_timed(job) or (BY_HAND if job.schedule is None else None)


def not_to_be_timed(job: Job) -> str | None:
    """Why a definition with a schedule is left off it, or None."""
    return not_enabled(job) or job.unmet


def not_enabled(job: Job) -> str | None:
    """Why a definition is off its schedule wherever it runs, or None."""
    return None if job.enabled else f"not enabled ({job.origin})"
