"""SQL for many rows: SQLite runs it once a row, Postgres once for all rows, which are then one message."""

import re

_COLUMN = re.compile(r":(\w+)")
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
_VALUES = re.compile(r"VALUES \(([^()]*)\)")


class BatchStatement:
    """An ``INSERT ... VALUES (...)``, or an ``UPDATE ... SET ... {rows} WHERE ...``, of many rows.

    Args:
        template: ``:name`` is a row's value, ``{rows}`` the place of the clause ``FROM``.
        columns: the names of a row's values, in order, with spaces between them.

    Attributes:
        for_a_row: for one row, a sequence of values.
        for_all: for a JSON array of objects, its only parameter.
    """

    def __init__(self, template: str, columns: str) -> None:
        self.columns = tuple(columns.split())
        numbers = {name: number for number, name in enumerate(self.columns, start=1)}
        self.for_a_row = _COLUMN.sub(lambda found: f"?{numbers[found[1]]}", template).replace("{rows}", "")
        described = ", ".join(f"{name} {'BIGINT' if name in _NUMBERS else 'TEXT'}" for name in self.columns)
        self.for_all = _VALUES.sub(r"SELECT \1 {rows}", _COLUMN.sub(r"batch.\1", template)).replace(
            "{rows}", f"FROM json_to_recordset(CAST(? AS json)) AS batch ({described})"
        )
