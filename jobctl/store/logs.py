"""The logs of runs, ``<state>/logs/<job-id>/<run-id>.log``: by which names they go, and how many of them are kept.

Ids come out of a run store, which others may have written: what has not the form of an id is no name of a file. No
link in place of a folder or a log is followed.
"""

import errno
import os
import re
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from jobctl.files import folder_below, open_below, open_private, state_folder
from jobctl.memory import MIB
from jobctl.store.base import RunStore
from jobctl.text import is_job_id

FOLDER = "logs"
VARIABLE = "JOBCTL_LOGS_MAX_MIB"
MOST = 64 * MIB
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_SUFFIX = ".log"
_DELETED = ".oldest-deleted"
"""Its time is when logs were deleted last for their number of bytes."""


class Usage(NamedTuple):
    """What the logs of a job take.

    Attributes:
        size: in bytes.
        most: bytes that are kept.
        deleted_at: when the oldest were deleted last because they were more than is kept; None: never.
    """

    size: int
    most: int
    deleted_at: datetime | None = None


def _names(job_id: Any, run_id: Any = "-") -> tuple[str, str]:
    """Folder and file of a log.

    Raises:
        OSError: an id has not the form of one.
    """
    for text, is_id in ((job_id, is_job_id), (run_id, _RUN_ID.fullmatch)):
        if not isinstance(text, str) or not is_id(text):
            raise OSError(errno.EINVAL, f"{text!a:.80} in the run store has not the form of an id")
    return job_id, run_id + _SUFFIX


def append(logs: Path, job_id: str, run_id: str) -> int:
    """Open a log to write at its end; it is made where there is none.

    Raises:
        OSError: it cannot be opened, an id is none, or a link is in its place.
    """
    folder, name = _names(job_id, run_id)
    state_folder(logs.parent)
    return open_below(logs.parent, (logs.name, folder), name, os.O_WRONLY | os.O_APPEND)


def read(logs: Path, job_id: str, run_id: str) -> BinaryIO | None:
    """Open a log to read; None where there is none.

    Raises:
        OSError: it cannot be read, an id is none, or what is in its place is a link or no file.
    """
    folder, name = _names(job_id, run_id)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        with folder_below(logs.parent, (logs.name, folder)) as within:
            file = os.open(name, flags, dir_fd=within)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise OSError(errno.ELOOP, "a link is in its place, which is not followed") from None
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, f'"{name}" is no file')
    return os.fdopen(file, "rb")


def delete(logs: Path, job_id: str, run_id: str) -> None:
    """Delete a log.

    Raises:
        OSError: there is none, it cannot be deleted, an id is none, or a folder is a link.
    """
    folder, name = _names(job_id, run_id)
    with folder_below(logs.parent, (logs.name, folder)) as within:
        os.unlink(name, dir_fd=within)


def usage(logs: Path, job_id: str, most: int) -> Usage:
    """What the logs of a job take now, of so many bytes that are kept.

    Raises:
        OSError: the id is none, or the logs cannot be looked at.
    """
    try:
        with folder_below(logs.parent, (logs.name, _names(job_id)[0])) as folder:
            size = sum(one.size for one in _logs(folder))
            try:
                seconds = os.stat(_DELETED, dir_fd=folder, follow_symlinks=False).st_mtime
            except FileNotFoundError:
                return Usage(size, most)
            return Usage(size, most, datetime.fromtimestamp(seconds, UTC))
    except FileNotFoundError:
        return Usage(0, most)


class Kept:
    """Keeps the logs of each job within a number of bytes: the oldest go first, never one that is still written.

    It looks again whenever a tenth of them has been written here, and leaves that much room.
    """

    def __init__(self, logs: Path, most: int) -> None:
        self._logs = logs
        self._most = most
        self._written: dict[str, int] = {}

    def add(self, job_id: str, run_id: str, size: int) -> None:
        """Count what a run has written, and delete what is too much. What cannot be deleted stays."""
        if not size:
            return
        before = self._written.get(job_id)
        self._written[job_id] = (before or 0) + size
        if before is None or before + size > self._most // 10:
            self._written[job_id] = 0
            with suppress(OSError):
                folder, current = _names(job_id, run_id)
                with folder_below(self._logs.parent, (self._logs.name, folder)) as within:
                    self._trim(within, current)

    def _trim(self, folder: int, current: str) -> None:
        logs = sorted(_logs(folder), key=lambda one: (one.changed, one.name == current))
        over = sum(one.size for one in logs) - (self._most - self._most // 10)
        if over <= 0:
            return
        for one in logs[:-1]:  # a job has one unfinished run at most, and its log is the newest
            if over > 0 and one.name != current:
                os.unlink(one.name, dir_fd=folder)
                over -= one.size
        file = open_private(_DELETED, os.O_WRONLY, within=folder)
        os.utime(file)
        os.close(file)


class _Log(NamedTuple):
    name: str
    size: int
    changed: int


def _logs(folder: int) -> list[_Log]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if _RUN_ID.fullmatch(entry.name.removesuffix(_SUFFIX)) and entry.name.endswith(_SUFFIX):
                with suppress(FileNotFoundError):  # somebody else has deleted it
                    state = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(state.st_mode):
                        found.append(_Log(entry.name, state.st_size, state.st_mtime_ns))
    return found


KEEP = timedelta(days=30)
KEEP_PER_JOB = 1000


def prune_runs_and_logs(store: RunStore, logs: Path, now: datetime) -> int:
    """Remove runs beyond 30 days and 1,000 a job, and their logs; how many. Sets ``last_cleanup``."""

    def delete_log(job_id: str, run_id: str) -> None:
        with suppress(OSError):  # what cannot be removed is in nobody's way
            delete(logs, job_id, run_id)

    return len(store.prune(now, KEEP, KEEP_PER_JOB, delete_log).runs)
