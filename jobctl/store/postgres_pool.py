"""Which of Postgres' errors mean what: one table, by SQLSTATE and never by message."""

import os
import re
import threading
import time
import weakref
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

import psycopg

from jobctl import sqlstate
from jobctl.errors import ExitCode, StoreBusyError, StoreError, StoreLostError
from jobctl.store.connection import Cursor, Values, keep_for_good
from jobctl.store.postgres_address import Address
from jobctl.urls import CONNECT_TIMEOUT_S

_BUSY = (sqlstate.LOCK_TIMEOUT, sqlstate.STATEMENT_TIMEOUT, sqlstate.SERIALIZATION_FAILURE, sqlstate.DEADLOCK)
"""A lock or statement took too long, or transactions met."""
_LOST = (sqlstate.UNDEFINED_TABLE, sqlstate.UNDEFINED_SCHEMA)
"""A table, or the schema, is not there any more."""
_WORDS = {
    sqlstate.LOGIN_REFUSED: ("it refuses the login", "look at the user and password in JOBCTL_STATE"),
    sqlstate.UNDEFINED_DATABASE: ("there is no such database", "make it, or name another in JOBCTL_STATE"),
    sqlstate.NO_PRIVILEGE: ("permission denied", "its user must own the schema, or may make one"),
    "42P": ("its tables are not those of jobctl", "name another schema: ?schema=name in JOBCTL_STATE"),
    sqlstate.READ_ONLY: ("it is read-only", "name the primary server in JOBCTL_STATE"),
    sqlstate.DISK_FULL: ("its disk is full", "free some space; nothing starts until it can be written"),
}


class ServerError(StoreError):
    """The server refuses."""

    exit_code = ExitCode.SERVICE


class ServerAwayError(ServerError):
    """The server does not answer now: it restarts, fails over, or has no connection free."""

    transient = True


class InDoubtError(ServerAwayError):
    """The connection was lost while committing, and whether it was committed could not be found out."""


def explained(error: psycopg.Error, place: str) -> StoreError:
    """The store's own error for one of Postgres'."""
    state = error.sqlstate or ""
    if state in _BUSY:
        return StoreBusyError(f"the run store {place} is held by another process", hint="try again")
    if state in _LOST:
        return StoreLostError(
            f"the run store {place} lost its tables", hint="jobctl run makes them anew; or restore a backup"
        )
    for prefix, (words, hint) in _WORDS.items():
        if state.startswith(prefix):
            return ServerError(f"the run store {place} cannot be used: {words}", hint=hint)
    said = str(error).strip().partition("\n")[0]  # the rest is libpq's guess at the cause
    if isinstance(error, psycopg.OperationalError):
        reason = said.rpartition(" failed: ")[2]
        hint = "check that the server runs, and the address in JOBCTL_STATE"
        return ServerAwayError(f"the run store {place} cannot be reached: {reason}", hint=hint)
    return StoreError(f"the run store {place} cannot be used: {said}")


@contextmanager
def telling(place: str) -> Iterator[None]:
    """Turn Postgres' errors inside into the store's."""
    try:
        yield
    except psycopg.Error as error:
        raise explained(error, place) from error


_MARK = re.compile(r"\?|:(\w+)")


class Session:
    """Takes ``?`` and ``:name``. Values are put in by psycopg on this side: nothing is prepared on the
    server, so that poolers that hand each transaction another connection can stand between."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw = raw

    def execute(self, statement: str, values: Values = (), /) -> Cursor:
        """One statement."""
        if not values:
            return self._raw.execute(statement.encode())
        return self._raw.execute(_translated(statement), _clean(values))

    def executemany(self, statement: str, rows: Iterable[Values], /) -> object:
        """One statement, once a row."""
        cursor = self._raw.cursor()
        cursor.executemany(_translated(statement), [_clean(row) for row in rows])
        return cursor


@lru_cache
def _translated(statement: str) -> bytes:
    return _MARK.sub(lambda found: f"%({found[1]})s" if found[1] else "%s", statement).encode()


def _clean(values: Values) -> Values:
    """Postgres keeps no NUL in a text, and nothing that is not UTF-8."""
    if isinstance(values, Mapping):
        return {name: _storable(value) for name, value in values.items()}
    return [_storable(value) for value in values]


def _storable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


SIZE = 4
_LEAST_LIMIT_S = 10.0
_ANSWER_MARGIN_S = 2.0
"""So much longer than the server allows itself, an answer is waited for: the network may be what hangs."""
_IDLE_IN_TRANSACTION = "15s"
_ASK_AGAIN_S = 0.2


_T = TypeVar("_T")


class _Connection(psycopg.Connection[Any]):
    """One that never waits for an answer longer than ``limit_s`` seconds: packets may be dropped, a proxy may hang."""

    limit_s = float("inf")

    def wait(self, gen: Generator[Any, Any, _T], *details: Any, **options: Any) -> _T:
        """Psycopg's own wait, with a limit."""
        return super().wait(_limited(gen, self.limit_s), *details, **options)


def _limited(gen: Generator[Any, Any, _T], limit_s: float) -> Generator[Any, Any, _T]:
    """The same steps; psycopg resumes them with nothing ready once an interval."""
    end = time.monotonic() + limit_s
    ready: Any = None
    while True:
        try:
            wanted = gen.send(ready)
        except StopIteration as done:
            result: _T = done.value
            return result
        ready = yield wanted
        if not ready and time.monotonic() > end:
            gen.close()
            raise psycopg.OperationalError("the server has not answered in time")


class Pool:
    """Usable from any thread; a forked child gets connections of its own.

    Args:
        busy_timeout: how long to wait for other writers.
        size: how many connections may be in use at once.
    """

    def __init__(self, address: Address, busy_timeout: timedelta, size: int = SIZE) -> None:
        self.place = address.place
        self._address = address
        self._size = size
        self._timeout_s = busy_timeout.total_seconds()
        # a server whose default is another isolation, or read-only, must not decide for us
        begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
        limit_s = self._limit_s = max(self._timeout_s, _LEAST_LIMIT_S if size > 1 else 0)
        # said in each transaction: a pooler may hand each one another connection
        here = (
            f'SET LOCAL search_path TO "{address.schema}";'
            f" SET LOCAL lock_timeout TO {max(1, int(self._timeout_s * 1000))};"
            f" SET LOCAL statement_timeout TO {max(1, int(limit_s * 1000))};"
            f" SET LOCAL idle_in_transaction_session_timeout TO '{_IDLE_IN_TRANSACTION}'"
        )
        self._read = f"{begin} READ ONLY; {here}"
        self._lease = f"{begin} READ WRITE; {here}"
        # the one row is the lock of all writers, the token of change, and shows the transaction's number
        self._write = (
            f"{begin} READ WRITE; {here}; UPDATE meta SET value = value + 1 WHERE name = 'changes'"
            " RETURNING pg_current_xact_id()::text"
        )
        self._make = (
            f"{begin} READ WRITE; {here};"
            f" SELECT pg_advisory_xact_lock(hashtextextended('jobctl {address.schema}', 0))"
        )
        self._free = threading.BoundedSemaphore(size)
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._pause = threading.Event()
        _OPEN.add(self)

    def reading(self) -> AbstractContextManager[Session]:
        """A transaction that only reads."""
        return self._transaction(self._read)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction; all others wait for its end."""
        with telling(self.place), self._taken() as box:
            number = self._begin(box, self._write)
            yield Session(box.raw)
            try:
                box.raw.execute("COMMIT")
            except psycopg.OperationalError as error:
                box.drop()
                if not self._committed(number):
                    raise
                del error

    def leasing(self) -> AbstractContextManager[Session]:
        """A short transaction that waits for no other writer. One whose commit is in doubt can be repeated."""
        return self._transaction(self._lease)

    def making(self) -> AbstractContextManager[Session]:
        """A transaction that may make the tables, one process at a time."""
        return self._transaction(self._make)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Session]:
        with telling(self.place), self._taken() as box:
            self._begin(box, begin)
            yield Session(box.raw)
            box.raw.execute("COMMIT")

    def close(self) -> None:
        """Close what is idle now and what is given back later. Idempotent."""
        self._closed = True
        with self._lock:
            idle, self._idle = self._idle, []
        for raw in idle:
            raw.close()

    @contextmanager
    def _taken(self) -> Iterator["_Box"]:
        if self._closed:
            raise StoreError(f"the run store {self.place} is closed")
        if not self._free.acquire(timeout=self._timeout_s):
            raise StoreBusyError(f"the run store {self.place} is held by this process", hint="try again")
        box = _Box(self._idle.pop() if self._idle else None)
        try:
            yield box
        except Exception:
            box.undo()
            raise
        except BaseException:
            box.drop()
            raise
        finally:
            self._give_back(box)

    def _give_back(self, box: "_Box") -> None:
        if self._closed:
            box.drop()
        if box.kept is not None:
            self._idle.append(box.kept)
        self._free.release()

    def _begin(self, box: "_Box", batch: str) -> Any:
        """The batch's last row, if it has one. A kept connection that was lost meanwhile is made anew."""
        if box.kept is not None:
            try:
                return _last_row(box.kept.execute(batch.encode()))
            except psycopg.OperationalError:
                lost = box.kept.closed
                box.drop()
                if not lost:
                    raise
        box.kept = self._connected()
        return _last_row(box.kept.execute(batch.encode()))

    def _connected(self) -> psycopg.Connection[Any]:
        made = _Connection.connect(
            autocommit=True,  # transactions are said in words
            cursor_factory=psycopg.ClientCursor,
            prepare_threshold=None,
            **self._parameters(),
        )
        made.limit_s = self._limit_s + _ANSWER_MARGIN_S
        return made

    def _parameters(self) -> dict[str, Any]:
        """Those of the address, and what it does not say."""
        return {
            "application_name": "jobctl",
            "connect_timeout": max(2, min(CONNECT_TIMEOUT_S, int(self._timeout_s))),
            "tcp_user_timeout": int((self._limit_s + _ANSWER_MARGIN_S) * 1000),
            **self._address.parameters,
        }

    def _committed(self, number: str) -> bool:
        """Whether a transaction whose connection was lost at its end took effect."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                with self._taken() as box:
                    found = self._begin(box, f"SELECT pg_xact_status('{number}'::xid8)")
            except (psycopg.Error, StoreBusyError):
                found = None
            if found in {"committed", "aborted"}:
                return bool(found == "committed")
            if time.monotonic() >= deadline:
                raise InDoubtError(
                    f"the connection to the run store {self.place} was lost while something was written",
                    hint="look what was recorded: jobctl status",
                )
            self._pause.wait(_ASK_AGAIN_S)

    def after_fork(self) -> None:
        """In the child: the parent's connections are neither used nor closed."""
        for raw in self._idle:
            keep_for_good(raw)
        self._idle = []
        self._free = threading.BoundedSemaphore(SIZE)
        self._lock = threading.Lock()
        self._pause = threading.Event()


_OPEN: weakref.WeakSet[Pool] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for one in list(_OPEN):
        one.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


class _Box:
    """A connection while it is in use; empty where it was lost."""

    def __init__(self, kept: psycopg.Connection[Any] | None) -> None:
        self.kept = kept

    @property
    def raw(self) -> psycopg.Connection[Any]:
        if self.kept is None:
            raise psycopg.OperationalError("the connection was lost")
        return self.kept

    def undo(self) -> None:
        """End what it had begun, and keep it if it lives."""
        try:
            if self.kept is not None:
                self.kept.execute("ROLLBACK")
        except psycopg.Error:
            self.drop()

    def drop(self) -> None:
        """Close it: the server undoes whatever it had begun."""
        kept, self.kept = self.kept, None
        if kept is not None:
            kept.close()


def _last_row(cursor: psycopg.Cursor[Any]) -> Any:
    while cursor.nextset():
        pass
    row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None
