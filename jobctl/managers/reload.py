"""Loads an edited project file while the scheduler runs; one that cannot be used changes nothing."""

import os
import threading
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from jobctl import thread_start
from jobctl.catalogue.calendars import FileState, file_state, named_files
from jobctl.catalogue.catalogue import Catalogue
from jobctl.catalogue.project_file import read_project_file
from jobctl.clock import SystemClock
from jobctl.errors import ConfigurationError, JobctlError, StoreError
from jobctl.events import JobsChanged, JobsLeftOut, JobsRefused
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job
from jobctl.project import ProjectContext
from jobctl.project_location import OWN_FILE, SHARED_FILE, find_project
from jobctl.subscribers import Subscribers

FileVersion = FileState | None
"""Of the project file; None where there is none."""
_UNREADABLE = (0, 0, 0)


def file_version(folder: Path) -> FileVersion:
    """What differs between the project file and an edited one."""
    try:
        file = find_project(folder).file
    except JobctlError:
        return _UNREADABLE  # loading it raises the error to report
    return (file_state(file) or _UNREADABLE) if file is not None else None


def _folder_version(folder: Path, calendar_files: Iterable[Path]) -> list[tuple[int, ...]]:
    """What differs whenever a version may differ; found in a tenth of the time."""
    found: list[tuple[int, ...]] = []
    for path in (folder, folder / OWN_FILE, folder / SHARED_FILE, *calendar_files):
        try:
            state = os.stat(path)  # noqa: PTH116
        except OSError as error:
            found.append((error.errno or 0,))
        else:
            found.append((state.st_ctime_ns, state.st_mtime_ns, state.st_size, state.st_ino))
    return found


class Reload:
    """Watches the project file and its calendars, and applies them to a running manager.

    A file is loaded once it is the same at two polls in a row: editors write in several steps. It is loaded in a
    thread, since importing its modules may take a minute, and a stop must not wait for that.

    Args:
        subscribers: get an edited ``notify``.
        jobs: what is scheduled now.
        only: the ids that were chosen; empty for all.
        version: of the file that ``jobs`` come from, read before it was loaded.
        calendar_files: of that file, as they were when they were read.
    """

    def __init__(
        self,
        manager: LocalJobManager,
        subscribers: Subscribers,
        project: ProjectContext,
        jobs: Collection[Job],
        *,
        only: Collection[str],
        version: FileVersion,
        calendar_files: Mapping[Path, FileVersion],
    ) -> None:
        self._manager = manager
        self._subscribers = subscribers
        self._project = project
        self._jobs = {job.id: job for job in jobs}
        self._only = set(only)
        self._applied = self._seen = (version, calendar_files)
        self._folder_seen: list[tuple[int, ...]] = []
        self._loading: Future[Catalogue] | None = None

    def poll(self) -> None:
        """Load or apply what has changed. Returns soon: what is being loaded is applied at a later poll."""
        if self._loading is not None:
            if self._loading.done():
                loaded, self._loading = self._loading, None
                self._try_to_apply(loaded)
            return
        folder_version = _folder_version(self._project.folder, self._seen[1])
        if folder_version == self._folder_seen and self._seen == self._applied:
            return
        self._folder_seen = folder_version
        version = file_version(self._project.folder), {path: file_state(path) for path in self._seen[1]}
        is_stable, self._seen = version == self._seen, version
        if version != self._applied and is_stable:
            self._load(version[0])

    def _load(self, version: FileVersion) -> None:
        loading = self._loading = Future()
        folder = self._project.folder

        def load() -> None:
            try:
                if version is None:
                    raise ConfigurationError(f"the project file of {folder} is gone", hint="put it back")
                loading.set_result(Catalogue.load(find_project(folder), self._project.environment))
            except Exception as error:
                loading.set_exception(error)

        try:
            thread_start.start(threading.Thread(target=load, name="jobctl-reload", daemon=True))
        except thread_start.NoThreadError as error:
            loading.set_exception(error)

    def _try_to_apply(self, loaded: Future[Catalogue]) -> None:
        version = self._seen
        try:
            catalogue = loaded.result()
            self._apply(catalogue)
            version = self._seen = (version[0], catalogue.calendar_files)
        except StoreError:
            return  # the scheduler reports it; the file is loaded again at the next poll
        except Exception as error:
            self._manager.bus.publish(JobsRefused(SystemClock().now(), error))
            version = self._seen = (version[0], _files_named_in(self._project.folder))
        self._applied = version

    def _apply(self, catalogue: Catalogue) -> None:
        jobs = {job.id: job for job in catalogue if not self._only or job.id in self._only}
        differing = [job for job in jobs.values() if _differs(self._jobs.get(job.id), job)]
        added = tuple(job.id for job in differing if job.id not in self._jobs)
        changed = tuple(job.id for job in differing if job.id in self._jobs)
        removed = tuple(sorted(self._jobs.keys() - jobs.keys()))
        for warning in catalogue.warnings:
            self._manager.bus.publish(JobsLeftOut(SystemClock().now(), warning))
        self._subscribers.use(catalogue)
        self._manager.remove(removed)
        self._manager.renew_workers()  # what was edited together with the file is imported again
        self._manager.add(differing)
        self._jobs = jobs
        self._manager.bus.publish(JobsChanged(SystemClock().now(), added, changed, removed))


def _files_named_in(folder: Path) -> dict[Path, FileVersion]:
    """The calendars of a project file that cannot be used: perhaps because of one of them."""
    try:
        location = find_project(folder)
        return {path: file_state(path) for path in named_files(read_project_file(location), folder)}
    except JobctlError:
        return {}


def _differs(before: Job | None, after: Job) -> bool:
    """Whether more of a job has changed than its place in the file."""
    return before is None or replace(before, origin=after.origin) != after
