"""Takes up an edited project file while the scheduler runs; one that cannot be used changes nothing."""

import os
from collections.abc import Collection
from dataclasses import replace

from jobctl.catalogue import Catalogue
from jobctl.catalogue.project import find_project
from jobctl.clock import SystemClock
from jobctl.errors import ConfigurationError, JobctlError
from jobctl.events import JobsChanged, JobsLeftOut, JobsRefused
from jobctl.managers.local import LocalJobManager
from jobctl.managers.surroundings import Surroundings
from jobctl.managers.telling import Telling
from jobctl.model import Job

Mark = tuple[int, int, int] | None


class Reload:
    """Looks at the file whenever it is asked to.

    A file is read when it looks the same twice in a row: editors write in several steps.

    Args:
        telling: takes up an edited ``notify``.
        jobs: what is scheduled now.
        only: the ids that were chosen, none for all.
    """

    def __init__(
        self,
        manager: LocalJobManager,
        telling: Telling,
        around: Surroundings,
        jobs: Collection[Job],
        only: Collection[str],
    ) -> None:
        self._telling = telling
        self._manager = manager
        self._folder = around.folder
        self._environment = around.environment
        self._jobs = {job.id: job for job in jobs}
        self._only = set(only)
        self._taken = self._seen = self._mark()

    def look(self) -> None:
        """Take up what has changed since."""
        mark = self._mark()
        settled, self._seen = mark == self._seen, mark
        if mark == self._taken or not settled:
            return
        self._taken = mark
        try:
            if mark is None:
                raise ConfigurationError(f"the project file of {self._folder} is gone", hint="put it back")
            self._take(Catalogue.load(find_project(self._folder), self._environment))
        except JobctlError as error:
            self._manager.bus.publish(JobsRefused(SystemClock().now(), error))

    def _take(self, catalogue: Catalogue) -> None:
        found = {job.id: job for job in catalogue if not self._only or job.id in self._only}
        removed = sorted(self._jobs.keys() - found.keys())
        changed = [job for job in found.values() if _differs(self._jobs.get(job.id), job)]
        added = [job.id for job in changed if job.id not in self._jobs]
        for warning in catalogue.warnings:
            self._manager.bus.publish(JobsLeftOut(SystemClock().now(), warning))
        self._telling.use(catalogue)
        self._manager.remove(removed)
        self._manager.add(changed)
        self._jobs = found
        if changed or removed:
            other = tuple(job.id for job in changed if job.id not in added)
            self._manager.bus.publish(JobsChanged(SystemClock().now(), tuple(added), other, tuple(removed)))

    def _mark(self) -> Mark:
        """What tells the file from an edited one."""
        try:
            file = find_project(self._folder).file
            state = os.stat(file) if file is not None else None  # noqa: PTH116
        except (OSError, JobctlError):
            return (0, 0, 0)  # it cannot even be found or looked at: that is told by reading it
        return (state.st_mtime_ns, state.st_size, state.st_ino) if state else None


def _differs(before: Job | None, after: Job) -> bool:
    """Whether more of a job has changed than its place in the file."""
    return before is None or replace(before, origin=after.origin) != after
