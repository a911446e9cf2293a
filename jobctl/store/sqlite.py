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
from jobctl.store.connection import Connection, keep_for_good

if TYPE_CHECKING:
    from collections.abc import Callable

DAMAGED_HINT = "stop every jobctl and start one: it sets the file aside and begins a new one"
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_WORDS = {
    "SQLITE_FULL": ("the disk is full", "free some space; nothing starts until it can be written"),
    "SQLITE_READONLY": ("it is read-only", "give this user the right to write there, or set JOBCTL_STATE"),
    "SQLITE_IOERR": ("reading or writing failed", "look at the disk and the system's log"),
    "SQLITE_CANTOPEN": ("it cannot be opened", "look at the folder's owner and rights, or set JOBCTL_STATE"),
    "SQLITE_PERM": ("permission denied", "look at the file's owner and rights, or set JOBCTL_STATE"),
}


def explained(error: sqlite3.Error, place: str) -> StoreError:
    """The store's own error for one of SQLite's."""
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusyError(
            f"the run store {place} is held by another process", hint="try again; see who has it open"
        )
    if name.startswith(_DAMAGED) or (isinstance(error, sqlite3.OperationalError) and not name):
        # without a name it is the module's own: a text that is not UTF-8
        return StoreDamagedError(f"the run store {place} is damaged", hint=DAMAGED_HINT)
    for prefix, (words, hint) in _WORDS.items():
        if name.startswith(prefix):
            return StoreError(f"the run store {place} cannot be used: {words}", hint=hint)
    return StoreError(f"the run store {place} cannot be used: {error}")


@contextmanager
def telling(place: str) -> Iterator[None]:
    """Turn SQLite's errors inside into the store's."""
    try:
        yield
    except sqlite3.Error as error:
        raise explained(error, place) from error
    except (UnicodeDecodeError, OverflowError) as error:
        # the module stumbles over what SQLite quotes of a damaged file, and over numbers that came from one
        raise StoreDamagedError(f"the run store {place} is damaged", hint=DAMAGED_HINT) from error


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


class SQLiteRunStore(RunStore):
    """Runs, job state, owners and cached results in one file.

    Args:
        path: the file; it exists and is sound (see ``opening.open_file``).
        warning: what opening it had to tell: a damaged file that was set aside.
        reopen: opens what is in its place later, or makes a new one.
    """

    registration_order = "rowid"
    durations_index = "INDEXED BY runs_durations"

    def __init__(
        self,
        path: Path,
        busy_timeout: timedelta,
        access: Access = Access.WRITE,
        *,
        warning: str | None = None,
        reopen: "Callable[[], SQLiteRunStore] | None" = None,
    ) -> None:
        self.warning = warning
        self._reopen = reopen
        self._former: list[Connections] = []
        self.read_only = access is not Access.WRITE
        self._connections = Connections(path, busy_timeout, access)

    @property
    def place(self) -> str:
        """The file's path."""
        return self._connections.place

    def use_manual_checkpoints(self) -> None:
        """Turn SQLite's automatic checkpoints off."""
        self._connections.manual_checkpoints = True

    def checkpoint(self) -> None:
        """Run a passive checkpoint: it waits for no reader."""
        with self._connections.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close every connection."""
        for one in (*self._former, self._connections):
            one.close()

    def is_lost(self) -> bool:
        """Whether the file was deleted or replaced."""
        return self._connections.is_lost()

    def restore(self) -> str | None:
        """Open the file that has replaced this one; make one where there is none."""
        former = self._connections
        if self._reopen is None or not self.is_lost():
            return None
        now = self._reopen()
        now._connections.manual_checkpoints = former.manual_checkpoints  # noqa: SLF001 - another of this class
        self._former.append(former)  # other threads may be using it
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
