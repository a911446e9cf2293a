"""What is told: once a change, not once a run. The run store keeps what people were told last."""

import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from jobctl.clock import iso
from jobctl.durations import format_duration
from jobctl.events import SlotsMissed
from jobctl.model import Run, RunStatus
from jobctl.notify.settings import About
from jobctl.runs.store import RunStore
from jobctl.text import counted

_ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)
_LOOK_BACK = 200

Name = Callable[[str], str | None]
"""A job's name by its id; None where nobody is told of it."""


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


def of_run(run: Run, store: RunStore, name: Name) -> News | None:
    """The change that a run has made: its job fails, as nobody was told yet, or goes well again.

    Of several processes one tells it, and a restart tells nothing twice.

    Raises:
        StoreError: the run store cannot be read or written.
    """
    known = name(run.job_id)
    if known is None or run.status not in _ENDED:
        return None
    failing = run.status is RunStatus.FAILED
    record = store.job(run.job_id)
    if record is None or record.told is failing or not store.tell(run.job_id, failing=failing):
        return None
    at = run.finished_at or run.started_at
    if failing:
        return News(About.FAILURE, run.job_id, known, _failure(run), at, run)
    return News(About.RECOVERY, run.job_id, known, _recovery(run, at, store), at, run)


def of_slots(event: SlotsMissed, name: Name) -> News | None:
    """Slots that nobody served."""
    known = name(event.job_id)
    if known is None:
        return None
    now = "it runs once now" if event.runs_now else "it waits for its next one"
    text = f"{event.job_id} missed {counted(event.count, 'slot')}; {now}"
    return News(About.MISSED, event.job_id, known, text, event.at, missed=event.count)


def untold(store: RunStore, name: Name) -> Iterator[News]:
    """Jobs that failed while nobody was there to tell: a look had settled what a dead process left."""
    for record in store.jobs().values():
        if record.last is not None and record.last.status is RunStatus.FAILED and not record.told:
            news = of_run(record.last, store, name)
            if news is not None:
                yield news


def _failure(run: Run) -> str:
    why = " ".join((run.error or str(run.reason)).split())[:300]
    reason = f" ({run.reason.value})" if run.reason and run.reason.value != "error" else ""
    return f"{run.job_id} failed{reason}: {why}"


def _recovery(run: Run, at: datetime, store: RunStore) -> str:
    ended = store.runs(run.job_id, statuses=_ENDED, limit=_LOOK_BACK)
    before = [one for one in ended if one.started_at <= run.started_at and one.id != run.id]
    failures = next((place for place, one in enumerate(before) if one.status is _ENDED[0]), len(before))
    if not failures:
        return f"{run.job_id} goes well again"
    since = format_duration(at - before[failures - 1].started_at)
    more = "at least " if failures >= _LOOK_BACK - 1 else ""
    return f"{run.job_id} goes well again, after {more}{counted(failures, 'failed run')} in {since}"
