"""Takes up an edited project file while the scheduler runs; one that cannot be used changes nothing."""

import os
import threading
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from jobctl import threads
from jobctl.catalogue.catalogue import Catalogue
from jobctl.catalogue.location import find_project
from jobctl.clock import SystemClock
from jobctl.errors import ConfigurationError, JobctlError, StoreError
from jobctl.events import JobsChanged, JobsLeftOut, JobsRefused
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job
from jobctl.project import ProjectContext
from jobctl.subscribers import Subscribers

Mark = tuple[int, int, int] | None


def mark_of(folder: Path) -> Mark:
    """What tells the project file from an edited one; None where there is none."""
    try:
        file = find_project(folder).file
        state = os.stat(file) if file is not None else None  # noqa: PTH116
    except (OSError, JobctlError):
        return (0, 0, 0)  # it cannot even be found or looked at: that is told by reading it
    return (state.st_mtime_ns, state.st_size, state.st_ino) if state else None


class _Reading:
    """Reads a project file in a thread: importing its modules may take a minute, and a stop must not wait."""

    def __init__(self, project: ProjectContext, mark: Mark) -> None:
        self.mark = mark
        self._project = project
        self._found: Catalogue | Exception | None = None
        self._thread = threading.Thread(target=self._read, name="jobctl-reload", daemon=True)
        try:
            threads.start(self._thread)
        except threads.NoThreadError as error:
            self._found = error

    @property
    def is_done(self) -> bool:
        """Whether it was read, for good or ill."""
        return not self._thread.is_alive()

    def catalogue(self) -> Catalogue:
        """What it says; raises what was wrong with it."""
        if isinstance(self._found, Catalogue):
            return self._found
        raise self._found or AssertionError("not read yet")

    def _read(self) -> None:
        folder = self._project.folder
        try:
            if self.mark is None:
                raise ConfigurationError(f"the project file of {folder} is gone", hint="put it back")
            self._found = Catalogue.load(find_project(folder), self._project.environment)
        except Exception as error:  # told by whoever asks
            self._found = error


class Reload:
    """Looks at the file whenever it is asked to.

    A file is read when it looks the same twice in a row: editors write in several steps.

    Args:
        subscribers: takes up an edited ``notify``.
        jobs: what is scheduled now.
        only: the ids that were chosen, none for all.
        mark: of the file that ``jobs`` come from, taken before it was read.
    """

    def __init__(
        self,
        manager: LocalJobManager,
        subscribers: Subscribers,
        project: ProjectContext,
        jobs: Collection[Job],
        *,
        only: Collection[str],
        mark: Mark,
    ) -> None:
        self._subscribers = subscribers
        self._manager = manager
        self._project = project
        self._jobs = {job.id: job for job in jobs}
        self._only = set(only)
        self._taken = self._seen = mark
        self._reading: _Reading | None = None

    def look(self) -> None:
        """Take up what has changed since. Returns soon: what has to be read is taken up at a later look."""
        if self._reading is not None:
            if self._reading.is_done:
                reading, self._reading = self._reading, None
                self._take_up(reading)
            return
        mark = mark_of(self._project.folder)
        settled, self._seen = mark == self._seen, mark
        if mark != self._taken and settled:
            self._reading = _Reading(self._project, mark)

    def _take_up(self, reading: _Reading) -> None:
        try:
            self._take(reading.catalogue())
        except StoreError:
            return  # the loop tells of it; the file is read again at the next look
        except Exception as error:
            self._manager.bus.publish(JobsRefused(SystemClock().now(), error))
        self._taken = reading.mark

    def _take(self, catalogue: Catalogue) -> None:
        found = {job.id: job for job in catalogue if not self._only or job.id in self._only}
        differing = [job for job in found.values() if _differs(self._jobs.get(job.id), job)]
        added = tuple(job.id for job in differing if job.id not in self._jobs)
        changed = tuple(job.id for job in differing if job.id in self._jobs)
        removed = tuple(sorted(self._jobs.keys() - found.keys()))
        for warning in catalogue.warnings:
            self._manager.bus.publish(JobsLeftOut(SystemClock().now(), warning))
        self._subscribers.use(catalogue)
        self._manager.remove(removed)
        self._manager.renew_workers()  # what was edited along with the file is imported anew
        self._manager.add(differing)
        self._jobs = found
        self._manager.bus.publish(JobsChanged(SystemClock().now(), added, changed, removed))


def _differs(before: Job | None, after: Job) -> bool:
    """Whether more of a job has changed than its place in the file."""
    return before is None or replace(before, origin=after.origin) != after
