"""Who schedules here: whether a local scheduler is alive, and since when."""

from datetime import datetime
from pathlib import Path

from jobctl.clock import Clock
from jobctl.execution.process import Life
from jobctl.managers.liveness import Liveness
from jobctl.store.records import RunStore
from jobctl.values import value


@value
class Presence:
    """A local scheduler. ``ended`` is None while it runs; of one that was killed, or lost its lease, it is when
    that was noticed.

    ``stopped``: its process is stopped by a signal or a debugger, and schedules nothing.
    """

    running: bool
    pid: int | None = None
    host: str | None = None
    since: datetime | None = None
    ended: datetime | None = None
    stopped: bool = False
    killed: bool = False


def scheduler(store: RunStore, state: Path, clock: Clock) -> Presence:
    """The oldest working scheduler of this store, else one that is stopped, else the one that ended last."""
    liveness = Liveness(store, state, clock)
    found = [owner for owner in store.owners() if owner.kind != "trigger"]
    lives = [(owner, liveness.of(owner)) for owner in found]
    for wanted in ({Life.ALIVE, Life.UNKNOWN}, {Life.STOPPED}):
        for owner, life in lives:
            if life in wanted:
                stopped = life is Life.STOPPED
                return Presence(not stopped, owner.pid, owner.host, owner.since, stopped=stopped)
    if not found:
        return Presence(running=False)
    last = max(found, key=lambda owner: owner.ended or owner.since)
    return Presence(
        False, last.pid, last.host, last.since, last.ended, killed=last.killed or last.ended is None
    )
