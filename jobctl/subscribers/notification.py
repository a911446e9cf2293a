"""A notification as a sentence and as JSON."""

import socket
from datetime import datetime
from typing import Any, NamedTuple

from jobctl.catalogue.notify_settings import About
from jobctl.clock import iso
from jobctl.durations import format_duration
from jobctl.events import SlotsMissed
from jobctl.model import Run, RunStatus
from jobctl.store.base import RunStore
from jobctl.text import counted

ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)
_LOOK_BACK = 200


class News(NamedTuple):
    """One thing to tell.

    Attributes:
        text: a sentence.
        run: the run that changed it, None for missed slots.
    """

    about: About
    job_id: str
    job_name: str
    text: str
    at: datetime
    run: Run | None = None
    missed: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON, for programs."""
        run = self.run
        return {
            "event": self.about.value,
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


def of_run(run: Run, name: str, store: RunStore) -> News:
    """What a run that ended, otherwise than people were told last, means for its job.

    Raises:
        StoreError: the run store cannot be read.
    """
    at = run.finished_at or run.started_at
    if run.status is RunStatus.FAILED:
        return News(About.FAILURE, run.job_id, name, _failure(run), at, run)
    return News(About.RECOVERY, run.job_id, name, _recovery(run, at, store), at, run)


def of_slots(event: SlotsMissed, name: str) -> News:
    """Slots that nobody served."""
    text = f"{event.job_id} {missed(event)}"
    return News(About.MISSED, event.job_id, name, text, event.at, missed=event.count)


def missed(event: SlotsMissed) -> str:
    """``missed 3 slots; it waits for its next one``."""
    now = "it runs once now" if event.runs_now else "it waits for its next one"
    return f"missed {counted(event.count, 'slot')}; {now}"


def _failure(run: Run) -> str:
    why = " ".join((run.error or str(run.reason)).split())[:300]
    reason = f" ({run.reason.value})" if run.reason and run.reason.value != "error" else ""
    return f"{run.job_id} failed{reason}: {why}"


def _recovery(run: Run, at: datetime, store: RunStore) -> str:
    ended = store.runs(run.job_id, statuses=ENDED, limit=_LOOK_BACK)
    before = [one for one in ended if one.started_at <= run.started_at and one.id != run.id]
    failures = next(
        (place for place, one in enumerate(before) if one.status is RunStatus.COMPLETED), len(before)
    )
    if not failures:
        return f"{run.job_id} recovered"
    since = format_duration(at - before[failures - 1].started_at)
    more = "at least " if failures >= _LOOK_BACK - 1 else ""
    return f"{run.job_id} recovered after {more}{counted(failures, 'failed run')} ({since})"
