"""The project that a process works on: its settings, state folder, run store and catalogue."""

import os
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from jobctl.clock import Clock
from jobctl.errors import StoreError, UsageError
from jobctl.files import with_home
from jobctl.project_location import ProjectLocation, find_project, state_folder, store_place
from jobctl.settings.environment import Environment

if TYPE_CHECKING:
    from jobctl.catalogue.catalogue import Catalogue
    from jobctl.store.base import RunStore


class ProjectContext:
    """A project as this process sees it. Each part is read or opened on first use and kept; any thread may ask.

    Attributes:
        location: the project's folder, and the project file in it.
        environment: the settings, each with its source.
    """

    def __init__(self, location: ProjectLocation, environment: Environment) -> None:
        self.location = location
        self.environment = environment
        self._lock = threading.RLock()
        self._catalogue: Catalogue | None = None
        self._store: RunStore | None = None
        self._existing_store: RunStore | None = None

    @classmethod
    def find(
        cls, start: Path | None = None, process: Mapping[str, str] | None = None, *, pipes: bool = True
    ) -> Self:
        """Search from ``start`` upward; without it from ``JOBCTL_PROJECT``, or the working folder.

        Args:
            process: the variables of the process; None is ``os.environ``.
            pipes: see ``collect``.

        Raises:
            ConfigurationError: a project file or an ``.env`` file cannot be used.
            UsageError: the working folder does not exist any more.
        """
        values = os.environ if process is None else process
        try:
            named = values.get("JOBCTL_PROJECT")
            location = find_project(start or (with_home(named, "JOBCTL_PROJECT") if named else Path.cwd()))
        except FileNotFoundError:
            raise UsageError(
                "the working directory does not exist any more", hint="cd to an existing directory"
            ) from None
        return cls(location, Environment.load(location.folder, values, pipes=pipes))

    @classmethod
    def of_worker(cls) -> Self:
        """The project of a worker, whose working folder is the project's."""
        return cls.find(Path.cwd(), pipes=False)

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return self.location.folder

    @cached_property
    def state(self) -> Path:
        """The state folder: run logs, and the run store if it is a file.

        Raises:
            ConfigurationError: the folder cannot be used.
        """
        return state_folder(self.location, self.environment)

    @property
    def outbox(self) -> Path:
        """The folder for mails when no mail provider is configured."""
        return self.state / "outbox"

    @property
    def store_place(self) -> Path | str:
        """The state folder, or the address of a Postgres store, which may hold a password."""
        return store_place(self.environment, self.state)

    @property
    def catalogue(self) -> "Catalogue":
        """All jobs known to this project.

        Raises:
            ConfigurationError: the project file, or a module with jobs, has an error.
        """
        from jobctl.catalogue.catalogue import Catalogue

        with self._lock:
            if self._catalogue is None:
                self._catalogue = Catalogue.load(self.location, self.environment)
            return self._catalogue

    def open_store(self, *, for_scheduler: bool = False) -> "RunStore":
        """Return the run store. The first call opens it, and creates it if it does not exist.

        Args:
            for_scheduler: check the whole file, wait for other processes for a second only, and leave
                checkpoints to the scheduler's maintenance.

        Raises:
            StoreError: it cannot be opened or created.
        """
        from jobctl.store.open import open_store

        with self._lock:
            if self._store is None and for_scheduler:
                store = open_store(self.store_place, busy_timeout=timedelta(seconds=1), verify=True)
                store.use_manual_checkpoints()
                self._store = store
            elif self._store is None:
                self._store = open_store(self.store_place)
            return self._store

    def existing_store(self) -> "RunStore | None":
        """Return the run store, or None if it does not exist. Creates nothing, and works on a read-only store.

        Raises:
            StoreError: it cannot be read.
        """
        from jobctl.store.open import open_existing_store

        with self._lock:
            if self._store is not None:
                return self._store
            if self._existing_store is None:
                self._existing_store = open_existing_store(self.store_place)
            return self._existing_store

    def relative(self, file: Path | str) -> str:
        """A path relative to the project's folder if it is inside; else unchanged."""
        path = Path(file)
        return str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path)

    def close(self) -> None:
        """Close the run store if it is open."""
        with self._lock:
            stores, self._store, self._existing_store = (self._store, self._existing_store), None, None
        for store in filter(None, stores):
            store.close()


T = TypeVar("T")

OUTAGE_S = 30.0
_PAUSE_S = 0.5


def describe_outage(error: StoreError) -> str:
    """The warning for ``on_outage``."""
    return f"{error.problem}; trying again for {OUTAGE_S:.0f} s"


def wait_for_store(
    call: Callable[[], T],
    clock: Clock,
    on_outage: Callable[[StoreError], object] = lambda _: None,
    pause: Callable[[float], object] | None = None,
) -> T:
    """Call a function until the store answers, for ``OUTAGE_S`` seconds at most; returns its value.

    Args:
        call: may be called several times.
        on_outage: called with the first error that may pass.
        pause: waits so many seconds; may raise to give up.

    Raises:
        StoreError: the last error, or one that cannot pass by itself.
    """
    wait = pause or threading.Event().wait
    end: float | None = None
    while True:
        try:
            return call()
        except StoreError as error:
            if not error.transient:
                raise
            if end is None:
                end = clock.monotonic() + OUTAGE_S
                on_outage(error)
            elif clock.monotonic() >= end:
                raise
        wait(_PAUSE_S)
