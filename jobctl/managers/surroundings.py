"""Where a process stands: the project, its settings, and its run store."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from jobctl.catalogue.project import Project, find_project
from jobctl.settings.environment import Environment

if TYPE_CHECKING:
    from jobctl.runs.store import RunStore


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Found once, then handed around. ``state`` is ``JOBCTL_STATE`` or ``.jobctl`` in the project."""

    project: Project
    environment: Environment
    state: Path

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return self.project.folder

    @classmethod
    def find(cls, start: Path | None = None, process: Mapping[str, str] | None = None) -> Self:
        """Look from ``start`` upward (``JOBCTL_PROJECT``, else the working folder).

        Raises:
            ConfigurationError: a project file or an ``.env`` file cannot be used.
        """
        values = os.environ if process is None else process
        begin = start or Path(values.get("JOBCTL_PROJECT") or Path.cwd())
        project = find_project(begin)
        environment = Environment.load(project.folder, values)
        named = environment.text("JOBCTL_STATE")
        state = project.folder / (named or ".jobctl")
        return cls(project, environment, state)

    def open_store(self) -> "RunStore":
        """The run store, made where there is none.

        Raises:
            StoreError: it cannot be opened or made.
        """
        from jobctl.runs.choose import open_store

        return open_store(self.state)
