"""A pool of Postgres connections whose transactions never hang, and its errors as ``StoreError``."""

import json
import os
import re
import threading
import time
import weakref
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

import psycopg

from jobctl import sqlstate
from jobctl.errors import ExitCode, StoreBusyError, StoreError, StoreLostError
from jobctl.store.batch_statement import BatchStatement
from jobctl.store.connection import Cursor, Rows, Values, keep_for_good
from jobctl.urls import CONNECT_TIMEOUT_S, StoreAddress

_BUSY = (sqlstate.LOCK_TIMEOUT, sqlstate.STATEMENT_TIMEOUT, sqlstate.SERIALIZATION_FAILURE, sqlstate.DEADLOCK)
"""A lock or statement took too long, or transactions conflicted."""
_LOST = (sqlstate.UNDEFINED_TABLE, sqlstate.UNDEFINED_SCHEMA)
"""A table, or the schema, was dropped."""
_PROBLEMS = {
    sqlstate.LOGIN_REFUSED: ("it refuses the login", "check the user and password in JOBCTL_STATE"),
    sqlstate.UNDEFINED_DATABASE: ("there is no such database", "make it, or name another in JOBCTL_STATE"),
    sqlstate.NO_PRIVILEGE: ("permission denied", "its user must own the schema, or may create it"),
    "42P": ("its tables are not those of jobctl", "name another schema: ?schema=name in JOBCTL_STATE"),
    sqlstate.READ_ONLY: ("it is read-only", "name the primary server in JOBCTL_STATE"),
    sqlstate.DISK_FULL: ("its disk is full", "free some space; nothing starts until it can be written"),
}


class ServerError(StoreError):
    """The server refuses the connection or the statement."""

    exit_code = ExitCode.SERVICE


class ServerAwayError(ServerError):
    """The server does not respond now: it restarts, fails over, or has no free connection."""

    transient = True


class InDoubtError(ServerAwayError):
    """The connection was lost during a commit, and whether it took effect is unknown."""


def store_error(error: psycopg.Error, place: str) -> StoreError:
    """The ``StoreError`` for an error of Postgres, decided by its SQLSTATE, never by its message."""
    state = error.sqlstate or ""
    if state in _BUSY:
        return StoreBusyError(f"the run store {place} is locked by another process", hint="try again")
    if state in _LOST:
        return StoreLostError(
            f"the run store {place} lost its tables",
            hint="jobctl run creates them again; or restore a backup",
        )
    for prefix, (problem, hint) in _PROBLEMS.items():
        if state.startswith(prefix):
            return ServerError(f"the run store {place} cannot be used: {problem}", hint=hint)
    text = str(error).strip().partition("\n")[0]  # libpq guesses at the cause behind it
    if isinstance(error, psycopg.OperationalError):
        reason = text.rpartition(" failed: ")[2]
        hint = "check that the server runs, and the address in JOBCTL_STATE"
        return ServerAwayError(f"the run store {place} cannot be reached: {reason}", hint=hint)
    return StoreError(f"the run store {place} cannot be used: {text}")


@contextmanager
def store_errors(place: str) -> Iterator[None]:
    """Raises ``StoreError`` for errors of Postgres."""
    try:
        yield
    except psycopg.Error as error:
        raise store_error(error, place) from error


_MARK = re.compile(r"\?|:(\w+)")


_LOCK = "UPDATE meta SET value = value + 1 WHERE name = 'changes';"
"""This row is the lock of all writers, and the change token."""


class Session:
    """A connection that takes ``?`` and ``:name``.

    Values are inserted by the client, and nothing is prepared on the server: this works through poolers that give
    each transaction another connection.

    Args:
        lock: a statement to send together with the first one, so that the lock is not held while nothing is sent.
    """

    def __init__(self, raw: psycopg.Connection[Any], lock: str = "") -> None:
        self._raw = raw
        self._lock = lock

    def execute(self, statement: str, values: Values = (), /) -> Cursor:
        """One statement."""
        return self._send(statement, _storable(values))

    def _send(self, message: str, values: Values) -> psycopg.Cursor[Any]:
        lock, self._lock = self._lock, ""
        message = lock + message
        cursor = (
            self._raw.execute(_psycopg_syntax(message), values)
            if values
            else self._raw.execute(message.encode())
        )
        if lock:
            cursor.nextset()
        return cursor

    def executemany(self, statement: str, rows: Iterable[Values], /) -> None:
        """One statement, once a row."""
        for row in rows:
            self.execute(statement, row)

    def change(self, statement: BatchStatement, rows: Rows, /) -> None:
        """One statement, for all rows."""
        self.execute(statement.for_all, [json_objects(statement.columns, rows)])

    def change_all(self, *steps: tuple[BatchStatement, Rows]) -> bool:
        """One message; False, and nothing is changed, where one of the rows has no effect."""
        message = ";".join(["SAVEPOINT batch", *(statement.for_all for statement, _ in steps)])
        cursor = self._send(message, [json_objects(statement.columns, rows) for statement, rows in steps])
        for _, rows in steps:
            cursor.nextset()
            if cursor.rowcount != len(rows):
                self._raw.execute("ROLLBACK TO SAVEPOINT batch")
                return False
        return True


def json_objects(names: Sequence[str], rows: Rows) -> str:
    """Rows as a JSON array of objects, for ``json_to_recordset``."""
    return json.dumps([dict(zip(names, map(_storable_value, row), strict=True)) for row in rows])


@lru_cache
def _psycopg_syntax(statement: str) -> bytes:
    return _MARK.sub(lambda found: f"%({found[1]})s" if found[1] else "%s", statement).encode()


def _storable(values: Values) -> Values:
    """Replace what Postgres cannot store in a text: NUL, and lone surrogates."""
    if isinstance(values, Mapping):
        return {name: _storable_value(value) for name, value in values.items()}
    return [_storable_value(value) for value in values]


def _storable_value(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


SIZE = 4
_MIN_STATEMENT_TIMEOUT_S = 10.0
_RESPONSE_MARGIN_S = 2.0
"""The client waits this much longer than the server's statement timeout, in case the network hangs."""
_IDLE_IN_TRANSACTION = "15s"
_POLL_S = 0.2


_T = TypeVar("_T")


class _Connection(psycopg.Connection[Any]):
    """Waits at most ``limit_s`` seconds for a response: packets may be dropped, a proxy may hang."""

    limit_s = float("inf")

    def wait(self, gen: Generator[Any, Any, _T], *details: Any, **options: Any) -> _T:
        """As psycopg's, with a limit."""
        return super().wait(_limited(gen, self.limit_s), *details, **options)


def _limited(gen: Generator[Any, Any, _T], limit_s: float) -> Generator[Any, Any, _T]:
    """The same steps; psycopg resumes them regularly with nothing ready."""
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
            raise psycopg.OperationalError("the server has not responded in time")


class Pool:
    """Connections to one schema. Usable from any thread; a forked child opens its own.

    Args:
        busy_timeout: how long to wait for other writers.
        size: the number of connections that may be in use at once.
    """

    def __init__(self, address: StoreAddress, busy_timeout: timedelta, size: int = SIZE) -> None:
        self.place = address.place
        self._address = address
        self._size = size
        self._timeout_s = busy_timeout.total_seconds()
        # explicit: the server's defaults may be another isolation level, or read-only
        begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
        limit_s = self._limit_s = max(self._timeout_s, _MIN_STATEMENT_TIMEOUT_S if size > 1 else 0)
        # in each transaction: a pooler may give it another connection
        settings = (
            f'SET LOCAL search_path TO "{address.schema}";'
            f" SET LOCAL lock_timeout TO {max(1, int(self._timeout_s * 1000))};"
            f" SET LOCAL statement_timeout TO {max(1, int(limit_s * 1000))};"
            f" SET LOCAL idle_in_transaction_session_timeout TO '{_IDLE_IN_TRANSACTION}'"
        )
        self._read = f"{begin} READ ONLY; {settings}"
        self._lease = f"{begin} READ WRITE; {settings}"
        self._write = f"{begin} READ WRITE; {settings}; SELECT pg_current_xact_id()::text"
        self._make = (
            f"{begin} READ WRITE; {settings};"
            f" SELECT pg_advisory_xact_lock(hashtextextended('jobctl {address.schema}', 0))"
        )
        self._free = threading.BoundedSemaphore(size)
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._pause = threading.Event()
        _OPEN.add(self)

    def reading(self) -> AbstractContextManager[Session]:
        """A read-only transaction."""
        return self._transaction(self._read)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction; all other writers wait for its end."""
        with store_errors(self.place), self._borrow() as borrowed:
            transaction_id = self._begin(borrowed, self._write)
            yield Session(borrowed.raw, lock=_LOCK)
            try:
                borrowed.raw.execute("COMMIT")
            except psycopg.OperationalError as error:
                borrowed.drop()
                if not self._committed(transaction_id):
                    raise
                del error

    def leasing(self) -> AbstractContextManager[Session]:
        """A short transaction that waits for no other writer; safe to repeat if its commit is in doubt."""
        return self._transaction(self._lease)

    def making(self) -> AbstractContextManager[Session]:
        """A transaction that may create the tables, one process at a time."""
        return self._transaction(self._make)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Session]:
        with store_errors(self.place), self._borrow() as borrowed:
            self._begin(borrowed, begin)
            yield Session(borrowed.raw)
            borrowed.raw.execute("COMMIT")

    def close(self) -> None:
        """Close idle connections now, and the others when they are returned. Idempotent."""
        self._closed = True
        with self._lock:
            idle, self._idle = self._idle, []
        for raw in idle:
            raw.close()

    @contextmanager
    def _borrow(self) -> Iterator["_Borrowed"]:
        if self._closed:
            raise StoreError(f"the run store {self.place} is closed")
        if not self._free.acquire(timeout=self._timeout_s):
            raise StoreBusyError(f"the run store {self.place} is busy in this process", hint="try again")
        borrowed = _Borrowed(self._idle.pop() if self._idle else None)
        try:
            yield borrowed
        except Exception:
            borrowed.undo()
            raise
        except BaseException:
            borrowed.drop()
            raise
        finally:
            self._return(borrowed)

    def _return(self, borrowed: "_Borrowed") -> None:
        if self._closed:
            borrowed.drop()
        if borrowed.kept is not None:
            self._idle.append(borrowed.kept)
        self._free.release()

    def _begin(self, borrowed: "_Borrowed", batch: str) -> Any:
        """The first value of the batch's last result, if any. Replaces a connection that was lost while idle."""
        if borrowed.kept is not None:
            try:
                return _last_row(borrowed.kept.execute(batch.encode()))
            except psycopg.OperationalError:
                lost = borrowed.kept.closed
                borrowed.drop()
                if not lost:
                    raise
        borrowed.kept = self._connected()
        return _last_row(borrowed.kept.execute(batch.encode()))

    def _connected(self) -> psycopg.Connection[Any]:
        made = _Connection.connect(
            autocommit=True,  # transactions are begun explicitly
            cursor_factory=psycopg.ClientCursor,
            prepare_threshold=None,
            **self._parameters(),
        )
        made.limit_s = self._limit_s + _RESPONSE_MARGIN_S
        return made

    def _parameters(self) -> dict[str, Any]:
        """The address's, and defaults."""
        return {
            "application_name": "jobctl",
            "connect_timeout": max(2, min(CONNECT_TIMEOUT_S, int(self._timeout_s))),
            "tcp_user_timeout": int((self._limit_s + _RESPONSE_MARGIN_S) * 1000),
            **self._address.parameters,
        }

    def _committed(self, transaction_id: str) -> bool:
        """Whether a transaction whose connection was lost during the commit took effect."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                with self._borrow() as borrowed:
                    found = self._begin(borrowed, f"SELECT pg_xact_status('{transaction_id}'::xid8)")
            except (psycopg.Error, StoreBusyError):
                found = None
            if found in {"committed", "aborted"}:
                return bool(found == "committed")
            if time.monotonic() >= deadline:
                raise InDoubtError(
                    f"the connection to the run store {self.place} was lost during a write",
                    hint="see what was recorded: jobctl status",
                )
            self._pause.wait(_POLL_S)

    def after_fork(self) -> None:
        """In the child: keep the parent's connections, unused and open."""
        for raw in self._idle:
            keep_for_good(raw)
        self._idle = []
        self._free = threading.BoundedSemaphore(self._size)
        self._lock = threading.Lock()
        self._pause = threading.Event()


_OPEN: weakref.WeakSet[Pool] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for pool in list(_OPEN):
        pool.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


class _Borrowed:
    """A connection in use; ``kept`` is None once it is lost."""

    def __init__(self, kept: psycopg.Connection[Any] | None) -> None:
        self.kept = kept

    @property
    def raw(self) -> psycopg.Connection[Any]:
        if self.kept is None:
            raise psycopg.OperationalError("the connection was lost")
        return self.kept

    def undo(self) -> None:
        """Roll back; drop the connection if that fails."""
        try:
            if self.kept is not None:
                self.kept.execute("ROLLBACK")
        except psycopg.Error:
            self.drop()

    def drop(self) -> None:
        """Close the connection: the server rolls back."""
        kept, self.kept = self.kept, None
        if kept is not None:
            kept.close()


def _last_row(cursor: psycopg.Cursor[Any]) -> Any:
    while cursor.nextset():
        pass
    row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None
