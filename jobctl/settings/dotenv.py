r"""One ``.env`` file, read as Next.js reads it: the same values from the same text.

The rules are those of ``@next/env`` (dotenv 16 and its expansion): a ``#`` ends an unquoted value
without a blank before it, quotes may be backticks and span lines, ``KEY: value`` is taken, ``\n`` is a
line end in double quotes only, and ``$NAME`` is expanded in every kind of quote unless ``\`` stands before
it. A test compares with the real thing.
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import NamedTuple

# JavaScript's: what ends a line, for ^ and $ and the dot, and what is blank besides.
_ENDS = "\\n\\u2028\\u2029"
_IN_LINE = " \\t\\f\\v\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000\\ufeff"
_BLANK = f"[{_ENDS}{_IN_LINE}]"
_BEGIN, _END = f"(?<![^{_ENDS}])", f"(?![^{_ENDS}])"
_BLANKS = " \t\n\r\f\v\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_ASSIGNMENT = rf"""
    {_BEGIN} [{_IN_LINE}]*+ (?: export {_BLANK}+ )?  # from each line's own start: blank ones are looked at once
    (?P<key> [A-Za-z0-9_.-]+ )
    (?: {_BLANK}* = {_BLANK}*? | : {_BLANK}+? )
    (?P<value>
        {_BLANK}* ' (?: \\' | [^'] )* '
      | {_BLANK}* " (?: \\" | [^"] )* "
      | {_BLANK}* ` (?: \\` | [^`] )* `
      | [^#\r\n]+
    )?
    {_BLANK}* (?: \#[^{_ENDS}]* )? {_END}
    """
_QUOTED = rf"{_BEGIN} (['\"`]) ([\s\S]*) \1 {_END}"
"""Both are compiled when a file is read: most commands begin where there is none."""
_REFERENCE = re.compile(r"\$\{?(?P<name>[A-Za-z0-9_]+)(?::-(?P<default>[^}\\]*))?\}?")
_MOST_EXPANSIONS = 1000
_MOST_WORK = 10_000_000
"""Characters that the expansions of one file may write."""


class Entry(NamedTuple):
    """An assignment and the line, from 1, that its name stands on. ``is_open``: its first quote is not closed."""

    name: str
    text: str
    line: int
    is_open: bool = False


class Fault(NamedTuple):
    """A line that nothing could be made of."""

    line: int
    text: str


class ExpansionError(ValueError):
    """A file's values cannot be expanded; says why, as a clause."""


def parse(text: str) -> tuple[list[Entry], list[Fault]]:
    """Every assignment in order, not yet expanded, and the lines that are neither that nor a comment."""
    entries: list[Entry] = []
    faults: list[Fault] = []
    if not text:  # as of a file that is not there: the pattern takes a while to compile
        return entries, faults
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    end, line = 0, 1
    for match in re.finditer(_ASSIGNMENT, text, re.VERBOSE):
        key = match.start("key")
        faults.extend(_left_over(text[end : match.start()], line))
        line += text.count("\n", end, key)  # from the last entry, not from the start
        value = (match["value"] or "").strip(_BLANKS)
        opening = value[:1]
        value, quoted = re.subn(_QUOTED, r"\2", value, flags=re.VERBOSE)
        if opening == '"':
            value = value.replace("\\n", "\n").replace("\\r", "\r")
        is_open = not quoted and opening in {"'", '"', "`"}
        entries.append(Entry(match["key"], value, line, is_open))
        end = match.end()
        line += text.count("\n", key, end)
    faults.extend(_left_over(text[end:], line))
    return entries, faults


def expand(values: MutableMapping[str, str], environment: MutableMapping[str, str]) -> None:
    """Expand a file's values in place; what the environment has already goes before them.

    The environment then holds them too, so that files further down can refer to them.

    Raises:
        ExpansionError: a value refers to itself, or they grow beyond reason.
    """
    expanded = _Expander(values, environment)
    for name in values:
        start = environment.get(name, values[name])
        values[name] = expanded(start).replace("\\$", "$")
    environment.update(values)


class _Expander:
    """Expands the values of one file, each from its last ``$`` backwards, until one is left that names nothing."""

    def __init__(self, values: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self._values = values
        self._environment = environment
        self._left = _MOST_WORK

    def __call__(self, text: str) -> str:
        for _ in range(_MOST_EXPANSIONS):
            at = _last_dollar(text)
            match = _REFERENCE.match(text, at) if at >= 0 else None
            if match is None:
                return text
            name = match["name"]
            found = self._environment.get(name) or match["default"] or self._values.get(name) or ""
            before, _, after = text.partition(match.group())
            text = before + self._as_replacement(found, match.group(), before, after) + after
            self._spend(len(text))
        raise ExpansionError("a value refers to itself, so Next.js drops the whole file")

    def _as_replacement(self, found: str, matched: str, before: str, after: str) -> str:
        """JavaScript's ``replace`` gives ``$$``, ``$&``, ``$``` and ``$'`` a meaning in what it puts in."""
        if "$" not in found:
            return found
        meaning = {"$$": "$", "$&": matched, "$`": before, "$'": after}
        self._spend(sum(found.count(sign) * len(text) for sign, text in meaning.items()))
        return re.sub(r"\$[$&`']", lambda one: meaning[one.group()], found)

    def _spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise ExpansionError("its values refer to each other until they are too long")


def _last_dollar(text: str) -> int:
    at = text.rfind("$")
    while at > 0 and text[at - 1] == "\\":
        at = text.rfind("$", 0, at)
    return at


def _left_over(text: str, line: int) -> list[Fault]:
    return [
        Fault(number, one.strip())
        for number, one in enumerate(text.split("\n"), start=line)
        if one.strip(_BLANKS) and not one.strip(_BLANKS).startswith("#")
    ]
