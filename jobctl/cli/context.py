"""``Context``: what every command is given, each part made on first use; and runs, found where they are recorded."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from jobctl.cli.output import Output
from jobctl.clock import Clock, SystemClock
from jobctl.errors import (
    ConfigurationError,
    JobctlError,
    NotRunningError,
    ServiceError,
    UntrustedError,
    UsageError,
)
from jobctl.signals import DETACHED_MARK
from jobctl.text import is_id_prefix, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta
    from pathlib import Path

    from jobctl.catalogue.catalogue import Catalogue
    from jobctl.cli.output import Common
    from jobctl.errors import StoreError
    from jobctl.managers.base import StoreBackedManager
    from jobctl.managers.factory import Manager
    from jobctl.managers.local import LocalJobManager
    from jobctl.model import Job, Run, WaitingRun
    from jobctl.modes import Mode
    from jobctl.project import ProjectContext
    from jobctl.scheduler.single_run import SingleRun
    from jobctl.settings.environment import Environment
    from jobctl.store.base import RunStore
    from jobctl.subscribers import Publisher, Subscribers
    from jobctl.trigger_dev.manager import TriggerDevJobManager


class Context:
    """Given to every command's ``run``.

    Attributes:
        command: the command as it was typed, ``stop`` or ``pause``.
        is_detached: whether ``trigger --no-wait`` started this process: its first line of output is the run, and
            its last.
    """

    def __init__(
        self,
        common: Common,
        process: Mapping[str, str] = os.environ,
        clock: Clock | None = None,
        output: Output | None = None,
        *,
        command: str = "",
    ) -> None:
        self.common = common
        self.command = command
        self.process = process
        self.clock: Clock = clock or SystemClock()
        self.output = output or Output(common, process)
        self._tolerates_bad_settings = False
        self._store_is_checked = False
        self._resources = ExitStack()
        self.is_detached = process.get(DETACHED_MARK) == "1"
        if self.is_detached:
            os.environ.pop(DETACHED_MARK, None)  # processes that this one starts are not detached

    def tolerate_bad_settings(self) -> None:
        """Warn of errors in the project file and the settings instead of raising them, and answer from the run store.

        For commands that only read. A wrong setting that they need is still refused when it is read.
        """
        self._tolerates_bad_settings = True

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return self.clock.now()

    @cached_property
    def project(self) -> ProjectContext:
        """The project, with its settings, state folder and run store.

        Raises:
            ConfigurationError: a setting is wrong.
        """
        project = self.unchecked_project()
        self._resources.callback(project.close)
        _ = project.state  # raises if it cannot be used
        if not self._tolerates_bad_settings:
            project.environment.require()
            return project
        for fault in project.environment.check():
            if isinstance(fault, UntrustedError):
                raise fault
            self.output.warn(str(fault))
        return project

    @property
    def _start(self) -> Path | None:
        from jobctl.files import with_home

        start = with_home(self.common.project, "--project") if self.common.project else None
        if start is not None and not os.path.isdir(start):  # noqa: PTH112 - False also for an invalid path
            raise UsageError(f"there is no folder {quote(str(start))}", hint="see --project")
        return start

    def unchecked_project(self) -> ProjectContext:
        """The project, whatever is wrong with its settings."""
        from jobctl.project import ProjectContext

        project = ProjectContext.find(self._start, self.process, pipes=not self.is_detached)
        Output.mask = project.environment.mask
        for file in project.environment.files:
            if file.ignored_because:
                self.output.warn(f"{file.name} is {file.ignored_because}, so it is ignored")
        return project

    @property
    def environment(self) -> Environment:
        """The settings, each with its source."""
        return self.project.environment

    @cached_property
    def mode(self) -> Mode:
        """Which scheduler is in charge."""
        from jobctl.modes import resolve

        return resolve(self.environment)

    @property
    def uses_trigger_dev(self) -> bool:
        """Whether Trigger.dev schedules and runs the jobs."""
        return self.mode == "trigger-dev"

    @cached_property
    def catalogue(self) -> Catalogue:
        """All jobs of this project; warns of jobs that are left out.

        Raises:
            ConfigurationError: the project file or a module has an error. After ``tolerate_bad_settings`` only if
                there is no run store either.
        """
        try:
            found = self.project.catalogue
        except ConfigurationError as error:
            store = self.store_if_any if self._tolerates_bad_settings else None
            if store is None:
                raise
            found = self._catalogue_from_store(store, error)
        for warning in found.warnings:
            self.output.warn(warning)
        return found

    def _catalogue_from_store(self, store: RunStore, error: ConfigurationError) -> Catalogue:
        from jobctl.catalogue.catalogue import Catalogue
        from jobctl.catalogue.notify_settings import Notify
        from jobctl.errors import ConfigurationErrors
        from jobctl.managers.status import recorded_jobs

        errors = error.problems if isinstance(error, ConfigurationErrors) else [error]
        warnings = [
            *map(str, errors),
            "the project's jobs cannot be read, so these are the jobs that the run store knows",
        ]
        return Catalogue(tuple(recorded_jobs(store.jobs().values())), Notify(), warnings, ())

    def job(self, job_id: str) -> Job:
        """A job of the catalogue.

        Raises:
            UnknownJobError: there is none; suggests a similar id.
        """
        return self.catalogue.get(job_id, self.is_recorded)

    def listed_job(self, job_id: str) -> Job:
        """A job of the catalogue, or one that ``status`` lists because another program or project schedules it.

        Raises:
            UnknownJobError: there is none; suggests a similar id.
        """
        from jobctl.managers.status import is_in_use, recorded_jobs

        store = None if job_id in self.catalogue.ids() or self.uses_trigger_dev else self.store_if_any
        record = store.job(job_id) if store is not None else None
        if record is not None and is_in_use(record, self.now()):
            return recorded_jobs([record])[0]
        return self.job(job_id)

    def check_known(self, job_id: str) -> None:
        """Check that the catalogue has the job, or the store: from earlier, or from an application.

        Raises:
            UnknownJobError: neither has it.
        """
        if not self.knows(job_id):
            self.catalogue.get(job_id)

    def knows(self, job_id: str) -> bool:
        """Whether the store has the job, or the catalogue, which takes longer to read."""
        return self.is_recorded(job_id) or job_id in self.catalogue.ids()

    def is_recorded(self, job_id: str) -> bool:
        """Whether the store has the job."""
        store = self.store_if_any
        return store is not None and store.job(job_id) is not None

    @property
    def store(self) -> RunStore:
        """The run store, created if it does not exist. Lost runs are failed first."""
        return self._checked(self.project.open_store())

    @property
    def store_if_any(self) -> RunStore | None:
        """The run store, or None: reading creates nothing."""
        store = self.project.existing_store()
        return None if store is None else self._checked(store)

    def _checked(self, store: RunStore) -> RunStore:
        if not self._store_is_checked:
            if store.warning:
                self.output.warn(store.warning)
            if store.unfinished():
                self.fail_lost_runs(store)
            self._store_is_checked = True
        return store

    def fail_lost_runs(self, store: RunStore) -> None:
        """Record that processes have died, and fail the runs that they had."""
        from jobctl.scheduler.liveness import fail_lost_runs_once

        fail_lost_runs_once(store, self.project.state, self.clock)

    def refresh(self) -> None:
        """Before the store is read again: fail the runs of processes that died since, and find a store made since."""
        self._store_is_checked = False
        _ = self.store_if_any

    def manager(self) -> Manager:
        """The manager for this mode.

        Raises:
            ConfigurationError: Trigger.dev does not accept this kind of key.
        """
        from jobctl.managers.factory import make_manager

        return make_manager(self.mode, self.project, clock=self.clock)

    def scheduling_manager(self, *, workers: int, grace: timedelta) -> LocalJobManager:
        """The manager of ``run``. Its run store is opened for a scheduler, which waits while its server is away."""
        from jobctl.managers.factory import make_local_manager
        from jobctl.project import wait_for_store

        wait_for_store(lambda: self._open_to_run(for_scheduler=True), self.clock, self.warn_of_store_error)
        return make_local_manager(
            self.project, kind="scheduler", workers=workers, grace=grace, clock=self.clock
        )

    def single_run(self, job: Job) -> SingleRun:
        """One run of a job in this process, whatever the mode."""
        from jobctl.managers.factory import make_single_run

        self._open_to_run()
        return make_single_run(self.project, job, self.clock)

    def _open_to_run(self, *, for_scheduler: bool = False) -> None:
        """Open the run store for what fails lost runs itself when it starts, and publishes that."""
        store = self.project.open_store(for_scheduler=for_scheduler)
        if store.warning and not self._store_is_checked:
            self.output.warn(store.warning)
        self._store_is_checked = True

    def subscribers(self, manager: Publisher) -> Subscribers:
        """Notifications, traces and metrics of a manager's runs, as configured.

        Raises:
            ConfigurationError: a variable that should hold a URL does not.
        """
        from jobctl.subscribers import Subscribers

        subscribers = Subscribers(manager, self.catalogue, self.project)
        if subscribers.warning is not None:
            self.output.warn(subscribers.warning)
        return subscribers

    @cached_property
    def job_manager(self) -> StoreBackedManager | TriggerDevJobManager:
        """Shows the catalogue's jobs, and takes them off their schedules and back on. It runs none.

        Raises:
            ConfigurationError: Trigger.dev does not accept this kind of key.
        """
        from jobctl.managers.base import StoreBackedManager
        from jobctl.modes import Mode

        if self.mode is Mode.TRIGGER_DEV:
            return self.trigger_dev
        idle = None if self.mode is Mode.LOCAL else f"mode is {self.mode.value}"
        manager = StoreBackedManager(self.store, self.clock, idle, self.environment.mask)
        manager.add(self.catalogue.jobs)
        return manager

    @cached_property
    def trigger_dev(self) -> TriggerDevJobManager:
        """The manager for the jobs at Trigger.dev.

        Raises:
            ConfigurationError: Trigger.dev does not accept this kind of key.
        """
        from jobctl.trigger_dev.account import Account
        from jobctl.trigger_dev.manager import TriggerDevJobManager

        manager = TriggerDevJobManager(Account.read(self.environment), self.store_if_any, clock=self.clock)
        self._resources.callback(manager.shutdown)
        manager.add(self.catalogue.jobs)
        return manager

    def keeping_manager(self, job_id: str) -> StoreBackedManager | TriggerDevJobManager:
        """The manager that keeps runs of a job for later.

        Raises:
            NotRunError: nothing would start them.
        """
        from jobctl.errors import NotRunError
        from jobctl.modes import Mode

        if self.mode is Mode.DISABLED:
            self.manager().trigger_job(job_id)  # raises, and says why
        if self.mode is Mode.VERCEL:
            raise NotRunError(
                f"{job_id} cannot be run later: Vercel Cron starts jobs on their schedules only",
                hint=f"run it now: jobctl trigger {job_id}",
            )
        if self.mode is Mode.TRIGGER_DEV:
            _ = self.store  # keeps the ids of runs that are started there: Trigger.dev lists them late
        return self.job_manager

    def note_missing_scheduler(self) -> None:
        """Say on standard error where jobctl is in charge and no scheduler runs."""
        from jobctl.scheduler.liveness import scheduler_presence

        manager = self.job_manager
        schedules_here = not manager.place and manager.idle is None
        if schedules_here and not scheduler_presence(self.store, self.project.state, self.clock).running:
            self.output.note("no scheduler is running. Start it: jobctl run")

    def warn_of_store_error(self, error: StoreError) -> None:
        """Warn that the run store does not answer and is tried again; for ``wait_for_store``."""
        from jobctl.project import describe_outage

        self.output.warn(describe_outage(error))

    def close(self) -> None:
        """Close the run store and the connection to Trigger.dev, if they were opened."""
        self._resources.close()


T = TypeVar("T")


def read_runs(
    context: Context,
    remote: Callable[[TriggerDevJobManager], T],
    local: Callable[[RunStore], T],
    default: T,
) -> tuple[T, JobctlError | None]:
    """Read from Trigger.dev in its mode, else from the run store.

    Args:
        default: the value where there is no run store yet.

    Returns:
        What was read, and the error of Trigger.dev if it did not answer and the run store was read instead.
    """
    failure: JobctlError | None = None
    if context.uses_trigger_dev:
        try:
            return remote(context.trigger_dev), None
        except (ServiceError, ConfigurationError) as error:
            failure = error
            problem = "does not answer" if isinstance(error, ServiceError) else "cannot be asked"
            context.output.warn(f"Trigger.dev {problem}; these are the runs recorded here")
    store = context.store_if_any
    return local(store) if store is not None else default, failure


def find_waiting(name: str, context: Context) -> WaitingRun | None:
    """The run with this id or unique prefix that is kept for later, or that Trigger.dev delays; None for another name.

    Raises:
        UsageError: several runs that are kept have the prefix.
        ServiceError: Trigger.dev, which has the run, does not answer.
    """
    if name.startswith("run_") and context.uses_trigger_dev:
        return context.trigger_dev.waiting_run(name)
    if not is_id_prefix(name) or context.is_recorded(name):
        return None
    store = context.store_if_any
    return store.waiting_run(name) if store is not None else None


def find_run(name: str, context: Context) -> Run | None:
    """The run with this id or unique prefix; None if the name is the id of a job.

    Raises:
        NotRunningError: the run is kept for later, and has not begun.
        UnknownJobError: the name looks like a job's id, and there is no such job.
        UsageError: it looks like a run's id, and there is no such run, or there are several.
        ServiceError: Trigger.dev, which has the run, does not answer.
    """
    if context.is_recorded(name):  # the catalogue takes longer to read, so it comes last
        return None
    is_remote = name.startswith("run_") and context.uses_trigger_dev
    if is_remote or is_id_prefix(name):
        store = context.store_if_any
        found = context.trigger_dev.run(name) if is_remote else store.run(name) if store else None
        if found is not None:
            return found
        if is_remote or name not in context.catalogue.ids():
            if (kept := find_waiting(name, context)) is not None:
                from jobctl.cli.times import dated

                raise NotRunningError(
                    f"run {kept.short_id} of {kept.job_id} has not begun: it waits until {dated(kept.begins_at)}",
                    hint=f"all of it: jobctl runs {kept.short_id}",
                )
            from jobctl.managers.rerun import unknown_run

            raise unknown_run(name)
    context.check_known(name)
    return None


def report_service_error(error: JobctlError | None, out: Output) -> int:
    """Report an error after the view that was shown without the service, and return the exit code."""
    if error is None:
        return 0
    if not out.json:
        out.problem(error)
    return error.exit_code
