"""A job's status, from its definition and its record in the run store. The next run is what a scheduler saved there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from jobctl.catalogue.expectations import lateness
from jobctl.model import AFTER, Job, JobStatus, Run, RunStatus, Status
from jobctl.modes import Mode
from jobctl.store.records import JobRecord

MANUAL_ONLY = "no schedule: manual only"
AFTER_IS_LOCAL = "only jobctl run starts a job after others"
AFTER_HINT = "give it every or cron"
_BY_RUN = {
    RunStatus.RUNNING: Status.RUNNING,
    RunStatus.COMPLETED: Status.COMPLETED,
    RunStatus.FAILED: Status.FAILED,
}


def job_status(job: Job, record: JobRecord | None, now: datetime) -> JobStatus:
    """The current status of a job. ``next_run`` is what its scheduler last saved, None where that is past."""
    last = record.last if record else None
    off = _off_schedule(job, record)
    state = state_of(last.status if last else None, is_off=off is not None, is_manual=is_manual_only(job))
    planned = record.next_run if record and off is None else None
    if record is not None and record.waits_until is not None:
        planned = min(record.waits_until, planned or record.waits_until)
    found = status_from(job, state, last, next_run=planned if planned and planned > now else None, note=off)
    if record is not None and record.waiting:
        found = replace(found, waiting=record.waiting)
    if (late := lateness(job, record, now)) is not None:
        found = replace(found, late=late.why, late_since=late.since)
    if state is Status.STOPPED and record is not None and record.stopped_until is not None:
        return replace(found, stopped_until=record.stopped_until)
    if last is None or state is not Status.RUNNING or last.retry_at is None:
        return found
    return replace(found, note=f"retrying {last.attempt + 1}/{job.retries + 1}", retry_at=last.retry_at)


def state_of(last: RunStatus | None, *, is_off: bool, is_manual: bool) -> Status:
    """The state of a job.

    Args:
        last: the status of its newest run.
        is_off: whether it is off its schedule.
        is_manual: whether it could run, but has no schedule.
    """
    state = Status.SCHEDULED if last is None else _BY_RUN.get(last, Status.SCHEDULED)
    is_stopped = is_off and state is not Status.RUNNING and not (is_manual and last is not None)
    return Status.STOPPED if is_stopped else state


def is_manual_only(job: Job) -> bool:
    """Whether a job could run, but has no schedule."""
    return job.schedule_text is None and job.unmet is None


def is_off_schedule(job: Job) -> bool:
    """Whether a job is off its schedule by its definition alone."""
    return not_enabled(job) is not None or job.unmet is not None or job.schedule_text is None


def status_from(
    job: Job, state: Status, last: Run | None, *, next_run: datetime | None, note: str | None
) -> JobStatus:
    """A status from the definition and the newest run, wherever that is recorded."""
    return JobStatus(
        id=job.id,
        name=job.name,
        status=state,
        last_run=last.started_at if last else None,
        next_run=next_run,
        duration=last.duration if last else None,
        error=last.error if last else None,
        schedule=job.schedule_text,
        timezone=job.schedule.timezone if job.schedule else "UTC",
        run_id=last.id if last else None,
        note=note,
        progress=last.progress if last and state is Status.RUNNING else None,
    )


def job_statuses(jobs: Iterable[Job], records: Mapping[str, JobRecord], now: datetime) -> list[JobStatus]:
    """Every job in the order given."""
    return [job_status(job, records.get(job.id), now) for job in jobs]


def all_statuses(
    jobs: Iterable[Job], records: Mapping[str, JobRecord], now: datetime, mode: Mode
) -> list[JobStatus]:
    """Every job in the order given, then those that another program or project schedules."""
    chosen = list(jobs)
    known = {job.id for job in chosen}
    chosen += recorded_jobs(
        record for record in records.values() if record.id not in known and is_in_use(record, now)
    )
    statuses = job_statuses(chosen, records, now)
    return with_next_times(statuses, chosen, now) if mode is Mode.VERCEL else statuses


def is_in_use(record: JobRecord, now: datetime) -> bool:
    """Whether a job runs or waits, or has a schedule and is planned or stopped; else its program or project may be gone."""
    is_planned = record.next_run is not None and record.next_run > now
    is_running = record.last is not None and record.last.status is RunStatus.RUNNING
    return (
        is_running
        or record.waiting > 0
        or (bool(record.schedule) and (is_planned or record.stopped is not None))
    )


def with_next_times(statuses: Sequence[JobStatus], jobs: Sequence[Job], now: datetime) -> list[JobStatus]:
    """Each status with the next time of its job's schedule, for modes in which no local scheduler saves it.

    One of a job that runs after others gets a note that such a mode does not start it.
    """
    return [_with_next_time(status, job, now) for status, job in zip(statuses, jobs, strict=True)]


def _with_next_time(status: JobStatus, job: Job, now: datetime) -> JobStatus:
    if job.after and status.note is None:
        return replace(status, note=AFTER_IS_LOCAL)
    if job.schedule is None or status.status is Status.STOPPED or status.next_run is not None:
        return status
    return replace(status, next_run=job.schedule.next_after(now, status.last_run or now))


def recorded_jobs(records: Iterable[JobRecord]) -> list[Job]:
    """Jobs as the run store knows them, without their targets."""
    from jobctl.schedules import parse_schedule

    jobs = []
    for record in records:
        text, is_after = record.schedule, record.schedule.startswith(AFTER)
        schedule = parse_schedule(text, record.timezone) if text and not is_after else None
        after = tuple(text.removeprefix(AFTER).split(", ")) if is_after else ()
        jobs.append(Job(record.id, record.name, schedule, "", origin="run store", after=after))
    return jobs


def _off_schedule(job: Job, record: JobRecord | None) -> str | None:
    if record is not None and record.stopped is not None:
        return record.stop_reason or "stopped"
    return not_enabled(job) or job.unmet or (MANUAL_ONLY if job.schedule_text is None else None)


def not_enabled(job: Job) -> str | None:
    """Why a definition is off its schedule wherever it runs, or None."""
    return None if job.enabled else f"not enabled ({job.origin})"
