"""Connections: one a thread and process, set up alike, all closable; transactions that begin by locking."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from jobctl.runs.sqlite.failures import telling


def connect(path: Path, busy_timeout: timedelta, *, immutable: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode. The busy timeout is set before any other statement."""
    flags = "immutable=1&mode=ro" if immutable else "mode=rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{flags}",
        uri=True,
        timeout=busy_timeout.total_seconds(),
        isolation_level=None,
        check_same_thread=False,  # closed by whoever closes the store
    )
    if not immutable:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


class Connections:
    """Gives each thread its own connection; a forked child gets new ones, never its parent's."""

    def __init__(self, path: Path, busy_timeout: timedelta, *, immutable: bool = False) -> None:
        self.place = str(path)
        self._path = path
        self._timeout = busy_timeout
        self._immutable = immutable
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self.manual_checkpoints = False

    def get(self) -> sqlite3.Connection:
        """This thread's connection, made at its first use."""
        if self._pid != os.getpid():
            self._local = threading.local()
            self._all = []  # the parent's: not ours to close
            self._pid = os.getpid()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._path, self._timeout, immutable=self._immutable)
            if self.manual_checkpoints:
                connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._local.connection = connection
            with self._lock:
                self._all.append(connection)
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Statements that only look."""
        with telling(self.place):
            yield self.get()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that takes the write lock first, so that it can never fail half-way for it."""
        with telling(self.place):
            connection = self.get()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close every connection of this process."""
        if self._pid != os.getpid():
            return
        with self._lock:
            for connection in self._all:
                connection.close()
            self._all.clear()
            self._local = threading.local()
