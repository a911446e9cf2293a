"""SQL for many rows: SQLite runs it once a row, Postgres once for all rows, which are then one message."""

import re
from functools import cached_property

_COLUMN = r":(\w+)"
_NUMBERS = frozenset(
    [
        "anchor",
        "at",
        "attempt",
        "completed",
        "cursor",
        "duration",
        "epoch",
        "failed",
        "finished_at",
        "generation",
        "missed",
        "next_run",
        "pid",
        "slot",
        "started_at",
        "success",
    ]
)
"""Whole numbers among the values; the others are texts."""
_VALUES = r"VALUES \(([^()]*)\)"


class BatchStatement:
    """An ``INSERT ... VALUES (...)``, or an ``UPDATE ... SET ... {rows} WHERE ...``, of many rows.

    Args:
        template: ``:name`` is a row's value, ``{rows}`` the place of the clause ``FROM``.
        columns: the names of a row's values, in order, with spaces between them.

    Its texts are made at their first use: a command that only reads needs none.
    """

    def __init__(self, template: str, columns: str) -> None:
        self.columns = tuple(columns.split())
        self._template = template

    @cached_property
    def for_a_row(self) -> str:
        """The statement for one row, a sequence of values."""
        numbers = {name: number for number, name in enumerate(self.columns, start=1)}
        numbered = re.sub(_COLUMN, lambda found: f"?{numbers[found[1]]}", self._template)
        return numbered.replace("{rows}", "")

    @cached_property
    def for_all(self) -> str:
        """The statement for a JSON array of objects, its only parameter."""
        described = ", ".join(f"{name} {'BIGINT' if name in _NUMBERS else 'TEXT'}" for name in self.columns)
        rows = f"FROM json_to_recordset(CAST(? AS json)) AS batch ({described})"
        selected = re.sub(_VALUES, r"SELECT \1 {rows}", re.sub(_COLUMN, r"batch.\1", self._template))
        return selected.replace("{rows}", rows)
