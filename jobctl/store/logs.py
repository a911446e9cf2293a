"""The log files of runs, ``<state>/logs/<job-id>/<run-id>.log``, and their removal with old runs.

Ids come from a run store that other programs may have written: only what has the form of an id becomes a file name. A
link in place of a folder or a log is never followed.
"""

import errno
import os
import re
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from jobctl.files import folder_below, open_below, open_private, state_folder
from jobctl.memory_limit import MIB
from jobctl.text import is_job_id, printable

if TYPE_CHECKING:
    from jobctl.store.base import RunStore

FOLDER = "logs"
LIMIT_VARIABLE = "JOBCTL_LOGS_MAX_MIB"
DEFAULT_LIMIT = 64 * MIB
_RUN_ID = r"[A-Za-z0-9_-]{1,64}"
_LINE = r"(?s)([0-9T:.-]+Z) \[[^\]]*\] ?(.*)"
_SUFFIX = ".log"
_DELETED = ".oldest-deleted"
"""Its modification time is when logs were last deleted because of the limit."""


class LogUsage(NamedTuple):
    """The disk usage of a job's logs.

    Attributes:
        size: in bytes.
        limit: in bytes.
        deleted_at: when the oldest were last deleted because of the limit; None: never.
    """

    size: int
    limit: int
    deleted_at: datetime | None = None


def _names(job_id: Any, run_id: Any = "-") -> tuple[str, str]:
    """Folder and file name of a log; ``OSError`` where an id is not valid."""
    for text, is_id in ((job_id, is_job_id), (run_id, _is_run_id)):
        if not isinstance(text, str) or not is_id(text):
            raise OSError(errno.EINVAL, f"{text!a:.80} in the run store is not a valid id")
    return job_id, run_id + _SUFFIX


def append(logs: Path, job_id: str, run_id: str) -> int:
    """Open a log to append; create it where there is none.

    Raises:
        OSError: it cannot be opened, an id is not valid, or a link is in its place.
    """
    folder, name = _names(job_id, run_id)
    state_folder(logs.parent)
    return open_below(logs.parent, (logs.name, folder), name, os.O_WRONLY | os.O_APPEND)


def read(logs: Path, job_id: str, run_id: str) -> BinaryIO | None:
    """Open a log to read; None where there is none.

    Raises:
        OSError: it cannot be read, an id is not valid, or it is a link or not a file.
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
            raise OSError(errno.ELOOP, "it is a link, which is not followed") from None
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, f'"{name}" is not a file')
    return os.fdopen(file, "rb")


def parsed(line: str) -> tuple[str, str]:
    """The time, empty where there is none, and the printable text of a line of a log."""
    found = re.match(_LINE, line)
    at, text = (found[1], found[2]) if found else ("", line)
    return at, printable(text)


def delete(logs: Path, job_id: str, run_id: str) -> None:
    """Delete a log.

    Raises:
        OSError: there is none, it cannot be deleted, an id is not valid, or a folder is a link.
    """
    folder, name = _names(job_id, run_id)
    with folder_below(logs.parent, (logs.name, folder)) as within:
        os.unlink(name, dir_fd=within)


def log_usage(logs: Path, job_id: str, limit: int) -> LogUsage:
    """The disk usage of a job's logs, with their ``limit`` in bytes.

    Raises:
        OSError: the id is not valid, or the logs cannot be listed.
    """
    try:
        with folder_below(logs.parent, (logs.name, _names(job_id)[0])) as folder:
            size = sum(log.size for log in _logs(folder))
            try:
                seconds = os.stat(_DELETED, dir_fd=folder, follow_symlinks=False).st_mtime
            except FileNotFoundError:
                return LogUsage(size, limit)
            return LogUsage(size, limit, datetime.fromtimestamp(seconds, UTC))
    except FileNotFoundError:
        return LogUsage(0, limit)


class EveryTenth:
    """Says when the logs of a job must be checked against ``limit`` bytes: whenever a tenth of that has been added.

    Attributes:
        target: to which size they are reduced, so that there is room for the next tenth.
    """

    def __init__(self, limit: int) -> None:
        self.target = limit - limit // 10
        self._room = limit // 10
        self._added: dict[str, int] = {}

    def is_due(self, job_id: str, size: int) -> bool:
        """Count added bytes; whether the logs of the job must be checked now."""
        before = self._added.get(job_id)
        is_due = before is None or before + size > self._room
        self._added[job_id] = 0 if is_due else (before or 0) + size
        return is_due


class LogLimit:
    """Keeps each job's logs within ``limit`` bytes: deletes the oldest, never one that is still written."""

    def __init__(self, logs: Path, limit: int) -> None:
        self._logs = logs
        self._limit = EveryTenth(limit)

    def add(self, job_id: str, run_id: str, size: int) -> None:
        """Count the bytes that a run has written, and delete old logs beyond the limit, where that is possible."""
        if size and self._limit.is_due(job_id, size):
            with suppress(OSError):
                folder, current = _names(job_id, run_id)
                with folder_below(self._logs.parent, (self._logs.name, folder)) as within:
                    self._trim(within, current)

    def _trim(self, folder: int, current: str) -> None:
        logs = sorted(_logs(folder), key=lambda log: (log.changed, log.name == current))
        over = sum(log.size for log in logs) - self._limit.target
        if over <= 0:
            return
        for log in logs[:-1]:  # the newest is that of the unfinished run, if there is one
            if over > 0 and log.name != current:
                os.unlink(log.name, dir_fd=folder)
                over -= log.size
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
            if _is_run_id(entry.name.removesuffix(_SUFFIX)) and entry.name.endswith(_SUFFIX):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    state = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(state.st_mode):
                        found.append(_Log(entry.name, state.st_size, state.st_mtime_ns))
    return found


KEEP = timedelta(days=30)
KEEP_PER_JOB = 1000


def prune_runs_and_logs(store: "RunStore", logs: Path, now: datetime) -> int:
    """Remove runs that are older than 30 days and beyond 1,000 of their job, and their logs; returns their number.

    Sets ``last_cleanup``.
    """

    def delete_log(job_id: str, run_id: str) -> None:
        with suppress(OSError):  # a log without a run does no harm
            delete(logs, job_id, run_id)

    return len(store.prune(now, KEEP, KEEP_PER_JOB, delete_log).runs)


def _is_run_id(text: str) -> bool:
    return re.fullmatch(_RUN_ID, text) is not None
