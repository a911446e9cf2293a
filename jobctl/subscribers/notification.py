"""A notification about a job, as a sentence and as JSON."""

import socket
from datetime import datetime
from typing import Any, NamedTuple

from jobctl.catalogue.notify_settings import NotificationKind
from jobctl.clock import iso
from jobctl.durations import format_duration
from jobctl.events import JobLate, JobOnTime, SlotsMissed
from jobctl.model import Run, RunStatus
from jobctl.store.base import RunStore
from jobctl.text import counted

FINAL = (RunStatus.COMPLETED, RunStatus.FAILED)
_MAX_COUNTED = 200


class Notification(NamedTuple):
    """What is sent to every receiver.

    Attributes:
        text: a sentence.
        run: the run that changed the job's state; None for missed slots.
        missed: the number of missed slots.
    """

    kind: NotificationKind
    job_id: str
    job_name: str
    text: str
    at: datetime
    run: Run | None = None
    missed: int = 0

    def document(self) -> dict[str, Any]:
        """The notification as JSON."""
        run = self.run
        return {
            "event": self.kind.value,
            "job": {"id": self.job_id, "name": self.job_name},
            "text": self.text,
            "at": iso(self.at),
            "host": socket.gethostname(),
            "missed": self.missed,
            "run": None
            if run is None
            else {
                "run_id": run.id,
                "status": run.status.value,
                "reason": run.reason.value if run.reason else None,
                "error": run.error,
                "started_at": iso(run.started_at),
                "finished_at": iso(run.finished_at) if run.finished_at else None,
            },
        }


def of_run(run: Run, job_name: str, store: RunStore) -> Notification:
    """The notification for a run that changed its job's state.

    Raises:
        StoreError: the run store cannot be read.
    """
    at = run.finished_at or run.started_at
    if run.status is RunStatus.FAILED:
        error = " ".join((run.error or str(run.reason)).split())[:300]
        reason = f" ({run.reason.value})" if run.reason and run.reason.value != "error" else ""
        text = f"{run.job_id} failed{reason}: {error}"
        return Notification(NotificationKind.FAILURE, run.job_id, job_name, text, at, run)
    text = f"{run.job_id} recovered{_failures_before(run, at, store)}"
    return Notification(NotificationKind.RECOVERY, run.job_id, job_name, text, at, run)


def of_slots(event: SlotsMissed, job_name: str) -> Notification:
    """The notification for missed slots."""
    text = f"{event.job_id} {missed(event)}"
    return Notification(NotificationKind.MISSED, event.job_id, job_name, text, event.at, missed=event.count)


def of_lateness(event: JobLate | JobOnTime, job_name: str) -> Notification:
    """The notification that a job is late, or on time again."""
    if isinstance(event, JobLate):
        text = f"{event.job_id} is late: {event.why}"
        return Notification(NotificationKind.LATE, event.job_id, job_name, text, event.at)
    return Notification(
        NotificationKind.ON_TIME, event.job_id, job_name, f"{event.job_id} is on time again", event.at
    )


def test_notification(at: datetime) -> Notification:
    """What ``check notify`` sends."""
    text = "this is a test of jobctl's notifications; nothing has happened"
    return Notification(NotificationKind.TEST, "test", "Test", text, at)


def missed(event: SlotsMissed) -> str:
    """``missed 3 slots; it waits for its next slot``."""
    consequence = "it runs now" if event.runs_now else "it waits for its next slot"
    return f"missed {counted(event.count, 'slot')}; {consequence}"


def _failures_before(run: Run, at: datetime, store: RunStore) -> str:
    """`` after 3 failed runs (2 h)``."""
    newest = store.runs(run.job_id, statuses=FINAL, limit=_MAX_COUNTED)
    before = [other for other in newest if other.started_at <= run.started_at and other.id != run.id]
    statuses = [other.status for other in before]
    failures = statuses.index(RunStatus.COMPLETED) if RunStatus.COMPLETED in statuses else len(statuses)
    if not failures:
        return ""
    since = format_duration(at - before[failures - 1].started_at)
    at_least = "at least " if failures >= _MAX_COUNTED - 1 else ""
    return f" after {at_least}{counted(failures, 'failed run')} ({since})"
