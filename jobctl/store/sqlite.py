"""The run store on SQLite: one file, write-ahead log, many processes."""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.errors import StoreBusyError, StoreDamagedError, StoreError, StoreLostError
from jobctl.store.base import RunStore
from jobctl.store.batch_statement import BatchStatement
from jobctl.store.connection import Connection, Rows, keep_for_good

if TYPE_CHECKING:
    from collections.abc import Callable

DAMAGED_HINT = "stop every jobctl and start one: it sets the file aside and begins a new one"
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_PROBLEMS = {
    "SQLITE_FULL": ("the disk is full", "free some space; nothing starts until it can be written"),
    "SQLITE_READONLY": ("it is read-only", "give this user write permission there, or set JOBCTL_STATE"),
    "SQLITE_IOERR": ("reading or writing failed", "check the disk and the system's log"),
    "SQLITE_CANTOPEN": (
        "it cannot be opened",
        "check the folder's owner and permissions, or set JOBCTL_STATE",
    ),
    "SQLITE_PERM": ("permission denied", "check the file's owner and permissions, or set JOBCTL_STATE"),
}


def store_error(error: sqlite3.Error, place: str) -> StoreError:
    """The ``StoreError`` for an error of SQLite, decided by its symbolic name, never by its message."""
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusyError(
            f"the run store {place} is locked by another process",
            hint="try again; see which process has it open",
        )
    if name.startswith(_DAMAGED) or (isinstance(error, sqlite3.OperationalError) and not name):
        # without a name it comes from the sqlite3 module: a text that is not UTF-8
        return StoreDamagedError(f"the run store {place} is damaged", hint=DAMAGED_HINT)
    for prefix, (problem, hint) in _PROBLEMS.items():
        if name.startswith(prefix):
            return StoreError(f"the run store {place} cannot be used: {problem}", hint=hint)
    return StoreError(f"the run store {place} cannot be used: {error}")


@contextmanager
def store_errors(place: str) -> Iterator[None]:
    """Raises ``StoreError`` for errors of SQLite."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error, place) from error
    except (UnicodeDecodeError, OverflowError) as error:
        # raised by the sqlite3 module for texts and numbers of a damaged file
        raise StoreDamagedError(f"the run store {place} is damaged", hint=DAMAGED_HINT) from error


_FORK_WAIT_S = 1.0


class FileAccess(StrEnum):
    """How the file is opened: the query of SQLite's URI."""

    WRITE = "mode=rw"
    READ = "mode=ro"
    FROZEN = "mode=ro&immutable=1"
    """Without locks: for a read-only folder where lock files cannot be made."""


class SQLiteSession(sqlite3.Connection):
    """A connection that takes rows for a ``BatchStatement``."""

    def change(self, statement: BatchStatement, rows: Rows, /) -> None:
        """Run a statement once a row."""
        self.executemany(statement.for_a_row, rows)

    def change_all(self, *steps: tuple[BatchStatement, Rows]) -> bool:
        """Run each statement once a row; False, and nothing is changed, where a row has no effect."""
        self.execute("SAVEPOINT batch")
        for statement, rows in steps:
            if self.executemany(statement.for_a_row, rows).rowcount != len(rows):
                self.execute("ROLLBACK TO SAVEPOINT batch")
                return False
        self.execute("RELEASE SAVEPOINT batch")
        return True


def connect(path: Path, busy_timeout: timedelta, access: FileAccess = FileAccess.WRITE) -> SQLiteSession:
    """Open a connection in autocommit mode."""
    connection: SQLiteSession = sqlite3.connect(
        f"{path.absolute().as_uri()}?{access.value}",
        uri=True,
        timeout=busy_timeout.total_seconds(),
        isolation_level=None,
        factory=SQLiteSession,
        check_same_thread=False,  # an idle connection is closed by the thread that closes the store
    )
    try:
        # nothing that writes: the file may belong to another program; a run store is in WAL mode already
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


class _ThreadConnection:
    """A thread's connection, closed with the thread or the store.

    ``lock`` is held while the connection is used: SQLite crashes if a thread closes a connection that another uses.
    """

    def __init__(self, connection: SQLiteSession) -> None:
        self.connection = connection
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.close = weakref.finalize(self, _close, connection, self.pid)
        self.close.atexit = False  # at interpreter exit other threads may still use their connections

    def close_if_idle(self) -> None:
        """Close the connection, unless a thread uses it: that thread then closes it after use."""
        if self.lock.acquire(blocking=False):
            try:
                self.close()
            finally:
                self.lock.release()


class Connections:
    """One connection for each thread; a forked child opens new ones, and never uses its parent's."""

    def __init__(self, path: Path, busy_timeout: timedelta, access: FileAccess = FileAccess.WRITE) -> None:
        self.place = str(path)
        self.access = access
        self.manual_checkpoints = False
        self.is_temporary = False
        self._path = path
        self._timeout = busy_timeout
        self._local = threading.local()
        self._thread_connections: weakref.WeakSet[_ThreadConnection] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._file, self._descriptor = self._identity(), self._open_descriptor()
        self._closed = False
        _OPEN.add(self)

    @staticmethod
    def is_open_here(path: Path) -> bool:
        """Whether this process has the file open."""
        return any(connections.place == str(path) and connections.connected for connections in list(_OPEN))

    @property
    def connected(self) -> bool:
        """Whether any thread of this process has a connection."""
        return len(self._thread_connections) > 0

    def get(self) -> SQLiteSession:
        """This thread's connection, opened at its first use."""
        return self._own().connection

    def _own(self) -> _ThreadConnection:
        own: _ThreadConnection | None = getattr(self._local, "own", None)
        if own is None or own.pid != os.getpid():
            own = self._local.own = self._open()
        return own

    def _open(self) -> _ThreadConnection:
        if self._closed:
            raise StoreError(f"the run store {self.place} is closed")
        with self._lock:  # a fork waits for it
            connection = connect(self._path, self._timeout, self.access)
            if self.manual_checkpoints:
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            if self.is_temporary:
                connection.execute("PRAGMA synchronous = OFF")
            own = _ThreadConnection(connection)
            self._thread_connections.add(own)
        return own

    @contextmanager
    def _used(self) -> Iterator[SQLiteSession]:
        own = self._own()
        with own.lock:
            if not own.close.alive:
                raise StoreError(f"the run store {self.place} is closed")
            try:
                yield own.connection
            finally:
                if self._closed:
                    own.close()

    @contextmanager
    def reading(self) -> Iterator[SQLiteSession]:
        """For queries."""
        with store_errors(self.place), self._used() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[SQLiteSession]:
        """One transaction; it takes the write lock first, so that it cannot fail half-way for lack of it."""
        with store_errors(self.place), self._used() as connection:
            try:
                # inside the try: after Ctrl-C while it waits, it has the lock when it raises
                connection.execute("BEGIN IMMEDIATE")
                self.demand_same_file()
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

    def _open_descriptor(self) -> int | None:
        """A descriptor to distinguish a deleted file from a moved one; None where the system has no ``O_PATH``.

        Closing an ordinary descriptor would release SQLite's locks.
        """
        flag: int | None = getattr(os, "O_PATH", None)
        try:
            return None if flag is None else os.open(self._path, flag | os.O_CLOEXEC)
        except OSError:
            return None

    def demand_same_file(self) -> None:
        """Refuse a file that was moved away or deleted: writes would succeed, and be lost."""
        found = self._identity()
        if found == self._file:
            return
        if found is not None or (self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0):
            raise StoreLostError(f"the run store {self.place} was deleted or replaced while it was in use")
        raise StoreError(
            f"the run store {self.place} was moved while it was in use",
            hint="put it back, or stop every jobctl and start again",
        )

    def close(self) -> None:
        """Close every connection of this process; a thread that uses one closes it after use. Idempotent."""
        self._closed = True
        with self._lock:
            for each in list(self._thread_connections):
                each.close_if_idle()
            self._thread_connections.clear()
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            self._local = threading.local()

    def before_fork(self, deadline: float) -> list[Any]:
        """Wait until no thread is inside SQLite: a child would inherit its mutexes locked for ever."""
        locks: list[Any] = [self._lock, *(each.lock for each in list(self._thread_connections))]
        return [lock for lock in locks if lock.acquire(timeout=max(0.0, deadline - time.monotonic()))]

    def after_fork(self) -> None:
        """In the child: keep the parent's connections, unused and open."""
        for each in list(self._thread_connections):
            keep_for_good(each.connection)
            each.close.detach()
        self._lock = threading.Lock()
        self._thread_connections = weakref.WeakSet()
        self._local = threading.local()


_OPEN: weakref.WeakSet[Connections] = weakref.WeakSet()
_forking = threading.local()


def _before_fork() -> None:
    deadline = time.monotonic() + _FORK_WAIT_S
    _forking.locks = [lock for connections in list(_OPEN) for lock in connections.before_fork(deadline)]


def _after_fork_in_parent() -> None:
    for lock in _forking.locks:
        lock.release()


def _after_fork_in_child() -> None:
    for connections in list(_OPEN):
        connections.after_fork()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)


class SQLiteRunStore(RunStore):
    """Runs, job state, owners and cached results in one file.

    Args:
        path: the file; ``sqlite_open.open_file`` has checked it.
        reopen: opens the file that has replaced this one, or makes a new one.
    """

    registration_order = "rowid"
    durations_index = "INDEXED BY runs_durations"

    def __init__(
        self,
        path: Path,
        busy_timeout: timedelta,
        access: FileAccess = FileAccess.WRITE,
        *,
        warning: str | None = None,
        reopen: "Callable[[], SQLiteRunStore] | None" = None,
    ) -> None:
        self.warning = warning
        self._reopen = reopen
        self._replaced: list[Connections] = []
        self.read_only = access is not FileAccess.WRITE
        self._connections = Connections(path, busy_timeout, access)

    @property
    def place(self) -> str:
        """The file's path."""
        return self._connections.place

    def use_manual_checkpoints(self) -> None:
        """Turn SQLite's automatic checkpoints off."""
        self._connections.manual_checkpoints = True

    def use_as_temporary(self) -> None:
        """Turn SQLite's waits for the disk off."""
        self._connections.is_temporary = True

    def checkpoint(self) -> None:
        """Run a passive checkpoint: it waits for no reader."""
        with self._connections.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close every connection."""
        for connections in (*self._replaced, self._connections):
            connections.close()

    def demand_present(self) -> None:
        """Look for the file that was opened."""
        self._connections.demand_same_file()

    def restore(self) -> str | None:
        """Open the file that has replaced this one; make one where there is none."""
        former = self._connections
        if self._reopen is None or not self.is_lost():
            return None
        now = self._reopen()
        now._connections.manual_checkpoints = former.manual_checkpoints  # noqa: SLF001 - of the same class
        self._replaced.append(former)  # other threads may use it
        self._connections = now._connections  # noqa: SLF001
        return now.warning or f"the run store {self.place} was deleted or replaced"

    def change_token(self) -> object:
        """SQLite's count of other connections' commits."""
        with self._connections.reading() as connection:
            return connection.execute("PRAGMA data_version").fetchone()[0]

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._connections.reading()

    def _writing(self) -> AbstractContextManager[Connection]:
        return self._connections.writing()

    def _leasing(self) -> AbstractContextManager[Connection]:
        return self._connections.writing()
