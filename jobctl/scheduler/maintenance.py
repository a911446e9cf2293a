"""Small duties beside the loop, each with its interval: rescue, checkpoint, pruning."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobctl import threads
from jobctl.clock import Clock
from jobctl.errors import StoreError
from jobctl.model import Run
from jobctl.scheduler import process_identity
from jobctl.scheduler.lease import Lease
from jobctl.scheduler.liveness import Liveness, rescue
from jobctl.store.base import RunStore
from jobctl.store.logs import prune_runs_and_logs


@dataclass(slots=True)
class _Chore:
    every: float
    duty: Callable[[], None]
    due: float = 0.0


class Chores:
    """One thread that does the duties in turn. A store that cannot be written is tried again later.

    - store, each second: a run store that was deleted or replaced ends what runs here, and is opened again.
    - rescue, each 5 s: settles what dead processes left behind.
    - clock, each 30 s: slots that lie ahead, as a scheduler left them whose clock was ahead.
    - put back, each second: jobs that another process has started again.
    - checkpoint, each 10 s: folds the write-ahead log into the store, so that the loop never waits for it.
    - prune, each hour: removes runs beyond 30 days and 1,000 a job, and their logs.
    """

    def __init__(
        self,
        store: RunStore,
        lease: Lease,
        state: Path,
        clock: Clock,
        *,
        lost: Callable[[Run], None],
        put_back: Callable[[], None],
        alone: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Prepare them.

        Args:
            lost: told of each run of another owner that was settled.
            alone: called now and then while no other scheduler uses the store.
            failed: called with a fault of jobctl itself in a duty; no duty is done after that.
        """
        self._store = store
        self._lease = lease
        self._state = state
        self._clock = clock
        self._liveness = Liveness(store, state, clock, lease.healthy_since)
        self._lost = lost
        self._alone = alone
        self._failed = failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobctl-chores", daemon=True)
        self._chores = [
            _Chore(1, self._watch_store),
            _Chore(5, self._rescue),
            _Chore(1, put_back),
            _Chore(30, self._check_clock, due=clock.monotonic() + 30),
            _Chore(10, store.checkpoint, due=clock.monotonic() + 10),
            _Chore(3600, self._prune, due=clock.monotonic() + 5),
        ]

    def start(self) -> None:
        """Begin.

        Raises:
            NoThreadError: the system allows no more threads.
        """
        threads.start(self._thread)

    def stop(self) -> None:
        """End after the duty in hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._rest()):
            now = self._clock.monotonic()
            for chore in self._chores:
                if chore.due <= now and not self._stop.is_set():
                    chore.due = now + chore.every
                    try:
                        chore.duty()
                    except StoreError:
                        continue  # the loop tells of it; the next turn tries again
                    except Exception as error:
                        self._failed(error)
                        return

    def _rest(self) -> float:
        return max(0.0, min(chore.due for chore in self._chores) - self._clock.monotonic())

    def _watch_store(self) -> None:
        if self._store.is_lost():
            self._lease.lose()

    def _check_clock(self) -> None:
        mine = self._lease.owner.id
        others = [one for one in self._store.owners() if one.ended is None and one.kind != "trigger"]
        if {one.id for one in others} <= {mine}:
            self._alone()

    def _rescue(self) -> None:
        if not self._lease.holds:
            return
        for run in rescue(self._store, self._state, self._liveness, self._clock.now()):
            self._lost(run)

    def _prune(self) -> None:
        prune_runs_and_logs(self._store, self._state / "logs", self._clock.now())
        process_identity.sweep(self._state, {owner.id for owner in self._store.owners()})
