"""Running one job for a request, through the same manager and run store as everybody else."""

import logging
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from jobctl.catalogue import Catalogue
from jobctl.clock import SystemClock
from jobctl.errors import JobctlError
from jobctl.managers.factory import make_manager
from jobctl.managers.local import LocalJobManager
from jobctl.managers.rescue import rescue_once
from jobctl.managers.ride_out import ride_out
from jobctl.managers.surroundings import Surroundings
from jobctl.managers.telling import Telling
from jobctl.model import Run, Trigger
from jobctl.modes import Mode, resolve
from jobctl.runs.store import RunStore

if TYPE_CHECKING:
    from jobctl.managers.factory import Manager

GRACE = timedelta(seconds=10)


class Runner:
    """Made on the first request that needs it; usable from any thread."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self._lock = threading.Lock()
        self._manager: Manager | None = None
        self._store: RunStore | None = None
        self._catalogue: Catalogue | None = None
        self._telling: Telling | None = None

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
                mode = resolve(environment)
                self._manager = make_manager(
                    # who calls this endpoint has decided that the job runs here
                    Mode.DISABLED if mode is Mode.DISABLED else Mode.VERCEL,
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

    def run(self, job_id: str) -> Run:
        """Run a job to its end; waits for it.

        Raises:
            UnknownJobError: the catalogue has no such job.
            AlreadyRunningError: it has an unfinished run; nothing was started.
            NotRunError: scheduling is disabled, or what the job needs is not configured.
            StoreError: the run cannot be recorded, so it was not started.
        """
        self.catalogue.get(job_id)
        manager = ride_out(lambda: self.manager, SystemClock())
        if isinstance(manager, LocalJobManager):
            local = manager
            started = ride_out(lambda: local.trigger_job(job_id, trigger=Trigger.HTTP), SystemClock())
            return local.wait(started.id)
        manager.trigger_job(job_id)
        raise JobctlError(f"{job_id} was not run here")

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
