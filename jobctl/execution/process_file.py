"""A file for each living process, in the state folder: locked by the process, and holding its heartbeat counter.

The kernel releases the lock when the process ends, however it ends, and shows it to every PID namespace and user that
shares the file system. The counter goes on while another program locks the run store, and stops while the process is
frozen. On one kernel this is the better heartbeat; between machines the counter in the run store decides.

The lock is flock(2)'s: unlike fcntl(2)'s, it is not lost when something else in this process opens and closes the file.
It would live on in a forked child, so that closes the file; a program that replaces this one (exec) does not get it.
"""

import fcntl
import os
import re
import threading
import weakref
from collections.abc import Collection
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from jobctl.errors import StoreError, reason_of
from jobctl.files import REFUSES_LOCKS, lock_refusal, open_below, state_folder

FOLDER = "processes"
_NAME = re.compile(r"[0-9a-f]{16}")
_LEFT = re.compile(r"[0-9a-f]{16}|\.[0-9a-f]{16}-[0-9a-f]{8}")
_SIZE = 64
_open: "weakref.WeakSet[ProcessFile]" = weakref.WeakSet()


class Lock(Enum):
    """Whether the process of a file holds its lock."""

    HELD = "held"
    FREE = "free"
    MISSING = "missing"
    """There is no such file, or it cannot be read, or it is a copy."""


class Seen(NamedTuple):
    """What a file says of its process; ``token`` changes with each heartbeat."""

    lock: Lock
    token: bytes = b""


class ProcessFile:
    """The file of this process under one registration. Not carried over a fork."""

    def __init__(self, state: Path, owner_id: str) -> None:
        """Make and lock it.

        Raises:
            StoreError: it cannot be made, or the file system supports no locks.
        """
        self._folder = state / FOLDER
        self._id = owner_id
        self._count = 0
        self._guard = threading.Lock()
        """Held while the descriptor is used: another thread may close it, and its number may be another file's then."""
        self._file: int | None = self._made()
        _open.add(self)

    def heartbeat(self) -> None:
        """Count a heartbeat; made again where it was deleted.

        Raises:
            StoreError: it cannot be written.
        """
        self._count += 1
        try:
            with self._guard:
                if self._file is None:
                    return
                if os.fstat(self._file).st_nlink == 0:
                    former, self._file = self._file, self._made()
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
        """Close it and leave it where it is: the parent's, in a forked child."""
        with self._guard:
            file, self._file = self._file, None
            if file is not None:
                os.close(file)

    def forget_threads(self) -> None:
        """In a forked child: the thread that may have held the guard is not there."""
        self._guard = threading.Lock()

    def _made(self) -> int:
        """Locked before it has its name, so that it is never seen without its lock."""
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


def read(state: Path, owner_id: str) -> Seen:
    """What is seen of a process by its file."""
    if not _NAME.fullmatch(owner_id):
        return Seen(Lock.MISSING)
    return _lock_of(state / FOLDER / owner_id)


def _lock_of(path: Path) -> Seen:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return Seen(Lock.MISSING)
    token = b""
    try:
        token = os.pread(file, _SIZE, 0)
        if token.partition(b" ")[0] != str(os.fstat(file).st_ino).encode():
            return Seen(Lock.MISSING)  # a copy: it was never locked
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Seen(Lock.HELD, token)
    except OSError:
        return Seen(Lock.MISSING)
    finally:
        os.close(file)
    return Seen(Lock.FREE, token)


def discard(state: Path, owner_id: str) -> None:
    """Delete the file of a process whose registration has ended."""
    if _NAME.fullmatch(owner_id):
        with suppress(OSError):
            (state / FOLDER / owner_id).unlink()


def sweep(state: Path, known: Collection[str]) -> None:
    """Delete what killed processes left: unlocked files of processes that the run store does not know."""
    with suppress(OSError), os.scandir(state / FOLDER) as entries:
        for entry in entries:
            if (
                _LEFT.fullmatch(entry.name)
                and entry.name not in known
                and _lock_of(Path(entry.path)).lock is Lock.FREE
            ):
                with suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108


def _after_fork_in_child() -> None:
    for one in list(_open):
        one.forget_threads()
        one.release()


os.register_at_fork(after_in_child=_after_fork_in_child)
