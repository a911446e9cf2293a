"""Small duties beside the loop, each with its interval: heartbeat, rescue, checkpoint, pruning."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jobctl import threads
from jobctl.clock import Clock
from jobctl.errors import StoreError
from jobctl.managers.rescue import rescue
from jobctl.model import Run
from jobctl.runs.retention import prune
from jobctl.runs.store import LEASE, Owner, RunStore

_GIVE_UP = LEASE * 0.75
"""Silent for so long, an owner ends its runs; the rest of the lease is for them to be gone."""


@dataclass(slots=True)
class _Chore:
    every: float
    duty: Callable[[], None]
    due: float = 0.0


class Chores:
    """One thread that does the duties in turn. A store that cannot be written is tried again later.

    - heartbeat, each 10 s: says that this owner lives, for processes that cannot see its pid. One that others
      held for dead ends what it still runs: its jobs may be running elsewhere by now.
    - lease, each second: the same, before others may, where the store on a server is out of reach.
    - rescue, each 5 s: settles what dead processes left behind.
    - put back, each second: jobs that another process has started again.
    - checkpoint, each 10 s: folds the write-ahead log into the store, so that the loop never waits for it.
    - prune, each hour: removes runs beyond 30 days and 1,000 a job, and their logs.
    """

    def __init__(
        self,
        store: RunStore,
        owner: Owner,
        logs: Path,
        clock: Clock,
        *,
        lost: Callable[[Run], None],
        lapsed: Callable[[], None],
        put_back: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Prepare them.

        Args:
            lost: told of each run of another owner that was settled.
            lapsed: ends what this owner runs.
            failed: told of a fault of ours in a duty. Nothing is done any more then: who goes on without them
                would be held for dead, and its jobs be run elsewhere too.
        """
        self._store = store
        self._owner = owner
        self._logs = logs
        self._clock = clock
        self._lost = lost
        self._lapsed = lapsed
        self._failed = failed
        self._beaten = clock.monotonic()
        self._has_lapsed = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobctl-chores", daemon=True)
        self._chores = [
            _Chore(10, self._beat),
            _Chore(1, self._keep_lease),
            _Chore(5, self._rescue),
            _Chore(1, put_back),
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

    def _beat(self) -> None:
        if not self._store.beat(self._owner.id, self._clock.now()):
            self._lapse()
            self._store.enrol(self._owner)
        self._beaten = self._clock.monotonic()
        self._has_lapsed = False

    def _keep_lease(self) -> None:
        silent = self._clock.monotonic() - self._beaten
        if self._store.leased and silent > _GIVE_UP.total_seconds():
            self._lapse()

    def _lapse(self) -> None:
        if not self._has_lapsed:
            self._has_lapsed = True
            self._lapsed()

    def _rescue(self) -> None:
        for run in rescue(self._store, self._clock.now()):
            self._lost(run)

    def _prune(self) -> None:
        prune(self._store, self._logs, self._clock.now())
