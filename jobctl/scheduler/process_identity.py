"""Identifies a process, so that it is not confused with a later one that has its pid, and shows that it is alive.

Each living process has a file in the state folder: locked by the process, and holding its heartbeat counter.
The kernel releases the lock when the process ends, however it ends, and shows it to every PID namespace and user
that shares the file system. The counter advances while another program locks the run store, and stops while the
process is frozen. On one kernel this is the better heartbeat; between machines the counter in the run store decides.

The lock is flock(2)'s: unlike fcntl(2)'s, it is not lost when something else in this process opens and closes the
file. It would survive in a forked child, so that closes the file; a program that replaces this one (exec) does not
get it.
"""

import fcntl
import os
import re
import sys
import threading
import weakref
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jobctl.errors import StoreError, reason_of
from jobctl.files import REFUSES_LOCKS, lock_refusal, open_below, state_folder
from jobctl.store.records import Owner

_PROC = Path("/proc")


class Life(Enum):
    """What is known of a registered process."""

    ALIVE = "alive"
    STOPPED = "stopped"
    """By SIGSTOP or a debugger: it is alive and does nothing."""
    DEAD = "dead"
    UNKNOWN = "unknown"
    """It is not visible from here; its lease decides."""


@cache
def boot() -> str:
    """The machine's boot, this PID namespace and this time namespace; empty where one of them cannot be read.

    A pid and a start time mean the same process only where all three are equal: the kernel shifts start times by
    the reader's time namespace.
    """
    if sys.platform != "linux":
        return f"host {os.uname().nodename}"
    try:
        if str((_PROC / "self").readlink()) != str(os.getpid()):
            return ""  # /proc belongs to another PID namespace
        boot_id = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespaces = [str((_PROC / "self/ns" / name).readlink()) for name in ("pid", *_time_namespace())]
    except OSError:
        return ""
    return " ".join([boot_id, *namespaces])


def _time_namespace() -> list[str]:
    return ["time"] if (_PROC / "self/ns/time").exists() else []  # Linux 5.6


def uptime() -> float | None:
    """Seconds since the machine's start, suspend included, from the kernel's own file: a library that is loaded to
    fake the clocks of one process does not reach it. None where there is no such file."""
    try:
        return float((_PROC / "uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return None


def start_of(pid: int) -> str:
    """When a process began, in the kernel's ticks, as text; empty where that cannot be read."""
    found = _stat(pid)
    return found[1] if found else ""


def _stat(pid: int) -> tuple[str, str] | None:
    """State and start time of a process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]


def this_process(kind: str, now: datetime, *, leased: bool = False) -> Owner:
    """This process as an owner of runs, with a new id."""
    pid = os.getpid()
    return Owner(
        id=os.urandom(8).hex(),
        kind=kind,
        host=os.uname().nodename,
        pid=pid,
        start=start_of(pid) if boot() else "",
        boot=boot(),
        since=now,
        leased=leased,
    )


def life_by_pid(owner: Owner) -> Life:
    """What this process's own view of pids says. Where it does not reach, ``UNKNOWN``, never ``DEAD``."""
    if not owner.boot or owner.boot != boot():
        return Life.UNKNOWN
    try:
        os.kill(max(owner.pid, 1), 0)
    except (ProcessLookupError, OverflowError):
        return Life.DEAD
    except OSError:
        pass  # it exists, and belongs to another user
    found = _stat(owner.pid)
    if found is None or not owner.start:
        return Life.UNKNOWN  # hidden, as with hidepid=2
    state, start = found
    if state in {"Z", "X"} or start != owner.start:
        return Life.DEAD
    return Life.STOPPED if state in {"T", "t"} else Life.ALIVE


FOLDER = "processes"
_NAME = r"[0-9a-f]{16}"
_LEFT = r"[0-9a-f]{16}|\.[0-9a-f]{16}-[0-9a-f]{8}"
_SIZE = 64
_open: "weakref.WeakSet[ProcessFile]" = weakref.WeakSet()


class Lock(Enum):
    """Whether the process of a file holds its lock."""

    HELD = "held"
    FREE = "free"
    MISSING = "missing"
    """There is no such file, or it cannot be read, or it is a copy."""


class ProcessFileState(NamedTuple):
    """What a file shows of its process; ``token`` changes with each heartbeat."""

    lock: Lock
    token: bytes = b""


class ProcessFile:
    """The file of this process under one registration. Not carried over a fork."""

    def __init__(self, state: Path, owner_id: str) -> None:
        """Create and lock it.

        Raises:
            StoreError: it cannot be made, or the file system supports no locks.
        """
        self._folder = state / FOLDER
        self._id = owner_id
        self._count = 0
        self._guard = threading.Lock()
        """Held while the descriptor is used: another thread may close it, and another file may get its number."""
        self._file: int | None = self._create()
        _open.add(self)

    def heartbeat(self) -> None:
        """Count a heartbeat; the file is created again if it was deleted.

        Raises:
            StoreError: it cannot be written.
        """
        self._count += 1
        try:
            with self._guard:
                if self._file is None:
                    return
                if os.fstat(self._file).st_nlink == 0:
                    former, self._file = self._file, self._create()
                    os.close(former)
                os.pwrite(self._file, self._content(self._file), 0)
        except OSError as error:
            raise StoreError(
                f"the file of this process in {self._folder} cannot be written: {reason_of(error)}"
            ) from error

    def close(self) -> None:
        """Delete it and release the lock. Idempotent; does nothing in a forked child."""
        if self._file is not None:
            with suppress(OSError):
                (self._folder / self._id).unlink()
            self.release()

    def release(self) -> None:
        """Close it without deleting it: in a forked child it is the parent's."""
        with self._guard:
            file, self._file = self._file, None
            if file is not None:
                os.close(file)

    def forget_threads(self) -> None:
        """In a forked child: the thread that may have held the guard does not exist."""
        self._guard = threading.Lock()

    def _create(self) -> int:
        """It is locked before it gets its name, so that it is never visible without its lock."""
        new = self._folder / f".{self._id}-{os.urandom(4).hex()}"
        try:
            state_folder(self._folder.parent)
            file = open_below(self._folder.parent, (FOLDER,), new.name, os.O_RDWR | os.O_EXCL)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.pwrite(file, self._content(file), 0)
                new.rename(self._folder / self._id)
            except BaseException:
                os.close(file)
                with suppress(OSError):
                    new.unlink()
                raise
        except OSError as error:
            refused = error.errno in REFUSES_LOCKS
            raise StoreError(
                f"the state folder {self._folder.parent} cannot be used:"
                f" {lock_refusal(self._folder) if refused else reason_of(error)}",
                hint="set JOBCTL_STATE to a folder on a local file system" if refused else None,
            ) from error
        return file

    def _content(self, file: int) -> bytes:
        return f"{os.fstat(file).st_ino} {self._count}\n".encode().ljust(_SIZE)


def read(state: Path, owner_id: str) -> ProcessFileState:
    """What a process's file shows of it."""
    if not re.fullmatch(_NAME, owner_id):
        return ProcessFileState(Lock.MISSING)
    return _lock_of(state / FOLDER / owner_id)


def _lock_of(path: Path) -> ProcessFileState:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ProcessFileState(Lock.MISSING)
    token = b""
    try:
        token = os.pread(file, _SIZE, 0)
        if token.partition(b" ")[0] != str(os.fstat(file).st_ino).encode():
            return ProcessFileState(Lock.MISSING)  # a copy: it was never locked
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return ProcessFileState(Lock.HELD, token)
    except OSError:
        return ProcessFileState(Lock.MISSING)
    finally:
        os.close(file)
    return ProcessFileState(Lock.FREE, token)


def discard(state: Path, owner_id: str) -> None:
    """Delete the file of a process whose registration has ended."""
    if re.fullmatch(_NAME, owner_id):
        with suppress(OSError):
            (state / FOLDER / owner_id).unlink()


def sweep(state: Path, known: Collection[str]) -> None:
    """Delete the files of killed processes: those that are not locked, of processes that the run store does not know."""
    with suppress(OSError), os.scandir(state / FOLDER) as entries:
        for entry in entries:
            if (
                re.fullmatch(_LEFT, entry.name)
                and entry.name not in known
                and _lock_of(Path(entry.path)).lock is Lock.FREE
            ):
                with suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108


def _after_fork_in_child() -> None:
    for file in list(_open):
        file.forget_threads()
        file.release()


os.register_at_fork(after_in_child=_after_fork_in_child)
