"""The run store on SQLite."""

from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobctl.runs.sql.connection import Connection, Dialect
from jobctl.runs.sql.store import SQLRunStore
from jobctl.runs.sqlite.connect import Access, Connections

if TYPE_CHECKING:
    from collections.abc import Callable


class SQLiteRunStore(SQLRunStore):
    """Runs, job state, owners and cached results in one file.

    Args:
        path: the file; it exists and is sound (see ``opening.open_file``).
        warning: what opening it had to tell: a damaged file that was set aside.
        reopen: opens what is in its place later, or makes a new one.
    """

    dialect = Dialect(order="rowid", durations="INDEXED BY runs_durations")

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

    def checkpoint_by_hand(self) -> None:
        """From now on only ``checkpoint`` folds the log into the file, never a commit in passing."""
        self._connections.manual_checkpoints = True

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file, as far as nobody is in the way."""
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
        """Open the file that is in its place now; make one where there is none."""
        former = self._connections
        if self._reopen is None or not self.is_lost():
            return None
        now = self._reopen()
        now._connections.manual_checkpoints = former.manual_checkpoints  # noqa: SLF001 - another of this class
        self._former.append(former)  # other threads may be using it
        self._connections = now._connections  # noqa: SLF001
        return now.warning or f"the run store {self.place} was deleted or replaced"

    def change_token(self) -> object:
        """SQLite's own count of what others committed."""
        with self._connections.reading() as connection:
            return connection.execute("PRAGMA data_version").fetchone()[0]

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._connections.reading()

    def _writing(self) -> AbstractContextManager[Connection]:
        return self._connections.writing()

    def _leasing(self) -> AbstractContextManager[Connection]:
        return self._connections.writing()
