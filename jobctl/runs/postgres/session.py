"""One Postgres connection as the shared statements see it."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import psycopg

from jobctl.runs.sql.connection import Cursor, Values

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
