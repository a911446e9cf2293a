"""What is told: once a change, not once a run."""

import socket
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from jobctl.clock import iso
from jobctl.durations import format_duration
from jobctl.events import RunFinished, SlotsMissed
from jobctl.model import Run, RunStatus
from jobctl.notify.settings import About
from jobctl.runs.store import RunStore
from jobctl.text import counted

_ENDED = (RunStatus.COMPLETED, RunStatus.FAILED)
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


def of_run(event: RunFinished, store: RunStore, name: Callable[[str], str]) -> News | None:
    """The change that a run has made: its job failed after going well, or the other way round.

    The run store knows what was before, whoever ran it; so a restart tells nothing twice.
    """
    run = event.run
    if run.status not in _ENDED:
        return None
    failing = run.status is RunStatus.FAILED
    before = _before(run, store)
    if not before:
        return _failed(run, name) if failing else None
    if (before[0].status is RunStatus.FAILED) == failing:
        return None
    return _failed(run, name) if failing else _recovered(run, before, name)


def of_slots(event: SlotsMissed, name: Callable[[str], str]) -> News:
    """Slots that nobody served."""
    now = "it runs once now" if event.runs_now else "it waits for its next one"
    text = f"{event.job_id} missed {counted(event.count, 'slot')}; {now}"
    return News(About.MISSED, event.job_id, name(event.job_id), text, event.at, missed=event.count)


def _before(run: Run, store: RunStore) -> list[Run]:
    """The job's runs that ended before this one, newest first."""
    found = list(store.runs(run.job_id, statuses=_ENDED, limit=_LOOK_BACK))
    place = next((at for at, one in enumerate(found) if one.id == run.id), -1)
    return found[place + 1 :]


def _failed(run: Run, name: Callable[[str], str]) -> News:
    why = " ".join((run.error or str(run.reason)).split())[:300]
    reason = f" ({run.reason.value})" if run.reason and run.reason.value != "error" else ""
    at = run.finished_at or run.started_at
    return News(About.FAILURE, run.job_id, name(run.job_id), f"{run.job_id} failed{reason}: {why}", at, run)


def _recovered(run: Run, before: list[Run], name: Callable[[str], str]) -> News:
    failures = next((at for at, one in enumerate(before) if one.status is not RunStatus.FAILED), len(before))
    at = run.finished_at or run.started_at
    since = format_duration(at - before[failures - 1].started_at)
    more = "at least " if failures >= _LOOK_BACK - 1 else ""
    text = f"{run.job_id} goes well again, after {more}{counted(failures, 'failed run')} in {since}"
    return News(About.RECOVERY, run.job_id, name(run.job_id), text, at, run)
