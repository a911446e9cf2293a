"""A database connection as the SQL that both databases share sees it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

Values = Sequence[Any] | Mapping[str, Any]


class Cursor(Protocol):
    """What a statement answered."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """The rest."""

    def __iter__(self) -> Iterator[Any]:
        """Row by row."""


class Connection(Protocol):
    """Inside a transaction that somebody else ends."""

    def execute(self, statement: str, values: Values = (), /) -> Cursor:
        """One statement."""

    def executemany(self, statement: str, rows: Iterable[Values], /) -> object:
        """One statement, once a row."""


def keep_for_good(connection: object) -> None:
    """Never let a connection be freed in this process, not even at the interpreter's exit.

    It belongs to the parent: a close here would end a server's session, or drop SQLite's locks and its log,
    under the parent's hands.
    """
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
