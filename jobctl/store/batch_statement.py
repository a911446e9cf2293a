"""SQL for many rows: SQLite runs it once a row, Postgres once for all rows, which are then one message."""

import re

_COLUMN = re.compile(r":(\w+)")
_VALUES = re.compile(r"VALUES \(([^()]*)\)")


class BatchStatement:
    """An ``INSERT ... VALUES (...)``, or an ``UPDATE ... SET ... {rows} WHERE ...``, of many rows.

    Args:
        template: ``:name`` is a row's value, ``{rows}`` the place of the clause ``FROM``.
        columns: name and SQL type of each value, in order.

    Attributes:
        for_a_row: for one row, a sequence of values.
        for_all: for a JSON array of objects, its only parameter.
    """

    def __init__(self, template: str, **columns: str) -> None:
        numbers = {name: number for number, name in enumerate(columns, start=1)}
        self.columns = tuple(columns)
        self.for_a_row = _COLUMN.sub(lambda found: f"?{numbers[found[1]]}", template).replace("{rows}", "")
        described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        self.for_all = _VALUES.sub(r"SELECT \1 {rows}", _COLUMN.sub(r"batch.\1", template)).replace(
            "{rows}", f"FROM json_to_recordset(CAST(? AS json)) AS batch ({described})"
        )
