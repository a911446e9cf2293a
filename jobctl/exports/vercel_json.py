"""The crons of a ``vercel.json`` that is there: ours put in place, every other character as it was."""

import json
import re
from collections.abc import Iterator, Mapping
from json.decoder import JSONDecodeError
from typing import Any, NamedTuple

from jobctl.errors import UsageError
from jobctl.web.routes import is_ours

_BLANKS = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARK = "\ufeff"
"""A byte order mark, with which some editors on Windows begin a file."""
_NEW = {"$schema": "https://openapi.vercel.sh/vercel.json", "framework": "python"}


class Cron(NamedTuple):
    """One entry."""

    path: str
    schedule: str


class Member(NamedTuple):
    """A name of the outermost object, and where its value stands."""

    name: str
    value: Any
    start: int
    end: int


def foreign(text: str | None, name: str) -> list[Any]:
    """The entries that others made.

    Raises:
        UsageError: as ``merged``.
    """
    found = _crons(_members(text.removeprefix(_MARK), name), name) if text is not None else None
    return [one for one in (found.value if found else []) if not _mine(one)]


def merged(text: str | None, crons: list[Cron], name: str) -> str:
    """The file with these crons beside those of others.

    Entries of the endpoints of jobctl are replaced. What stands where and how is kept, but for the list itself.

    Args:
        text: what is there; None where there is nothing.
        name: the file's, for messages.

    Raises:
        UsageError: it is not the JSON of one object with a list of crons.
    """
    ours = [one._asdict() for one in crons]
    if text is None:
        return _dumped({**_NEW, "crons": ours}, 2) + "\n"
    if text.startswith(_MARK):
        return _MARK + merged(text.removeprefix(_MARK), crons, name)
    members = _members(text, name)
    found = _crons(members, name)
    wanted = [*(one for one in (found.value if found else []) if not _mine(one)), *ours]
    if wanted == (found.value if found else []):
        return text
    indent = _indent(text, members)
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    value = _dumped(wanted, indent).replace("\n", end_of_line + " " * indent)
    if found:
        return text[: found.start] + value + text[found.end :]
    if members:
        end = members[-1].end
        return f'{text[:end]},{end_of_line}{" " * indent}"crons": {value}{text[end:]}'
    return _dumped({"crons": wanted}, indent) + "\n"


def _crons(members: list[Member], name: str) -> Member | None:
    found = next((one for one in members if one.name == "crons"), None)
    if found and not isinstance(found.value, list):
        raise UsageError(f"in {name} crons is no list", hint="mend it, or remove it")
    return found


def _mine(entry: Any) -> bool:
    return isinstance(entry, Mapping) and is_ours(str(entry.get("path")))


def _members(text: str, name: str) -> list[Member]:
    try:
        if not isinstance(json.loads(text), dict):
            raise UsageError(f"{name} is no JSON object", hint="mend it, or remove it")
        found = list(_walk(text))
    except (ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits
        where = f", line {error.lineno}" if isinstance(error, JSONDecodeError) else ""
        raise UsageError(f"{name} is not JSON{where}", hint="mend it, or remove it") from error
    names = [one.name for one in found]
    if names.count("crons") > 1:
        raise UsageError(f"in {name} crons stands twice", hint="remove one of them")
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
