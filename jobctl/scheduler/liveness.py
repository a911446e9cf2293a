"""Decides which registered processes are alive, and fails the runs of dead ones.

Where the kernel can be asked, it decides. Elsewhere the lease decides, without any wall clock, as with etcd and
DynamoDB's lock client: the observing process sees, by its own steady clock, that a heartbeat counter has not changed
for the length of the lease. Time in which it could not have seen a change does not count.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from jobctl.clock import Clock
from jobctl.errors import StoreError
from jobctl.execution.process_tree import end_marked
from jobctl.model import Run
from jobctl.scheduler import process_identity
from jobctl.scheduler.process_identity import Life, Lock, boot, life_by_pid, uptime
from jobctl.store.base import RunStore
from jobctl.store.records import LEASE, Owner
from jobctl.value_class import value

_SHORT_LIVED_LEASE = 2 * LEASE
"""Short-lived commands cannot know whether heartbeats were blocked meanwhile, so they wait twice as long."""


class Liveness:
    """Observes processes. What it has observed is kept here, or for short-lived processes in the run store.

    Args:
        state: the state folder of this machine.
        healthy_since: since when, in seconds of ``Clock.boottime``, this process's own heartbeats have come through
            without a gap; None: it sends none, since it lives too short to observe a lease by itself.
    """

    def __init__(
        self,
        store: RunStore,
        state: Path,
        clock: Clock,
        healthy_since: Callable[[], float] | None = None,
    ) -> None:
        self._store = store
        self._state = state
        self._clock = clock
        self._healthy_since = healthy_since
        self._observed: dict[str, tuple[object, float]] = {}

    def of(self, owner: Owner) -> Life:
        """Whether a process is alive; ``UNKNOWN`` while its lease has not run out."""
        if owner.ended is not None:
            return Life.DEAD
        read_at = self._steady()
        seen = process_identity.ProcessFileState(Lock.MISSING)
        if self._same_kernel(owner):
            seen = process_identity.read(self._state, owner.id)
        if seen.lock is Lock.FREE:
            return Life.DEAD  # also where another program has replaced it under the same pid
        life = life_by_pid(owner)
        if life is not Life.UNKNOWN:
            return life
        if seen.lock is Lock.HELD and not owner.leased:
            return Life.ALIVE  # perhaps frozen: it would not end its runs by itself
        # a process that cannot reach a shared store can still write its file, so the store's counter decides
        token = str(owner.heartbeats) if self._store.shared else seen.token.decode("ascii", "replace").strip()
        return Life.DEAD if self._is_silent(owner, token, read_at) else Life.UNKNOWN

    def _same_kernel(self, owner: Owner) -> bool:
        """Whether the lock of its file can be seen. A store in a file is shared on one kernel alone."""
        return not self._store.shared or (bool(boot()) and owner.boot.split()[:1] == boot().split()[:1])

    def _steady(self) -> float | None:
        """The clock of observations, in seconds; None where this process makes none.

        With a store in a file, observations matter only for a frozen process, and a command that reads must not wait for
        a write.
        """
        if self._healthy_since is not None:
            return self._clock.boottime()
        return uptime() if boot() and self._store.shared else None

    def _is_silent(self, owner: Owner, token: str, read_at: float | None) -> bool:
        """Whether the process has sent no heartbeat for as long as its lease lasts.

        This process may be frozen at any moment: the token was current at ``read_at`` or later, and is known from now on.
        """
        now = self._steady()
        if read_at is None or now is None:
            return False
        if self._healthy_since is None:
            return self._is_silent_for_successors(owner, token, read_at, now)
        seen, since = self._observed.get(owner.id, (None, now))
        if seen != token:
            self._observed[owner.id] = (token, now)
            return False
        return read_at - max(since, self._healthy_since()) > LEASE.total_seconds()

    def _is_silent_for_successors(self, owner: Owner, token: str, read_at: float, now: float) -> bool:
        """``_is_silent`` for short-lived processes: they share the kernel's clock, and keep what they saw in the run store."""
        base = f"{boot()} | {token} | "
        if owner.observed is not None and owner.observed.startswith(base):
            since = float(owner.observed.removeprefix(base))
            return timedelta(seconds=read_at - since) > _SHORT_LIVED_LEASE
        self._store.observe(owner.id, f"{base}{now}")
        return False


def fail_lost_runs(
    store: RunStore, owners: Iterable[Owner], state: Path, liveness: Liveness, now: datetime
) -> list[Run]:
    """Fail the runs of those processes that are dead; returns them as they now are.

    The processes that it left are ended first: a job is free only when nothing of its last run is left. A store
    that cannot be written is left as it is: reading must still work.
    """
    lost: list[Run] = []
    for owner in owners:
        with suppress(StoreError):
            if liveness.of(owner) is not Life.DEAD:
                continue
            if owner.ended is None or any(other.id == owner.id for _, other in store.unfinished()):
                end_marked(owner.id)
                lost += store.fail_lost_runs(owner.id, now, owner.heartbeats)
                process_identity.discard(state, owner.id)
    return lost


def fail_lost_runs_once(store: RunStore, state: Path, clock: Clock) -> list[Run]:
    """``fail_lost_runs`` in a process that lives too short to observe a lease."""
    return fail_lost_runs(store, store.owners(), state, Liveness(store, state, clock), clock.now())


@value
class Presence:
    """Whether a local scheduler runs.

    Attributes:
        ended: when it ended; when that was noticed, if it was killed or lost its lease. None while it runs.
        stopped: its process is stopped by a signal or a debugger, and schedules nothing.
        killed: it did not end by itself.
    """

    running: bool
    pid: int | None = None
    host: str | None = None
    since: datetime | None = None
    ended: datetime | None = None
    stopped: bool = False
    killed: bool = False


def scheduler_presence(store: RunStore, state: Path, clock: Clock) -> Presence:
    """The oldest working scheduler of this store, else one that is stopped, else the one that ended last."""
    liveness = Liveness(store, state, clock)
    owners = [owner for owner in store.owners() if owner.kind != "trigger"]
    lives = [(owner, liveness.of(owner)) for owner in owners]
    for wanted in ({Life.ALIVE, Life.UNKNOWN}, {Life.STOPPED}):
        for owner, life in lives:
            if life in wanted:
                stopped = life is Life.STOPPED
                return Presence(not stopped, owner.pid, owner.host, owner.since, stopped=stopped)
    if not owners:
        return Presence(running=False)
    last = max(owners, key=lambda owner: owner.ended or owner.since)
    return Presence(
        False, last.pid, last.host, last.since, last.ended, killed=last.killed or last.ended is None
    )
