"""What the page reads: the catalogue, the run store, and who schedules. Any thread may ask."""

import threading
from functools import cached_property
from typing import NamedTuple

from jobctl.clock import Clock
from jobctl.managers.status import is_manual_only, is_off_schedule
from jobctl.model import Job
from jobctl.modes import Mode, resolve
from jobctl.project import ProjectContext
from jobctl.scheduler.liveness import Presence, fail_lost_runs_once, scheduler_presence
from jobctl.store.base import RunStore

_CHECK_S = 1.0
"""Seconds between checks for processes that died: many pages may be open."""


class KnownJob(NamedTuple):
    """A job of the catalogue, and what its definition says of its state."""

    job: Job
    is_off: bool
    is_manual: bool


class Reader:
    """Reads for all visitors of the page."""

    def __init__(self, project: ProjectContext, clock: Clock) -> None:
        self.project = project
        self.clock = clock
        self._lock = threading.Lock()
        self._checked_at: float | None = None
        self._presence = Presence(running=False)

    @property
    def mode(self) -> Mode:
        """Which scheduler is in charge."""
        return resolve(self.project.environment)

    @cached_property
    def jobs(self) -> dict[str, KnownJob]:
        """The jobs of the catalogue, by id."""
        return {
            job.id: KnownJob(job, is_off_schedule(job), is_manual_only(job))
            for job in self.project.catalogue.jobs
        }

    @property
    def is_site(self) -> bool:
        """Whether the project is an Ever Works site: it has the built-in jobs."""
        return "analytics-user-growth" in self.jobs

    def store(self) -> RunStore:
        """The run store. Runs of processes that died are failed first, once a second at most.

        Raises:
            StoreError: it cannot be opened or read.
        """
        store = self.project.open_store()
        with self._lock:
            now = self.clock.monotonic()
            if self._checked_at is None or now - self._checked_at >= _CHECK_S:
                fail_lost_runs_once(store, self.project.state, self.clock)
                self._presence = scheduler_presence(store, self.project.state, self.clock)
                self._checked_at = now
        return store

    @property
    def presence(self) -> Presence:
        """Who schedules, as of the last check."""
        return self._presence
