"""What a command stands on, each part made when it is first asked for: the composition root."""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.cli.options import Common
from jobctl.cli.output import Output
from jobctl.clock import Clock, SystemClock
from jobctl.errors import ConfigurationError, UntrustedError, UsageError
from jobctl.execution.process_tree import DETACHED_MARK
from jobctl.text import quote

if TYPE_CHECKING:
    from jobctl.catalogue.catalogue import Catalogue
    from jobctl.catalogue.project import Project
    from jobctl.errors import StoreError
    from jobctl.managers.factory import Manager
    from jobctl.managers.local import LocalJobManager
    from jobctl.managers.telling import Telling
    from jobctl.model import Job
    from jobctl.modes import Mode
    from jobctl.project import Surroundings
    from jobctl.settings.environment import Environment
    from jobctl.store.base import SQLRunStore
    from jobctl.store.records import RunStore
    from jobctl.trigger_dev.manager import TriggerDevJobManager


class Context:
    """Handed to every command's ``run``.

    Attributes:
        is_detached: whether ``trigger --no-wait`` started this process: its first line of output is the run, and
            its last.
    """

    def __init__(
        self,
        common: Common,
        process: Mapping[str, str] = os.environ,
        clock: Clock | None = None,
        output: Output | None = None,
    ) -> None:
        self.common = common
        self.process = process
        self.clock: Clock = clock or SystemClock()
        self.output = output or Output(common, process)
        self._despite_faults = False
        self.is_detached = process.get(DETACHED_MARK) == "1"
        if self.is_detached:
            os.environ.pop(
                DETACHED_MARK, None
            )  # not for what this process starts: it would count as detached too

    def look_despite_faults(self) -> None:
        """Answer from the run store where the project file or a setting is wrong, and warn of that.

        For commands that only look, which are needed most when something is wrong. A setting that they need is
        still refused as it is read.
        """
        self._despite_faults = True

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return self.clock.now()

    @cached_property
    def surroundings(self) -> "Surroundings":
        """The project, its settings and its run store."""
        from jobctl.project import Surroundings

        project, environment = self.settings()
        found = Surroundings.of(project, environment)
        if not self._despite_faults:
            environment.require()
            return found
        for fault in environment.check():
            if isinstance(fault, UntrustedError):
                raise fault
            self.output.warn(str(fault))
        return found

    @property
    def _start(self) -> Path | None:
        from jobctl.settings.paths import with_home

        start = with_home(self.common.project, "--project") if self.common.project else None
        if start is not None and not os.path.isdir(start):  # noqa: PTH112 - False for what no path can be
            raise UsageError(f"there is no folder {quote(str(start))}", hint="see --project")
        return start

    def settings(self) -> "tuple[Project, Environment]":
        """The project and its settings, whatever is wrong with them."""
        from jobctl.project import Surroundings

        project, environment = Surroundings.settings(self._start, self.process, pipes=not self.is_detached)
        Output.mask = environment.mask
        for file in environment.files:
            if file.passed_over:
                self.output.warn(f"{file.name} is {file.passed_over}, so nothing of it counts")
        return project, environment

    @property
    def project(self) -> "Project":
        """Where the project is."""
        return self.surroundings.project

    @property
    def environment(self) -> "Environment":
        """The settings, each with its source."""
        return self.surroundings.environment

    @cached_property
    def mode(self) -> "Mode":
        """Which scheduler is in charge."""
        from jobctl.modes import resolve

        return resolve(self.environment)

    @cached_property
    def catalogue(self) -> "Catalogue":
        """All jobs known to this project; warns of what is left out.

        Raises:
            ConfigurationError: something in the project file, or in a module, is wrong. After ``look_despite_faults``
                only where there is no run store either.
        """
        from jobctl.catalogue.catalogue import Catalogue

        try:
            found = Catalogue.load(self.project, self.environment)
        except ConfigurationError as error:
            store = self.store_if_any if self._despite_faults else None
            if store is None:
                raise
            found = self._recorded(store, error)
        for warning in found.warnings:
            self.output.warn(warning)
        return found

    def _recorded(self, store: "RunStore", error: ConfigurationError) -> "Catalogue":
        from jobctl.catalogue.catalogue import Catalogue
        from jobctl.catalogue.notify_settings import NOBODY
        from jobctl.errors import ConfigurationErrors
        from jobctl.managers.status import recorded_jobs

        faults = error.problems if isinstance(error, ConfigurationErrors) else [error]
        warnings = [
            *map(str, faults),
            "the project's jobs cannot be read, so these are the jobs that the run store knows",
        ]
        return Catalogue(recorded_jobs(store.jobs()), NOBODY, warnings, ())

    def job(self, job_id: str) -> "Job":
        """A job of the catalogue.

        Raises:
            UnknownJobError: none has this id; says which one was probably meant.
        """
        return self.catalogue.get(job_id)

    def check_known(self, job_id: str) -> None:
        """That the catalogue has the job, or the store knows it from before or from an application.

        Raises:
            UnknownJobError: neither does.
        """
        if not self.knows(job_id):
            self.catalogue.get(job_id)

    def knows(self, job_id: str) -> bool:
        """Whether the store or the catalogue, which takes longer to ask, has the job."""
        return self.is_recorded(job_id) or job_id in self.catalogue.ids()

    def is_recorded(self, job_id: str) -> bool:
        """Whether the store has the job."""
        store = self.store_if_any
        return store is not None and store.job(job_id) is not None

    def state_folder(self) -> Path:
        """Where the run store, run logs and crash files are."""
        return self.surroundings.state

    @cached_property
    def store(self) -> "RunStore":
        """The run store, made where there is none; runs that lost their process are settled."""
        return self._settled(self._opened(self.surroundings.open_store()))

    @cached_property
    def store_if_any(self) -> "RunStore | None":
        """The run store for looking: a look makes nothing."""
        from jobctl.store.open import look_at_store

        store = look_at_store(self.surroundings.store_place)
        return self._settled(store) if store is not None else None

    def manager(self, mode: "Mode", *, kind: str, workers: int, grace: timedelta | None = None) -> "Manager":
        """What runs jobs in this mode.

        Raises:
            ServiceError: Trigger.dev does, and its key is none that it takes.
        """
        from jobctl.managers.factory import make_manager
        from jobctl.managers.store_outage import ride_out

        if kind == "scheduler":  # what lost its process is settled as it starts, and told
            self.__dict__["store"] = ride_out(
                lambda: self._opened(self.surroundings.open_store(for_scheduler=True)),
                self.clock,
                self.store_trouble,
            )
        return make_manager(
            mode,
            store=self.store,
            project=self.project.folder,
            state=self.state_folder(),
            environment=self.environment,
            kind=kind,
            workers=workers,
            grace=grace,
            clock=self.clock,
        )

    def telling(self, manager: "LocalJobManager") -> "Telling":
        """Who hears of a manager's runs besides; what was asked for and cannot be is said.

        Raises:
            ConfigurationError: the variable of a URL holds none.
        """
        from jobctl.managers.telling import Telling

        made = Telling(manager, self.catalogue, self.surroundings)
        if made.trouble is not None:
            self.output.warn(made.trouble)
        return made

    @cached_property
    def trigger_dev(self) -> "TriggerDevJobManager":
        """What Trigger.dev knows of the catalogue's jobs, for looking and for taking them off and on.

        Raises:
            ServiceError: its key is none that it takes.
        """
        from jobctl.trigger_dev.account import Account
        from jobctl.trigger_dev.manager import TriggerDevJobManager

        manager = TriggerDevJobManager(Account.read(self.environment), self.store_if_any, clock=self.clock)
        manager.add(self.catalogue.jobs)
        return manager

    def _opened(self, store: "SQLRunStore") -> "RunStore":
        if store.warning:
            self.output.warn(store.warning)
        return store

    def _settled(self, store: "RunStore") -> "RunStore":
        from jobctl.scheduler.liveness import rescue_once

        rescue_once(store, self.state_folder(), self.clock)
        return store

    def store_trouble(self, error: "StoreError") -> None:
        """Say that the run store is waited for; for ``ride_out``."""
        from jobctl.managers.store_outage import RIDE_OUT_S

        self.output.warn(f"{error.problem}; trying again for {RIDE_OUT_S:.0f} s")

    def look_again(self) -> None:
        """Before another look: settle what died meanwhile, and find a store that has been made since."""
        store = self.store_if_any
        if store is None:
            del self.__dict__["store_if_any"]
        else:
            self._settled(store)

    def close(self) -> None:
        """Let go of the store and of connections, if any were opened."""
        engine = self.__dict__.pop("trigger_dev", None)
        if engine is not None:
            engine.shutdown()
        for name in ("store", "store_if_any"):
            store = self.__dict__.pop(name, None)
            if store is not None:
                store.close()
