"""Jobs that are found by importing: those of installed packages, and those of the project's modules."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jobctl.catalogue.build import build_job
from jobctl.catalogue.caches import IN_MODULES, in_package
from jobctl.catalogue.packages import GROUP, Package, packages
from jobctl.catalogue.project import Project, state_folder
from jobctl.catalogue.projectfile import ProjectFile
from jobctl.errors import ConfigurationError
from jobctl.masking import Mask
from jobctl.model import Job
from jobctl.settings.environment import Environment
from jobctl.settings.secret import secret_texts


class Finder:
    """Imports for a project, in child processes.

    Args:
        environment: for the children; the process's own where it is None.
    """

    def __init__(self, project: Project, environment: Environment | None) -> None:
        self._project = project
        self._environment = environment

    def in_modules(self, file: ProjectFile) -> Iterator[Job]:
        """Those of the project's modules.

        Raises:
            ConfigurationError: a module cannot be imported.
        """
        return self._jobs(file.modules, file.place("modules"), IN_MODULES)

    def in_packages(self) -> tuple[list[Job], list[str]]:
        """Those of the installed packages, and a sentence for each package that is broken.

        Each is imported by itself, for none may stop the others, or the project.
        """
        jobs: list[Job] = []
        broken: list[str] = []
        for package in packages():
            try:
                jobs += self._brought(package)
            except ConfigurationError as error:
                broken.append(f"{package.label} is broken, so its jobs are left out: {error.problem}")
        return jobs, broken

    def _brought(self, package: Package) -> list[Job]:
        if package.problem:
            raise ConfigurationError(package.problem)
        place = f"the entry points {GROUP} of {package.label}"
        found = self._jobs(package.modules, place, in_package(package.key), package.label)
        return [replace(job, origin=package.label) for job in found]

    def _jobs(self, modules: Sequence[str], place: str, cache: str, *versions: str) -> Iterator[Job]:
        if not modules:
            return
        from jobctl.catalogue.discover import Source, discover

        around = self._environment
        values = around.merged() if around else dict(os.environ)
        mask = around.mask if around else Mask(secret_texts(values))
        source = Source(modules, place, cache, versions)
        for one in discover(self._project.folder, source, values, self._state, mask):
            yield _built(one)

    @cached_property
    def _state(self) -> Path:
        return state_folder(self._project, self._environment)


def _built(found: Mapping[str, Any]) -> Job:
    job = build_job(found["id"], found["settings"], lambda _: str(found["origin"]))
    return replace(job, dry_run=found["dry_run"])
