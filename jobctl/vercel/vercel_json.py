"""Puts jobctl's entries into a ``vercel.json``; every other character stays as it is."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from json.decoder import JSONDecodeError
from typing import Any, NamedTuple

from jobctl.errors import UsageError
from jobctl.web.endpoints import is_endpoint

ENTRY_FILE = "app.py"
"""The function that serves every path."""
_WHITESPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE_ORDER_MARK = "\ufeff"
_TYPES: dict[type[Any], str] = {list: "list", dict: "object"}
_EMPTY = {"$schema": "https://openapi.vercel.sh/vercel.json", "framework": "python"}
_HINT = "correct it, or remove it"


class _Member(NamedTuple):
    """A member of the outermost object, with the position of its value in the text."""

    name: str
    value: Any
    start: int
    end: int


def foreign_entries(text: str | None, key: str, name: str) -> list[Any]:
    """The entries of ``crons`` or ``schedules`` that jobctl did not make.

    Raises:
        UsageError: as ``merge``.
    """
    return [entry for entry in _list(text, key, name) if not _is_own(entry)]


def own_entries(text: str | None, key: str, name: str) -> list[Any]:
    """The entries of ``crons`` or ``schedules`` that call jobs.

    Raises:
        UsageError: as ``merge``.
    """
    return [entry for entry in _list(text, key, name) if _is_own(entry)]


def merge(
    text: str | None, entries: Mapping[str, Sequence[Any]], name: str, max_duration: int | None = None
) -> str:
    """Replace jobctl's entries in ``crons`` and ``schedules``, and ``maxDuration`` of the entry file.

    Args:
        text: of the existing file, or None.
        entries: jobctl's, by list.
        name: of the file, for messages.
        max_duration: of the function, in seconds.

    Raises:
        UsageError: the text is not a JSON object with such lists, or has ``builds``.
    """
    text = _dump(_EMPTY, 2) + "\n" if text is None else text
    text = text.removeprefix(_BYTE_ORDER_MARK)  # Vercel's command could not parse it
    for key in ("crons", "schedules"):
        text = _put(text, key, [*foreign_entries(text, key, name), *entries.get(key, ())], name)
    if max_duration is None:
        return text
    members = _members(text, name)
    if any(member.name == "builds" for member in members):
        raise UsageError(
            f"{name} has builds, which Vercel does not accept together with functions", hint="remove builds"
        )
    functions = _value(members, "functions", dict, name)
    entry = functions.get(ENTRY_FILE)
    entry = {**(entry if isinstance(entry, dict) else {}), "maxDuration": max_duration}
    return _put(text, "functions", {**functions, ENTRY_FILE: entry}, name)


def _put(text: str, key: str, value: Any, name: str) -> str:
    """Set a member of the outermost object; an empty value is not added."""
    members = _members(text, name)
    found = next((member for member in members if member.name == key), None)
    if value == (found.value if found else type(value)()):
        return text
    indented = re.search(r"\n( +)\"", text) if members else None
    indent = len(indented[1]) if indented else 2
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    written = _dump(value, indent).replace("\n", end_of_line + " " * indent)
    if found:
        return text[: found.start] + written + text[found.end :]
    if members:
        end = members[-1].end
        return f'{text[:end]},{end_of_line}{" " * indent}"{key}": {written}{text[end:]}'
    return _dump({key: value}, indent) + "\n"


def _list(text: str | None, key: str, name: str) -> list[Any]:
    members = _members(text.removeprefix(_BYTE_ORDER_MARK), name) if text is not None else []
    found: list[Any] = _value(members, key, list, name)
    return found


def _value(members: list[_Member], key: str, kind: type[Any], name: str) -> Any:
    found = next((member for member in members if member.name == key), None)
    if found and not isinstance(found.value, kind):
        raise UsageError(f"in {name}, {key} is not a JSON {_TYPES[kind]}", hint=_HINT)
    return found.value if found else kind()


def _is_own(entry: Any) -> bool:
    if not isinstance(entry, Mapping):
        return False
    target = entry.get("target")
    return is_endpoint(str(target.get("path") if isinstance(target, Mapping) else entry.get("path")))


def _members(text: str, name: str) -> list[_Member]:
    try:
        if not isinstance(json.loads(text), dict):
            raise UsageError(f"{name} is not a JSON object", hint=_HINT)
        found = list(_walk(text))
    except (ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits
        where = f", line {error.lineno}" if isinstance(error, JSONDecodeError) else ""
        raise UsageError(f"{name} is not valid JSON{where}", hint=_HINT) from error
    names = [member.name for member in found]
    if twice := next((key for key in ("crons", "schedules", "functions") if names.count(key) > 1), None):
        raise UsageError(f"{name} has {twice} twice", hint="remove one of them")
    return found


def _walk(text: str) -> Iterator[_Member]:
    """The members of an object in valid JSON."""
    decode = json.JSONDecoder().raw_decode

    def skip(at: int) -> int:
        found = _WHITESPACE.match(text, at)
        return found.end() if found else at

    at = skip(skip(0) + 1)
    while text[at] != "}":
        name, at = decode(text, at)
        start = skip(skip(at) + 1)
        value, end = decode(text, start)
        yield _Member(name, value, start, end)
        at = skip(end)
        if text[at] == ",":
            at = skip(at + 1)


def _dump(value: Any, indent: int) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _SURROGATE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", text)  # UTF-8 cannot encode it
