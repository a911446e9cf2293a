"""Finds processes that died, ends what is left of them, and records their runs as lost."""

from datetime import datetime
from pathlib import Path

from jobctl.clock import Clock
from jobctl.errors import StoreError
from jobctl.execution import process_file
from jobctl.execution.process import Life
from jobctl.execution.tree import end_marked
from jobctl.managers.liveness import Liveness
from jobctl.model import Run
from jobctl.store.records import Owner, RunStore


def rescue(store: RunStore, state: Path, liveness: Liveness, now: datetime) -> list[Run]:
    """Fail the runs of every dead process; returns them as they now are.

    What is left of such a process is ended first: a job is free only when nothing of its last run is left. A store
    that cannot be written is left as it is: reading must still work.
    """
    lost: list[Run] = []
    for owner in store.owners():
        try:
            lost.extend(_rescue(store, state, liveness, owner, now))
        except StoreError:
            continue
    return lost


def rescue_once(store: RunStore, state: Path, clock: Clock) -> list[Run]:
    """The same for a process that lives too short to observe a lease."""
    return rescue(store, state, Liveness(store, state, clock), clock.now())


def _rescue(store: RunStore, state: Path, liveness: Liveness, owner: Owner, now: datetime) -> list[Run]:
    if liveness.of(owner) is not Life.DEAD:
        return []
    if owner.ended is not None and not any(one.id == owner.id for _, one in store.unfinished()):
        return []
    end_marked(owner.id)
    lost = list(store.fail_lost_runs(owner.id, now, owner.heartbeats))
    process_file.discard(state, owner.id)
    return lost
