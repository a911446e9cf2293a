"""JSON values as the page shows them: tables and lists instead of braces, within bounds."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

MOST_ROWS = 200
_MOST_COLUMNS = 12
_DEEPEST = 4
_LONGEST = 4000


class Shown(NamedTuple):
    """A value to show.

    Attributes:
        kind: ``text``, ``number``, ``fields`` (names and values), ``table`` or ``list``.
        rows: of fields (name, value), of a table its cells, of a list its items.
        left_out: the number of rows that are not shown.
    """

    kind: str
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[Any, ...] = ()
    left_out: int = 0


def shown(value: Any, depth: int = 0) -> Shown:
    """A JSON value, to show."""
    if value is None:
        return Shown("text", "–")
    if isinstance(value, bool):
        return Shown("text", "yes" if value else "no")
    if isinstance(value, int | float):
        return Shown("number", f"{value:,}" if isinstance(value, int) else f"{value:,g}")
    if isinstance(value, str):
        return Shown("text", value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…")
    if depth >= _DEEPEST or not value:
        text = json.dumps(value, ensure_ascii=False)
        return Shown("text", "none" if not value else text[:_LONGEST])
    if isinstance(value, Mapping):
        rows = [(str(name).replace("_", " "), shown(each, depth + 1)) for name, each in value.items()]
        return _bounded("fields", rows)
    items = list(value)
    if columns := _common_columns(items):
        cells = [[shown(item.get(name), depth + 2) for name in columns] for item in items[:MOST_ROWS]]
        return _bounded("table", cells, len(items), tuple(name.replace("_", " ") for name in columns))
    return _bounded("list", [shown(item, depth + 1) for item in items[:MOST_ROWS]], len(items))


def _bounded(kind: str, rows: list[Any], count: int | None = None, columns: tuple[str, ...] = ()) -> Shown:
    left_out = max(0, (len(rows) if count is None else count) - MOST_ROWS)
    return Shown(kind, columns=columns, rows=tuple(rows[:MOST_ROWS]), left_out=left_out)


def _common_columns(items: list[Any]) -> list[str]:
    """The names of all items where each is an object of few plain values; none where one is not."""
    if not all(isinstance(item, Mapping) for item in items):
        return []
    names = list(dict.fromkeys(str(name) for item in items for name in item))
    return names if 0 < len(names) <= _MOST_COLUMNS else []


def of_result(result: Any) -> tuple[str, Shown | None]:
    """The message of a job's result, and the rest of it without what is empty; None where there is no rest."""
    if not isinstance(result, Mapping):
        return ("", None) if result is None else ("", shown(result))
    rest = {
        name: value
        for name, value in result.items()
        if name not in {"message", "duration_ms", "success"} and value not in (None, "", [], {})
    }
    if not any(rest.get(name) for name in ("processed", "successful", "failed")):
        rest = {n: v for n, v in rest.items() if n not in {"processed", "successful", "failed"}}
    return str(result.get("message") or ""), shown(rest) if rest else None
