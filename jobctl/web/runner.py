"""Running one job for a request, through the same manager and run store as everybody else."""

import logging
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from jobctl.catalogue.catalogue import Catalogue
from jobctl.clock import SystemClock
from jobctl.errors import NotRunError, StoreError
from jobctl.managers.factory import make_manager
from jobctl.managers.local import LocalJobManager
from jobctl.managers.store_outage import ride_out
from jobctl.managers.telling import Telling
from jobctl.model import Run, Trigger
from jobctl.modes import Mode, resolve
from jobctl.project import Surroundings
from jobctl.scheduler.liveness import rescue_once
from jobctl.store.records import RunStore

if TYPE_CHECKING:
    from jobctl.managers.factory import Manager

GRACE = timedelta(seconds=10)
TIMEOUT = timedelta(seconds=60)
ON_VERCEL = timedelta(seconds=290)
"""How long a call may take: 10 seconds less than ``maxDuration`` there, unless it is changed."""
_TO_END_S = 8.0
"""How long a run that is ended on Vercel may take to end."""


def silent_store() -> StoreError:
    """The error for a run store that did not answer while the caller waited."""
    error = StoreError("the run store did not answer in time")
    error.transient = True
    return error


class Runner:
    """Made on the first request that needs it; usable from any thread.

    Args:
        timeout: how long ``run`` may take; None is 60 seconds, on Vercel 290.
    """

    def __init__(self, around: Surroundings, timeout: timedelta | None = None) -> None:
        self.around = around
        self.on_vercel = around.environment.text("VERCEL") == "1"
        self.timeout = timeout or (ON_VERCEL if self.on_vercel else TIMEOUT)
        self._lock = threading.Lock()
        self._manager: Manager | None = None
        self._store: RunStore | None = None
        self._catalogue: Catalogue | None = None
        self._telling: Telling | None = None

    @property
    def is_disabled(self) -> bool:
        """Whether scheduling is disabled."""
        return resolve(self.around.environment) is Mode.DISABLED

    @property
    def longest_s(self) -> float:
        """How long ``run`` may take at most, in seconds."""
        return self.timeout.total_seconds() + (_TO_END_S if self.on_vercel else 0.0) + 1.0

    @property
    def catalogue(self) -> Catalogue:
        """All jobs known to this project."""
        with self._lock:
            if self._catalogue is None:
                self._catalogue = Catalogue.load(self.around.project, self.around.environment)
            return self._catalogue

    @property
    def store(self) -> RunStore:
        """The run store, made where there is none."""
        with self._lock:
            if self._store is None:
                self._store = self.around.open_store()
            return self._store

    @property
    def manager(self) -> "Manager":
        """What runs jobs for requests."""
        store, catalogue = self.store, self.catalogue
        with self._lock:
            if self._manager is None:
                environment = self.around.environment
                self._manager = make_manager(
                    Mode.VERCEL,  # who calls this endpoint has decided that the job runs here
                    store=store,
                    project=self.around.folder,
                    state=self.around.state,
                    environment=environment,
                    kind="application",
                )
                self._manager.add(catalogue.jobs)
                if isinstance(self._manager, LocalJobManager):
                    self._telling = Telling(self._manager, catalogue, self.around)
                    if self._telling.trouble is not None:
                        logging.getLogger("jobctl").warning(self._telling.trouble)
            return self._manager

    def look(self) -> RunStore:
        """The run store for a look: runs that lost their process are settled first."""

        def rescued() -> RunStore:
            rescue_once(self.store, self.around.state, SystemClock())
            return self.store

        return ride_out(rescued, SystemClock())

    def run(self, job_id: str, *, although_disabled: bool = False) -> Run:
        """Run a job and wait for its end, for ``timeout`` at most: what then still runs goes on, unfinished.

        On Vercel nothing goes on after the answer: the run is ended there, and recorded.

        Raises:
            UnknownJobError: the catalogue has no such job.
            AlreadyRunningError: it has an unfinished run; nothing was started.
            NotRunError: scheduling is disabled, or what the job needs is not configured.
            StoreError: the run cannot be recorded, so it was not started.
        """
        end = time.monotonic() + self.timeout.total_seconds()
        self.catalogue.get(job_id)
        if not although_disabled and self.is_disabled:
            raise NotRunError(
                f"{job_id} was not run: scheduling is disabled (DISABLE_AUTO_SYNC)",
                hint="jobctl mode says why",
            )

        def pause(seconds: float) -> None:
            if time.monotonic() + seconds > end:
                raise silent_store()
            threading.Event().wait(seconds)

        manager = ride_out(lambda: self.manager, SystemClock(), pause=pause)
        if not isinstance(manager, LocalJobManager):
            raise TypeError("only the local manager runs jobs for requests")
        started = ride_out(
            lambda: manager.trigger_job(job_id, trigger=Trigger.HTTP), SystemClock(), pause=pause
        )
        with suppress(TimeoutError):
            return manager.wait(started.id, max(0.0, end - time.monotonic()))
        if self.on_vercel:
            manager.end_run(started.id)
            with suppress(TimeoutError):
                return manager.wait(started.id, _TO_END_S)
        return self.store.run(started.id) or started

    def close(self) -> None:
        """End what runs, with a grace time, and let go of the store."""
        with self._lock:
            manager, store, telling = self._manager, self._store, self._telling
            self._manager = self._store = self._telling = None
        if isinstance(manager, LocalJobManager):
            manager.shutdown(GRACE)
        if telling is not None:
            telling.close()
        if store is not None:
            store.close()
