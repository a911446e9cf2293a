"""Periodic maintenance beside the scheduler's loop: lost runs, checkpoints, pruning."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jobctl import thread_start
from jobctl.clock import Clock
from jobctl.errors import StoreError
from jobctl.events import Bus, RunFinished
from jobctl.scheduler import process_identity
from jobctl.scheduler.lease import Lease
from jobctl.scheduler.liveness import Liveness, fail_lost_runs
from jobctl.store.base import RunStore
from jobctl.store.logs import prune_runs_and_logs


class Maintained(Protocol):
    """What maintenance needs of the scheduler. Each method may be called from any thread."""

    def notice_changes(self) -> None:
        """React to what other processes have changed in the run store."""

    def check_clock(self) -> None:
        """No other scheduler is alive: go on from now where slots lie far ahead."""

    def fail(self, error: BaseException) -> None:
        """End everything because of a fault of jobctl itself."""


@dataclass(slots=True)
class _PeriodicTask:
    every: float
    run: Callable[[], None]
    due: float = 0.0


_TOGETHER_S = 0.1  # what is due within this time is done now, so that the thread wakes once for all


class Maintenance:
    """One thread that does these in turn. What fails because of the run store is tried again at its next time.

    - every 2 s: a run store that was deleted or replaced ends what runs here; what other processes have changed is
      noticed: jobs that were started again, runs that are kept for later, runs that ``after`` jobs wait for.
    - every 4 s: runs of dead processes are failed.
    - every 10 s: the write-ahead log is folded into the store, so that the loop never waits for that.
    - every 30 s: slots that lie far ahead, left by a scheduler whose clock was ahead.
    - every hour: runs beyond 30 days and 1,000 a job are removed, with their logs.
    """

    def __init__(
        self, store: RunStore, lease: Lease, state: Path, clock: Clock, *, bus: Bus, scheduler: Maintained
    ) -> None:
        self._store = store
        self._lease = lease
        self._state = state
        self._clock = clock
        self._bus = bus
        self._scheduler = scheduler
        self._liveness = Liveness(store, state, clock, lease.healthy_since)
        self._is_alone = False
        self._store_version: object = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobctl-maintenance", daemon=True)
        now = clock.monotonic()
        self._tasks = [
            _PeriodicTask(2, self._check_store),
            _PeriodicTask(4, self._fail_lost_runs),
            _PeriodicTask(2, scheduler.notice_changes),
            _PeriodicTask(30, self._check_clock, due=now + 30),
            _PeriodicTask(10, store.checkpoint, due=now + 10),
            _PeriodicTask(3600, self._prune, due=now + 5),
        ]

    def start(self) -> None:
        """Begin.

        Raises:
            NoThreadError: the system allows no more threads.
        """
        thread_start.start(self._thread)

    def stop(self) -> None:
        """End after the current task."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._rest()):
            now = self._clock.monotonic()
            for task in self._tasks:
                if task.due <= now + _TOGETHER_S and not self._stop.is_set():
                    task.due = now + task.every
                    try:
                        task.run()
                    except StoreError:
                        continue  # the loop reports it
                    except Exception as error:
                        self._scheduler.fail(error)
                        return

    def _rest(self) -> float:
        return max(0.0, min(task.due for task in self._tasks) - self._clock.monotonic())

    def _check_store(self) -> None:
        if self._store.is_lost():
            self._lease.lose()

    def _check_clock(self) -> None:
        others = [owner for owner in self._store.owners() if owner.ended is None and owner.kind != "trigger"]
        if {owner.id for owner in others} <= {self._lease.owner.id}:
            self._scheduler.check_clock()

    def _fail_lost_runs(self) -> None:
        version = self._store.change_token()
        if not self._lease.holds or (self._is_alone and version == self._store_version):
            return
        self._is_alone = False
        owners = self._store.owners()
        for run in fail_lost_runs(self._store, owners, self._state, self._liveness, self._clock.now()):
            self._bus.publish(RunFinished(run))
        self._is_alone, self._store_version = (
            {owner.id for owner in owners} == {self._lease.owner.id},
            version,
        )

    def _prune(self) -> None:
        prune_runs_and_logs(self._store, self._state / "logs", self._clock.now())
        process_identity.sweep(self._state, {owner.id for owner in self._store.owners()})
