"""Finds runs whose process died, ends what is left of them, and records them as lost."""

from datetime import datetime

from jobctl.errors import StoreError
from jobctl.execution.process import is_alive
from jobctl.execution.tree import end_marked
from jobctl.model import Run
from jobctl.runs.store import RunStore


def rescue(store: RunStore, now: datetime) -> list[Run]:
    """Settle the runs of every dead owner; answers with them as they now are.

    An owner is dead when its process is gone (pid, start time and boot id), or, where the pid
    cannot be looked at from here, when its heartbeat is older than a minute. Its processes are
    ended first: a job is free only when nothing of its last run is left. A store that cannot be
    written is left as it is: looking must still work.
    """
    lost: list[Run] = []
    for owner in store.owners():
        if is_alive(owner, now):
            continue
        if owner.ended is not None and not any(one.id == owner.id for _, one in store.unfinished()):
            continue
        end_marked(owner.id)
        try:
            lost.extend(store.disown(owner.id, now))
        except StoreError:
            continue
    return lost
