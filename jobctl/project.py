"""The project that a process works on."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from jobctl.catalogue.project import Project, find_project, state_folder, store_place
from jobctl.errors import UsageError
from jobctl.settings.environment import Environment
from jobctl.settings.paths import with_home
from jobctl.values import value

if TYPE_CHECKING:
    from jobctl.store.base import SQLRunStore


@value
class Surroundings:
    """Found once, then handed around. ``state`` is the folder of the logs, and of a run store that is a file."""

    project: Project
    environment: Environment
    state: Path

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return self.project.folder

    @property
    def store_place(self) -> Path | str:
        """Where the run store is: the state folder, or an address that holds a password."""
        return store_place(self.environment, self.state)

    @classmethod
    def find(
        cls, start: Path | None = None, process: Mapping[str, str] | None = None, *, pipes: bool = True
    ) -> Self:
        """Look from ``start`` upward (``JOBCTL_PROJECT``, else the working folder).

        Args:
            pipes: see ``collect``.

        Raises:
            ConfigurationError: a project file or an ``.env`` file cannot be used.
            UsageError: the place to look from is the working folder, or is seen from there, and that is gone.
        """
        return cls.of(*cls.settings(start, process, pipes=pipes))

    @classmethod
    def of(cls, project: Project, environment: Environment) -> Self:
        """Where a process with this project and these settings stands.

        Raises:
            ConfigurationError: the state folder cannot be used.
        """
        return cls(project, environment, state_folder(project, environment))

    @classmethod
    def settings(
        cls, start: Path | None, process: Mapping[str, str] | None, *, pipes: bool
    ) -> tuple[Project, Environment]:
        """The project and its settings alone, see ``find``."""
        values = os.environ if process is None else process
        try:
            named = values.get("JOBCTL_PROJECT")
            project = find_project(start or (with_home(named, "JOBCTL_PROJECT") if named else Path.cwd()))
        except FileNotFoundError:
            raise UsageError("the working folder is gone", hint="go to one that is there") from None
        return project, Environment.load(project.folder, values, pipes=pipes)

    def open_store(self, *, for_scheduler: bool = False) -> "SQLRunStore":
        """The run store, made where there is none.

        For a scheduler it is looked through first, waits only a second for others, since the loop has
        other things to see to, and is folded by the scheduler's own chore.

        Raises:
            StoreError: it cannot be opened or made.
        """
        from jobctl.store.open import open_store

        if not for_scheduler:
            return open_store(self.store_place)
        store = open_store(self.store_place, busy_timeout=timedelta(seconds=1), verify=True)
        store.checkpoint_by_hand()
        return store
