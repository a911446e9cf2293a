"""Where a built-in job stands: the project, its settings, and what it works on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from jobctl.catalogue.project import find_project, state_folder, store_place
from jobctl.clock import SystemClock
from jobctl.settings.environment import Environment

if TYPE_CHECKING:
    from datetime import datetime

    from jobctl.site.database.session import Database
    from jobctl.store.records import RunStore


@dataclass(frozen=True)
class Here:
    """Found by a worker from its working folder, which is the project's."""

    project: Path
    environment: Environment
    state: Path

    @classmethod
    def find(cls) -> Self:
        """Look around."""
        project = find_project(Path.cwd())
        environment = Environment.load(project.folder, os.environ, pipes=False)
        return cls(project.folder, environment, state_folder(project, environment))

    @cached_property
    def database(self) -> "Database":
        """The site's database.

        Raises:
            ConfigurationError: it is not configured.
        """
        from jobctl.site.database.session import Database

        return Database.open(self.environment, self.project)

    @property
    def content(self) -> Path:
        """The content folder."""
        return self.environment.content

    @property
    def outbox(self) -> Path:
        """Where mails go that have no provider."""
        return self.state / "outbox"

    @property
    def reports(self) -> Path:
        """Where reports go."""
        return self.state / "reports"

    def nearby(self, file: Path | str) -> str:
        """A path as it is seen from the project, where it lies in it."""
        path = Path(file)
        return str(path.relative_to(self.project) if path.is_relative_to(self.project) else path)

    def now(self) -> "datetime":
        """The wall clock, in UTC."""
        return SystemClock().now()

    @contextmanager
    def store(self) -> Iterator["RunStore"]:
        """The run store, with its cache and counters."""
        from jobctl.store.open import open_store

        store = open_store(store_place(self.environment, self.state))
        try:
            yield store
        finally:
            store.close()
