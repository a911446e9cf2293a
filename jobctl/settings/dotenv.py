r"""One ``.env`` file, read as Next.js reads it: the same values from the same text.

The rules are those of ``@next/env`` (dotenv 16 and its expansion): a ``#`` ends an unquoted value
without a blank before it, quotes may be backticks and span lines, ``KEY: value`` is taken, ``\n`` is a
line end in double quotes only, and ``$NAME`` is expanded in every kind of quote unless ``\`` stands before
it. A test compares with the real thing.
"""

import re
from collections.abc import MutableMapping
from typing import NamedTuple

_BLANK = "[ \\t\\n\\r\\f\\v\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]"
_BLANKS = " \t\n\r\f\v\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_ASSIGNMENT = re.compile(
    rf"""
    ^ {_BLANK}* (?: export {_BLANK}+ )?
    (?P<key> [A-Za-z0-9_.-]+ )
    (?: {_BLANK}* = {_BLANK}*? | : {_BLANK}+? )
    (?P<value>
        {_BLANK}* ' (?: \\' | [^'] )* '
      | {_BLANK}* " (?: \\" | [^"] )* "
      | {_BLANK}* ` (?: \\` | [^`] )* `
      | [^#\r\n]+
    )?
    {_BLANK}* (?: \#.* )? $
    """,
    re.MULTILINE | re.VERBOSE,
)
_QUOTED = re.compile(r"^(['\"`])([\s\S]*)\1$", re.MULTILINE)
_REFERENCE = re.compile(r"\$\{?(?P<name>[A-Za-z0-9_]+)(?::-(?P<default>[^}\\]*))?\}?")
_MOST_EXPANSIONS = 1000
_LONGEST = 1_000_000


class Entry(NamedTuple):
    """An assignment and the line, from 1, that its name stands on."""

    name: str
    text: str
    line: int


class Fault(NamedTuple):
    """A line that nothing could be made of."""

    line: int
    text: str


class ExpansionError(ValueError):
    """A value refers to itself without end; Next.js drops the whole file then."""


def parse(text: str) -> tuple[list[Entry], list[Fault]]:
    """Every assignment in order, not yet expanded, and the lines that are neither that nor a comment."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    entries: list[Entry] = []
    faults: list[Fault] = []
    end = 0
    for match in _ASSIGNMENT.finditer(text):
        faults.extend(_left_over(text, end, match.start()))
        end = match.end()
        value = (match["value"] or "").strip(_BLANKS)
        opening = value[:1]
        value = _QUOTED.sub(r"\2", value)
        if opening == '"':
            value = value.replace("\\n", "\n").replace("\\r", "\r")
        entries.append(Entry(match["key"], value, text.count("\n", 0, match.start("key")) + 1))
    faults.extend(_left_over(text, end, len(text)))
    return entries, faults


def expand(values: MutableMapping[str, str], environment: MutableMapping[str, str]) -> None:
    """Expand a file's values in place; what the environment has already goes before them.

    The environment then holds them too, so that files further down can refer to them.

    Raises:
        ExpansionError: a value refers to itself.
    """
    for name in values:
        start = environment.get(name, values[name])
        values[name] = _interpolate(start, environment, values).replace("\\$", "$")
    environment.update(values)


def _interpolate(text: str, environment: MutableMapping[str, str], values: MutableMapping[str, str]) -> str:
    """From the last ``$`` backwards, until one is left that names nothing."""
    for _ in range(_MOST_EXPANSIONS):
        at = _last_dollar(text)
        match = _REFERENCE.match(text, at) if at >= 0 else None
        if match is None:
            return text
        name = match["name"]
        found = environment.get(name) or match["default"] or values.get(name) or ""
        before, _, after = text.partition(match.group())
        text = before + _as_replacement(found, match.group(), before, after) + after
        if len(text) > _LONGEST:
            break
    raise ExpansionError("a value refers to itself")


def _last_dollar(text: str) -> int:
    at = text.rfind("$")
    while at > 0 and text[at - 1] == "\\":
        at = text.rfind("$", 0, at)
    return at


def _as_replacement(found: str, matched: str, before: str, after: str) -> str:
    """JavaScript's ``replace`` gives ``$$``, ``$&``, ``$``` and ``$'`` a meaning in what it puts in."""
    if "$" not in found:
        return found
    meaning = {"$$": "$", "$&": matched, "$`": before, "$'": after}
    return re.sub(r"\$[$&`']", lambda one: meaning[one.group()], found)


def _left_over(text: str, start: int, end: int) -> list[Fault]:
    line = text.count("\n", 0, start) + 1
    return [
        Fault(number, one.strip())
        for number, one in enumerate(text[start:end].split("\n"), start=line)
        if one.strip(_BLANKS) and not one.strip(_BLANKS).startswith("#")
    ]
