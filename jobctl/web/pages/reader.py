"""What the page reads: the catalogue, the run store, and who schedules. Any thread may ask."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from jobctl.clock import Clock
from jobctl.errors import (
    ConfigurationError,
    JobctlError,
    ServiceError,
    StoreBusyError,
    StoreError,
    StoreLostError,
)
from jobctl.managers.status import (
    is_manual_only,
    is_off_schedule,
    job_status,
    job_statuses,
    recorded_jobs,
    with_next_times,
)
from jobctl.model import Job, JobStatus, Run, RunStatus
from jobctl.modes import Mode, resolve
from jobctl.project import ProjectContext
from jobctl.scheduler.liveness import Presence, fail_lost_runs_once, scheduler_presence
from jobctl.store.base import RunStore
from jobctl.store.glances import JobGlance
from jobctl.store.kept_log import KeptLog
from jobctl.store.open import open_store
from jobctl.store.records import JobRecord
from jobctl.subscribers.expectation_watch import read_lateness

if TYPE_CHECKING:
    from jobctl.trigger_dev.manager import TriggerDevJobManager

_ASK_S = 10.0
_CHECK_S = 1.0
"""Seconds between checks for processes that died: many pages may be open."""
STORE_TIMEOUT = timedelta(seconds=3)
"""How long a page waits for other processes that use the run store: a person waits too."""


class KnownJob(NamedTuple):
    """A job of the catalogue, and what its definition says of its state."""

    job: Job
    is_off: bool
    is_manual: bool


class Reader:
    """Reads for all visitors of the page.

    Attributes:
        warning: what happened when the run store was opened, such as that a damaged one was set aside; None: nothing.
    """

    def __init__(self, project: ProjectContext, clock: Clock) -> None:
        self.project = project
        self.clock = clock
        self._lock = threading.Lock()
        self.warning: str | None = None
        self._store: RunStore | None = None
        self._glances: tuple[object, Sequence[JobGlance]] | None = None
        self._restored = 0
        self._glancing = ThreadPoolExecutor(1, "jobctl-page-jobs")
        self._checked_at: float | None = None
        self._problem: StoreError | None = None
        self._presence = Presence(running=False)
        self._asking = threading.Lock()
        self._there: tuple[float, dict[str, JobStatus], JobctlError | None] | None = None

    @cached_property
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
        try:
            return "analytics-user-growth" in self.jobs
        except ConfigurationError:  # the page that says so asks this too
            return False

    @cached_property
    def trigger_dev(self) -> "TriggerDevJobManager":
        """The manager for the jobs at Trigger.dev.

        Raises:
            ConfigurationError: Trigger.dev does not accept this kind of key.
        """
        from jobctl.trigger_dev.account import Account
        from jobctl.trigger_dev.manager import TriggerDevJobManager

        account = Account.read(self.project.environment)
        manager = TriggerDevJobManager(account, self.store(), clock=self.clock)
        manager.add(self.project.catalogue.jobs)
        return manager

    def close(self) -> None:
        """Close what was opened."""
        if "trigger_dev" in self.__dict__:
            self.trigger_dev.shutdown()
        self._glancing.shutdown()
        if self._store is not None:
            self._store.close()

    def statuses_there(self) -> tuple[dict[str, JobStatus], JobctlError | None]:
        """What Trigger.dev has of each job, asked every ten seconds at most; without an answer, why, and the next times."""
        with self._asking:
            now = self.clock.monotonic()
            if self._there is None or now - self._there[0] >= _ASK_S:
                jobs, at = list(self.project.catalogue.jobs), self.clock.now()
                error: JobctlError | None = None
                try:
                    found = self.trigger_dev.statuses_of(jobs)
                except (ServiceError, ConfigurationError) as caught:
                    error = caught
                    found = with_next_times(job_statuses(jobs, {}, at), jobs, at)
                self._there = now, {status.id: status for status in found}, error
            return self._there[1], self._there[2]

    def run(self, run_id: str) -> Run | None:
        """The run with this id or unique prefix, wherever it is recorded."""
        if self.mode is Mode.TRIGGER_DEV and run_id.startswith("run_"):
            return self.trigger_dev.run(run_id)
        return self.store().run(run_id)

    def log(self, run: Run) -> KeptLog:
        """What a run printed.

        Raises:
            StoreError: the run store cannot be opened or read.
        """
        return KeptLog(self.project.state, self.store(), run)

    def runs(self, job_id: str | None, statuses: Sequence[RunStatus], limit: int) -> Sequence[Run]:
        """Runs, newest first, of one job or of all, where the mode has them."""
        if self.mode is Mode.TRIGGER_DEV:
            return self.trigger_dev.runs(job_id, statuses=statuses, limit=limit)
        return self.store().runs(job_id, statuses=statuses, limit=limit)

    def status(self, job_id: str, record: JobRecord | None, now: datetime) -> tuple[Job, JobStatus] | None:
        """A job and its status, whichever scheduler is in charge; None where neither the catalogue nor the run store has it."""
        known = self.jobs.get(job_id)
        if known is not None:
            job = known.job
        elif record is not None:
            [job] = recorded_jobs([record])
        else:
            return None
        there = self.statuses_there()[0] if self.mode is Mode.TRIGGER_DEV else {}
        status = there.get(job_id) or job_status(job, record, now)
        if self.mode is Mode.VERCEL:
            [status] = with_next_times([status], [job], now)
        return job, status

    def late_ids(self) -> set[str]:
        """The ids of the jobs that do not meet what is expected of them."""
        if self.mode is Mode.TRIGGER_DEV:
            return set()
        jobs = [known.job for known in self.jobs.values()]
        return {job.id for job, _, late in read_lateness(self.store(), jobs, self.clock.now()) if late}

    def store(self) -> RunStore:
        """The run store. Runs of processes that died are failed first, once a second at most.

        It has connections of its own, which wait for others three seconds at most. While one thread waits, or for a
        second after it has waited in vain, the others do not try too: a page must answer, whoever holds the store.

        Raises:
            StoreError: it cannot be opened or read.
        """
        if not self._lock.acquire(timeout=STORE_TIMEOUT.total_seconds()):
            raise StoreBusyError("the run store has not answered in time", hint="try again")
        try:
            if self._checked_at is None or self.clock.monotonic() - self._checked_at >= _CHECK_S:
                self._problem = self._check()
                self._checked_at = self.clock.monotonic()
            if self._problem is not None:
                raise self._problem.with_traceback(None)
            if self._store is None:
                raise AssertionError("it was opened by the check")
            return self._store
        finally:
            self._lock.release()

    def job_glances(self) -> Sequence[JobGlance]:
        """Every job that was ever registered, read again only after a change: all open pages ask for it then.

        Raises:
            StoreError: the run store cannot be read.
        """
        store = self.store()
        try:
            return self._glancing.submit(self._glance, store).result(STORE_TIMEOUT.total_seconds())
        except TimeoutError:
            raise StoreBusyError("the run store has not answered in time", hint="try again") from None

    def _glance(self, store: RunStore) -> Sequence[JobGlance]:
        """In one thread: SQLite compares change tokens of one connection only, and one that writes nothing."""
        token = self._restored, store.change_token()
        if self._glances is None or self._glances[0] != token:
            self._glances = token, store.job_glances()
        return self._glances[1]

    def _check(self) -> StoreError | None:
        """Open the store where it is not, or was lost, and see who uses it; returns why that is not possible."""
        project = self.project
        try:
            if self._store is None:
                self._store = open_store(project.store_place, busy_timeout=STORE_TIMEOUT)
                self.warning = self._store.warning
            try:
                self._store.demand_present()
                self._see_processes(self._store)
            except StoreLostError:
                self.warning = self._store.restore()
                self._restored += 1
                self._see_processes(self._store)
        except StoreError as error:
            return error
        return None

    def _see_processes(self, store: RunStore) -> None:
        with suppress(StoreBusyError):  # what can be read is shown
            fail_lost_runs_once(store, self.project.state, self.clock)
        self._presence = scheduler_presence(store, self.project.state, self.clock)

    @property
    def presence(self) -> Presence:
        """Who schedules, as of the last check."""
        return self._presence
