"""``Runner``: runs one job for a request, through the same manager and run store as all other runs."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobctl import thread_start
from jobctl.clock import SystemClock
from jobctl.errors import JobctlError, NotRunError, StoreError
from jobctl.managers.factory import make_local_manager
from jobctl.managers.rerun import unknown_run
from jobctl.model import Job, Run, Trigger, WaitingRun
from jobctl.modes import Mode, resolve
from jobctl.project import ProjectContext, wait_for_store
from jobctl.scheduler.liveness import fail_lost_runs_once
from jobctl.schedules import Excluding
from jobctl.store.base import RunStore
from jobctl.store.records import Cancellation
from jobctl.subscribers import Subscribers
from jobctl.text import printable
from jobctl.web.vercel_call import called_slot

if TYPE_CHECKING:
    from jobctl.managers.local import LocalJobManager

GRACE = timedelta(seconds=10)
TIMEOUT = timedelta(seconds=60)
ON_VERCEL = timedelta(seconds=290)
"""10 seconds less than the default ``maxDuration`` there."""
_END_S = 8.0
"""The time for ending a run on Vercel."""
_CLOSE_S = 5.0
"""For a watch that has just begun to open the run store."""
_LOG_S = 1.0
"""The time there for sending what is left of its log to the run store."""


def store_timeout() -> StoreError:
    """The error if the run store did not answer within the timeout of the request."""
    error = StoreError("the run store did not answer in time")
    error.transient = True
    return error


class Runner:
    """Runs jobs for requests. Any thread may use it.

    Args:
        timeout: the longest time that ``run`` waits; None is 60 seconds, on Vercel 290.
    """

    def __init__(self, project: ProjectContext, timeout: timedelta | None = None) -> None:
        self.project = project
        self.on_vercel = project.environment.on_vercel
        self.timeout = timeout or (ON_VERCEL if self.on_vercel else TIMEOUT)
        self._lock = threading.Lock()
        self._manager: LocalJobManager | None = None
        self._subscribers: Subscribers | None = None
        self._watcher: threading.Thread | None = None
        self._is_closing = False

    @property
    def is_disabled(self) -> bool:
        """Whether scheduling is disabled."""
        return resolve(self.project.environment) is Mode.DISABLED

    @property
    def longest_s(self) -> float:
        """The longest time that ``run`` may take, in seconds."""
        return self.timeout.total_seconds() + (_END_S + _LOG_S if self.on_vercel else 0.0) + 1.0

    @property
    def manager(self) -> "LocalJobManager":
        """The manager that runs jobs for requests."""
        self.project.open_store()
        catalogue = self.project.catalogue
        with self._lock:
            if self._manager is None:
                self._manager = make_local_manager(self.project)
                self._manager.add(catalogue.jobs)
                self._subscribers = Subscribers(self._manager, catalogue, self.project)
                if self._subscribers.warning is not None:
                    logging.getLogger("jobctl").warning(self._subscribers.warning)
            return self._manager

    def watch(self) -> None:
        """Begin to watch what is expected of jobs, in a thread: no start waits for their modules or the run store.

        Where that fails, the first run of a job begins it.
        """
        if not self.on_vercel:
            self._watcher = threading.Thread(target=self._watch, name="jobctl-watch", daemon=True)
            with suppress(JobctlError):
                thread_start.start(self._watcher)

    def _watch(self) -> None:
        with suppress(JobctlError):
            if any(job.expect for job in self.project.catalogue) and not self._is_closing:
                _ = self.manager

    def read_store(self) -> RunStore:
        """The run store, for reading. Runs of processes that died are failed first."""

        def checked() -> RunStore:
            store = self.project.open_store()
            fail_lost_runs_once(store, self.project.state, SystemClock())
            return store

        return wait_for_store(checked, SystemClock())

    def run(
        self,
        job_id: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        actor: str | None = None,
        if_disabled: bool = False,
        expression: str | None = None,
    ) -> Run:
        """Run a job and wait until it ends, for at most the timeout; then the run continues in the background.

        On Vercel nothing continues after the response, so the run is ended there, and recorded. A call there for a slot
        on an excluded date is recorded as skipped.

        Args:
            arguments: JSON values for its function or program, by name.
            actor: who asks.
            if_disabled: run it also if scheduling is disabled.
            expression: the cron expression by which Vercel calls; None: another client calls.

        Raises:
            SlotTakenError: Vercel has called for this due time before.
            UsageError: the job does not take these arguments; nothing was started.
            UnknownJobError: the catalogue has no such job.
            AlreadyRunningError: it has an unfinished run; nothing was started.
            NotRunError: scheduling is disabled, or what the job needs is not configured.
            StoreError: the run cannot be recorded, so it was not started.
        """
        job = self._job(job_id)
        zone = job.schedule.timezone if job.schedule is not None else "UTC"
        called = called_slot(expression, zone, SystemClock().now()) if expression is not None else None

        def start(manager: "LocalJobManager") -> Run:
            if called is None:
                return manager.trigger_job(job_id, arguments=arguments, trigger=Trigger.HTTP, actor=actor)
            slot, in_time = called
            if in_time and isinstance(job.schedule, Excluding) and job.schedule.excludes(slot):
                return manager.skip_excluded(job_id, slot)
            trigger = Trigger.SCHEDULE if in_time else Trigger.HTTP
            return manager.trigger_job(
                job_id,
                arguments=arguments,
                trigger=trigger,
                slot=slot,
                claims_slot=in_time,
                actor=actor,
            )

        return self._run(job_id, start, if_disabled=if_disabled)

    def run_later(
        self, job_id: str, at: datetime, arguments: Mapping[str, Any] | None, actor: str
    ) -> WaitingRun:
        """Keep a run for later; the local scheduler starts it.

        Raises:
            UsageError: ``at`` is past, the job does not take these arguments, or they hold a secret.
            UnknownJobError: the catalogue has no such job.
            NotRunError: no local scheduler is in charge, or what the job needs is not configured.
            StoreError: the run cannot be kept.
        """
        self._job(job_id)
        mode = resolve(self.project.environment)
        if mode is not Mode.LOCAL:
            raise NotRunError(
                f"{job_id} cannot be run later: no local scheduler is in charge (mode {mode.value})"
            )
        return self.manager.trigger_job_later(job_id, at, arguments=arguments, actor=actor)

    def rerun(self, run_id: str, actor: str) -> Run:
        """Run a job again with the arguments and the slot of an earlier run, and wait as ``run`` does.

        Raises:
            UnknownRunError: there is no such run.
            UsageError: its arguments hold a secret, which is not kept.
            UnknownJobError: the catalogue has its job no more.
            AlreadyRunningError: it has not ended, or another run of the job has not.
            NotRunError: scheduling is disabled, or what the job needs is not configured.
            StoreError: the run cannot be recorded, so it was not started.
        """
        return self._run(
            f"the job of run {run_id}",
            lambda manager: manager.rerun(run_id, trigger=Trigger.HTTP, actor=actor),
        )

    def _job(self, job_id: str) -> Job:
        return self.project.catalogue.get(job_id, lambda job_id: self.read_store().job(job_id) is not None)

    def _run(self, name: str, start: "Callable[[LocalJobManager], Run]", *, if_disabled: bool = False) -> Run:
        """Start a run and wait until it ends, for at most the timeout.

        Args:
            name: of what is to be run, for messages.
        """
        end = time.monotonic() + self.timeout.total_seconds()
        if not if_disabled:
            self.demand_enabled(name)

        def pause(seconds: float) -> None:
            if time.monotonic() + seconds > end:
                raise store_timeout()
            threading.Event().wait(seconds)

        manager = wait_for_store(lambda: self.manager, SystemClock(), pause=pause)
        started = wait_for_store(lambda: start(manager), SystemClock(), pause=pause)
        ended: Run | None = None
        with suppress(TimeoutError):
            ended = manager.wait(started.id, max(0.0, end - time.monotonic()))
        if ended is None and self.on_vercel:
            manager.end_run(started.id)
            with suppress(TimeoutError):
                ended = manager.wait(started.id, _END_S)
        if self.on_vercel:  # nothing continues after the response
            manager.ship_log(started.id, _LOG_S)
        return ended or self.project.open_store().run(started.id) or started

    def demand_enabled(self, name: str) -> None:
        """Check that a run may be started.

        Args:
            name: of what is to be run.

        Raises:
            NotRunError: scheduling is disabled.
        """
        if self.is_disabled:
            raise NotRunError(
                f"{name} was not run: scheduling is disabled (DISABLE_AUTO_SYNC)",
                hint="jobctl mode shows where that is set",
            )

    def cancel(self, run_id: str, by: str, reason: str | None) -> tuple[Run, bool]:
        """Ask a run to end, wherever it runs.

        Args:
            by: who asks.
            reason: why; kept with the run.

        Returns:
            The run, and whether it had not ended yet.

        Raises:
            UnknownRunError: there is no such run.
            StoreError: the run store cannot be used.
        """
        store = self.read_store()
        found = store.waiting_run(run_id) or store.run(run_id)
        if found is None:
            raise unknown_run(run_id)
        cancellation = Cancellation(found.id, by, printable(reason) if reason else None)
        is_asked = store.cancel(cancellation, SystemClock().now())
        run = store.run(found.id)
        if run is None:  # it was deleted meanwhile
            raise unknown_run(run_id)
        return run, is_asked

    def close(self) -> None:
        """End the runs in progress, with a grace time, and close the store."""
        self._is_closing = True
        if self._watcher is not None and self._watcher.is_alive():
            self._watcher.join(_CLOSE_S)
        with self._lock:
            manager, subscribers = self._manager, self._subscribers
            self._manager = self._subscribers = None
        if manager is not None:
            manager.shutdown(GRACE)
        if subscribers is not None:
            subscribers.close()
        self.project.close()
