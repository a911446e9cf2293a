"""Connections: one a thread and process, set up alike, all closable; transactions that begin by locking."""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from jobctl.errors import StoreError, StoreLostError
from jobctl.runs.inherited import keep_for_good
from jobctl.runs.sqlite.failures import telling

_FORK_WAIT_S = 1.0


class Access(StrEnum):
    """How the file is opened, as the end of SQLite's address for it."""

    WRITE = "mode=rw"
    READ = "mode=ro"
    FROZEN = "mode=ro&immutable=1"
    """Nobody can write it, so nothing is locked: for a folder where even lock files cannot be made."""


def connect(path: Path, busy_timeout: timedelta, access: Access = Access.WRITE) -> sqlite3.Connection:
    """A connection in autocommit mode. The busy timeout is set before any statement."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{access.value}",
        uri=True,
        timeout=busy_timeout.total_seconds(),
        isolation_level=None,
        check_same_thread=False,  # an idle one is closed by whichever thread closes the store
    )
    try:
        # nothing here may write: it is not known yet whether the file is ours (ours is in WAL mode for good)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def _close(connection: sqlite3.Connection, pid: int) -> None:
    if pid == os.getpid():
        connection.close()
    else:
        keep_for_good(connection)


class _Holder:
    """Lives as long as its thread, or until the store is closed; its connection goes with it.

    ``lock`` is held while the connection is used: SQLite crashes where one thread closes what another uses.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.close = weakref.finalize(self, _close, connection, self.pid)
        self.close.atexit = False  # at the interpreter's exit other threads may still use theirs

    def close_if_idle(self) -> None:
        """Close it now, unless a thread uses it: that thread closes it after use."""
        if self.lock.acquire(blocking=False):
            try:
                self.close()
            finally:
                self.lock.release()


class Connections:
    """Gives each thread its own connection; a forked child gets new ones, never its parent's."""

    def __init__(self, path: Path, busy_timeout: timedelta, access: Access = Access.WRITE) -> None:
        self.place = str(path)
        self.access = access
        self.manual_checkpoints = False
        self._path = path
        self._timeout = busy_timeout
        self._local = threading.local()
        self._holders: weakref.WeakSet[_Holder] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._file, self._held = self._identity(), self._hold()
        self._closed = False
        _OPEN.add(self)

    @staticmethod
    def open_here(path: Path) -> bool:
        """Whether this process has the file open."""
        return any(one.place == str(path) and one.connected for one in list(_OPEN))

    @property
    def connected(self) -> bool:
        """Whether any thread of this process has a connection."""
        return len(self._holders) > 0

    def get(self) -> sqlite3.Connection:
        """This thread's connection, made at its first use."""
        return self._mine().connection

    def _mine(self) -> _Holder:
        holder: _Holder | None = getattr(self._local, "holder", None)
        if holder is None or holder.pid != os.getpid():
            holder = self._local.holder = self._open()
        return holder

    def _open(self) -> _Holder:
        if self._closed:
            raise StoreError(f"the run store {self.place} is closed")
        with self._lock:  # held, so that a fork waits for it
            connection = connect(self._path, self._timeout, self.access)
            if self.manual_checkpoints:
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            holder = _Holder(connection)
            self._holders.add(holder)
        return holder

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        holder = self._mine()
        with holder.lock:
            if not holder.close.alive:
                raise StoreError(f"the run store {self.place} is closed")
            try:
                yield holder.connection
            finally:
                if self._closed:
                    holder.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Statements that only look."""
        with telling(self.place), self._used() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that takes the write lock first, so that it can never fail half-way for it."""
        with telling(self.place), self._used() as connection:
            try:
                connection.execute(
                    "BEGIN IMMEDIATE"
                )  # in here: Ctrl-C while it waits raises once it has the lock
                self._still_there()
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _hold(self) -> int | None:
        """A descriptor that tells a deleted file from one that was moved. Closing it releases none of SQLite's
        locks, as closing an ordinary one would; where the system has no such kind, None."""
        flag: int | None = getattr(os, "O_PATH", None)
        try:
            return None if flag is None else os.open(self._path, flag | os.O_CLOEXEC)
        except OSError:
            return None

    def _still_there(self) -> None:
        """A file that was moved away or deleted can still be written to: that would be lost."""
        found = self._identity()
        if found == self._file:
            return
        if found is not None or (self._held is not None and os.fstat(self._held).st_nlink == 0):
            raise StoreLostError(f"the run store {self.place} was deleted or replaced while it was in use")
        raise StoreError(
            f"the run store {self.place} was moved while it was in use",
            hint="put it back, or stop every jobctl and start again",
        )

    def is_lost(self) -> bool:
        """Whether the file was deleted or replaced."""
        try:
            self._still_there()
        except StoreLostError:
            return True
        except StoreError:
            pass
        return False

    def close(self) -> None:
        """Close every connection of this process; one in use is closed by its thread after use. Idempotent."""
        self._closed = True
        with self._lock:
            for holder in list(self._holders):
                holder.close_if_idle()
            self._holders.clear()
            if self._held is not None:
                os.close(self._held)
                self._held = None
            self._local = threading.local()

    def before_fork(self, deadline: float) -> list[Any]:
        """Wait until no thread is inside SQLite, whose own locks a child would inherit as held for ever."""
        locks: list[Any] = [self._lock, *(holder.lock for holder in list(self._holders))]
        return [one for one in locks if one.acquire(timeout=max(0.0, deadline - time.monotonic()))]

    def after_fork(self) -> None:
        """In the child: the parent's connections are neither used nor closed."""
        for holder in list(self._holders):
            keep_for_good(holder.connection)
            holder.close.detach()
        self._lock = threading.Lock()
        self._holders = weakref.WeakSet()
        self._local = threading.local()


_OPEN: weakref.WeakSet[Connections] = weakref.WeakSet()
_forking = threading.local()


def _before_fork() -> None:
    deadline = time.monotonic() + _FORK_WAIT_S
    _forking.held = [lock for one in list(_OPEN) for lock in one.before_fork(deadline)]


def _after_fork_in_parent() -> None:
    for lock in _forking.held:
        lock.release()


def _after_fork_in_child() -> None:
    for one in list(_OPEN):
        one.after_fork()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
