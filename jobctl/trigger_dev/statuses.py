"""Trigger.dev's words for the state of a run, and ours.

Its flags ``isCompleted`` and ``isFailed`` are false for runs that expired or ran out of time, so what is
final is decided here: https://trigger.dev/docs/runs, vocabulary of API version 2025-07-16.
"""

from collections.abc import Iterable
from typing import NamedTuple

from jobctl.model import Reason, RunStatus, Status


class Meaning(NamedTuple):
    """What a word means for a run, for its job, and for people. ``reason`` None is that of the job itself."""

    run: RunStatus
    job: Status
    reason: Reason | None
    words: str


_RUNNING, _FAILED = RunStatus.RUNNING, RunStatus.FAILED
MEANINGS = {
    "PENDING_VERSION": Meaning(_RUNNING, Status.SCHEDULED, None, "waits for a worker with this task"),
    "DELAYED": Meaning(_RUNNING, Status.SCHEDULED, None, "waits for its time"),
    "QUEUED": Meaning(_RUNNING, Status.SCHEDULED, None, "waits in the queue"),
    "DEQUEUED": Meaning(_RUNNING, Status.RUNNING, None, "is handed to a worker"),
    "EXECUTING": Meaning(_RUNNING, Status.RUNNING, None, "runs"),
    "WAITING": Meaning(_RUNNING, Status.RUNNING, None, "waits for its next attempt"),
    "COMPLETED": Meaning(RunStatus.COMPLETED, Status.COMPLETED, None, "completed"),
    "CANCELED": Meaning(
        RunStatus.CANCELLED, Status.SCHEDULED, Reason.CANCELLED, "it was cancelled at Trigger.dev"
    ),
    "FAILED": Meaning(_FAILED, Status.FAILED, Reason.ERROR, "it failed"),
    "CRASHED": Meaning(_FAILED, Status.FAILED, Reason.CRASHED, "its worker crashed"),
    "SYSTEM_FAILURE": Meaning(_FAILED, Status.FAILED, Reason.CRASHED, "Trigger.dev itself failed"),
    "TIMED_OUT": Meaning(_FAILED, Status.FAILED, Reason.TIMEOUT, "it took longer than its maximum duration"),
    "EXPIRED": Meaning(_FAILED, Status.FAILED, Reason.LOST, "it expired: no worker took it in time"),
}


def meaning(status: str) -> Meaning:
    """Of one word. One that is not known is not final, and shown as it is."""
    return MEANINGS.get(status) or Meaning(_RUNNING, Status.RUNNING, None, status.lower())


def words_for(statuses: Iterable[RunStatus]) -> list[str]:
    """Every word of Trigger.dev for some of ours. It has none for ``skipped``."""
    wanted = set(statuses)
    return [word for word, one in MEANINGS.items() if one.run in wanted]
