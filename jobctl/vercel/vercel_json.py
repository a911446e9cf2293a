"""A ``vercel.json`` that is there: what is ours put in place, every other character as it was."""

import json
import re
from collections.abc import Iterator, Mapping
from json.decoder import JSONDecodeError
from typing import Any, NamedTuple

from jobctl.errors import UsageError
from jobctl.web.responses import is_endpoint

_BLANKS = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARK = "\ufeff"
"""A byte order mark, with which some editors on Windows begin a file."""
_KINDS: dict[type[Any], str] = {list: "list", dict: "object"}
_NEW = {"$schema": "https://openapi.vercel.sh/vercel.json", "framework": "python"}


ENTRY = "app.py"
"""The function that answers every path."""


class Cron(NamedTuple):
    """One call at its times.

    Attributes:
        timezone: of ``schedule``; a cron has none but UTC.
        jitter: in minutes, 0 to 15; for ``schedules`` alone.
    """

    path: str
    schedule: str
    job_id: str = ""
    timezone: str = "UTC"
    jitter: int = 0

    def as_cron(self) -> dict[str, Any]:
        """An entry of ``crons``."""
        return {"path": self.path, "schedule": self.schedule}

    def as_schedule(self) -> dict[str, Any]:
        """An entry of ``schedules``, in the form of a list that Vercel's command takes."""
        expression: dict[str, Any] = {"cron": self.schedule}
        if self.jitter:
            expression["jitter"] = self.jitter
        found = {"name": self.job_id, "expression": expression, "target": {"path": self.path}}
        return found if self.timezone == "UTC" else {**found, "timezone": self.timezone}


class Ours(NamedTuple):
    """What of the file is jobctl's: its entries in two lists, and the function's longest call in seconds."""

    crons: list[Cron]
    schedules: list[Cron]
    max_duration: int | None = None


class Member(NamedTuple):
    """A name of the outermost object, and where its value stands."""

    name: str
    value: Any
    start: int
    end: int


def foreign(text: str | None, key: str, name: str) -> list[Any]:
    """The entries of ``crons`` or ``schedules`` that others made.

    Raises:
        UsageError: as ``merged``.
    """
    members = _members(text.removeprefix(_MARK), name) if text is not None else []
    return [one for one in _value(members, key, list, name) if not _mine(one)]


def merged(text: str | None, ours: Ours, name: str) -> str:
    """The file with these entries beside those of others.

    Entries of the endpoints of jobctl are replaced, and so is ``maxDuration`` of the entry file. Everything else
    stays as and where it is.

    Args:
        text: what is there; None where there is nothing.
        name: the file's, for messages.

    Raises:
        UsageError: it is not the JSON of one object with such lists, or has ``builds``.
    """
    if text is None:
        text = _dumped(_NEW, 2) + "\n"
    text = text.removeprefix(_MARK)  # with which Vercel's command cannot parse the file
    for key, entries in (
        ("crons", [one.as_cron() for one in ours.crons]),
        ("schedules", [one.as_schedule() for one in ours.schedules]),
    ):
        text = _put(text, key, [*foreign(text, key, name), *entries], name)
    if ours.max_duration is None:
        return text
    members = _members(text, name)
    if any(one.name == "builds" for one in members):
        raise UsageError(
            f"{name} has builds, which Vercel does not take together with functions", hint="remove builds"
        )
    functions = _value(members, "functions", dict, name)
    entry = functions.get(ENTRY)
    kept = entry if isinstance(entry, dict) else {}
    changed = {**functions, ENTRY: {**kept, "maxDuration": ours.max_duration}}
    return _put(text, "functions", changed, name)


def _put(text: str, key: str, value: Any, name: str) -> str:
    """The text with this value under a name of the outermost object; an empty one is not added."""
    members = _members(text, name)
    found = next((one for one in members if one.name == key), None)
    if value == (found.value if found else type(value)()):
        return text
    indent = _indent(text, members)
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    written = _dumped(value, indent).replace("\n", end_of_line + " " * indent)
    if found:
        return text[: found.start] + written + text[found.end :]
    if members:
        end = members[-1].end
        return f'{text[:end]},{end_of_line}{" " * indent}"{key}": {written}{text[end:]}'
    return _dumped({key: value}, indent) + "\n"


def _value(members: list[Member], key: str, kind: type[Any], name: str) -> Any:
    found = next((one for one in members if one.name == key), None)
    if found and not isinstance(found.value, kind):
        raise UsageError(f"in {name} {key} is no {_KINDS[kind]}", hint="mend it, or remove it")
    return found.value if found else kind()


def _mine(entry: Any) -> bool:
    if not isinstance(entry, Mapping):
        return False
    target = entry.get("target")
    return is_endpoint(str(target.get("path") if isinstance(target, Mapping) else entry.get("path")))


def _members(text: str, name: str) -> list[Member]:
    try:
        if not isinstance(json.loads(text), dict):
            raise UsageError(f"{name} is no JSON object", hint="mend it, or remove it")
        found = list(_walk(text))
    except (ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits
        where = f", line {error.lineno}" if isinstance(error, JSONDecodeError) else ""
        raise UsageError(f"{name} is not JSON{where}", hint="mend it, or remove it") from error
    names = [one.name for one in found]
    if twice := next((one for one in ("crons", "schedules", "functions") if names.count(one) > 1), None):
        raise UsageError(f"in {name} {twice} stands twice", hint="remove one of them")
    return found


def _walk(text: str) -> Iterator[Member]:
    """Each member of an object that is known to be sound JSON."""
    decode = json.JSONDecoder().raw_decode

    def past(at: int) -> int:
        found = _BLANKS.match(text, at)
        return found.end() if found else at

    at = past(past(0) + 1)
    while text[at] != "}":
        name, at = decode(text, at)
        start = past(past(at) + 1)
        value, end = decode(text, start)
        yield Member(name, value, start, end)
        at = past(end)
        if text[at] == ",":
            at = past(at + 1)


def _indent(text: str, members: list[Member]) -> int:
    found = re.search(r"\n( +)\"", text) if members else None
    return len(found[1]) if found else 2


def _dumped(value: Any, indent: int) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _SURROGATE.sub(lambda one: f"\\u{ord(one[0]):04x}", text)  # no file can hold half a character
