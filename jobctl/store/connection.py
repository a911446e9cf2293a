"""The database interface that the SQL of both databases uses."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from jobctl.store.batch_statement import BatchStatement

Values = Sequence[Any] | Mapping[str, Any]
Rows = Sequence[Sequence[Any]]


class Cursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """The number of changed rows."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """The other rows."""

    def __iter__(self) -> Iterator[Any]:
        """Iterate over rows."""


class Connection(Protocol):
    """A connection inside a transaction. Values are bound by ``?`` or ``:name``."""

    def execute(self, statement: str, values: Values = (), /) -> Cursor:
        """Run a statement."""

    def executemany(self, statement: str, rows: Iterable[Values], /) -> object:
        """Run a statement once for each row."""

    def change(self, statement: BatchStatement, rows: Rows, /) -> None:
        """Run a statement for all rows."""

    def change_all(self, *steps: tuple[BatchStatement, Rows]) -> bool:
        """Run statements; False, and nothing is changed, where one of their rows has no effect."""


def keep_for_good(connection: object) -> None:
    """Keep a connection that a forked child inherited from being freed, even at interpreter exit.

    Closing the parent's connection here would end its session on the server, or release SQLite's locks.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
