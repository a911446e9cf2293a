"""Whether a job is late: which of its expectations is not met, from its definition and its record in the run store."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from jobctl.clock import INSTANT, local
from jobctl.durations import format_duration
from jobctl.model import Expectations, Job, RunStatus, Trigger
from jobctl.store.records import JobRecord, is_scheduled


class Lateness(NamedTuple):
    """``why``: a clause about the job. ``since``: when the expectation ceased to be met."""

    since: datetime
    why: str


def lateness(job: Job, record: JobRecord | None, now: datetime) -> Lateness | None:
    """The first expectation that is not met any more; None for a job that is on time, or off its schedule."""
    if job.expect is None or record is None or not is_scheduled(job, record):
        return None
    limits = sorted(_limits(job, job.expect, record))
    return limits[0] if limits and limits[0].since < now else None


def _limits(job: Job, expect: Expectations, record: JobRecord) -> Iterator[Lateness]:
    """When each expectation ceases to be met, as things stand."""
    last = record.last
    running = last if last is not None and last.status is RunStatus.RUNNING else None
    if (due := _next_slot(job, record)) is not None:
        begins = due + job.jitter
        if expect.start_within is not None:
            yield Lateness(begins + expect.start_within, f"it was due {local(due)}, and has not begun")
        if expect.done_within is not None:
            yield Lateness(begins + expect.done_within, f"it was due {local(due)}, and is not done")
    if running is not None and expect.done_within is not None:
        by_schedule = running.trigger is Trigger.SCHEDULE and running.scheduled_for is not None
        begin = running.scheduled_for if by_schedule else running.started_at
        verb = "was due" if by_schedule else "began"
        if begin is not None:
            yield Lateness(begin + expect.done_within, f"its run {verb} {local(begin)}, and is not done")
    if expect.success_every is not None:
        since = record.last_success or record.anchor
        age = format_duration(expect.success_every)
        yield Lateness(since + expect.success_every, f"no run has completed for {age}")


def _next_slot(job: Job, record: JobRecord) -> datetime | None:
    """The first due time that has had no run, also of a run that is kept for later."""
    slots = [record.waits_until] if record.waits_until is not None else []
    if job.schedule is not None:
        cursor = record.anchor - INSTANT if record.cursor is None else record.cursor
        slots.append(job.schedule.next_after(cursor, record.anchor))
    return min(slots, default=None)
