"""Who schedules here: whether a local scheduler is alive, and since when."""

from dataclasses import dataclass
from datetime import datetime

from jobctl.execution.process import is_alive
from jobctl.runs.store import RunStore


@dataclass(frozen=True, slots=True)
class Presence:
    """A local scheduler. ``ended`` is None while it runs, and for one that was killed without a goodbye."""

    running: bool
    pid: int | None = None
    host: str | None = None
    since: datetime | None = None
    ended: datetime | None = None


def scheduler(store: RunStore, now: datetime) -> Presence:
    """The oldest living scheduler of this store, else the newest dead one, else nobody."""
    found = [owner for owner in store.owners() if owner.kind != "trigger"]
    for owner in found:
        if is_alive(owner, now):
            return Presence(True, owner.pid, owner.host, owner.since)
    if not found:
        return Presence(running=False)
    last = found[-1]
    ended = None if last.killed else last.ended
    return Presence(False, last.pid, last.host, last.since, ended)
