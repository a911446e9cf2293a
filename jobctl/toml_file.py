"""TOML files: read with limits, parsed with short errors, and the line of each key."""

import os
import re
import stat
from pathlib import Path
from typing import Any

from jobctl.errors import ConfigurationError, reason_of
from jobctl.text import quote

MAX_FILE = 1024 * 1024
_SYNTAX_PLACE = r" \(at (?:line (\d+), column \d+|end of document)\)$"
# the time of tomllib grows with the square of the parts of a dotted key: 20,000 parts take ten seconds
_MAX_PARTS = 64
_ENDLESS_KEY = (
    r"""(?a)(?<![\w"'-])(?:(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)"""
    f"{{{_MAX_PARTS}}}"
)


def read_text(file: Path) -> str:
    """The text of a file, read once.

    Raises:
        ConfigurationError: it is not a plain file, cannot be read, is larger than 1 MiB or not UTF-8.
    """
    try:
        # O_NONBLOCK: opening a pipe of that name would block
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigurationError("it is not a plain file", where=file.name)
            with os.fdopen(descriptor, "rb", closefd=False) as opened:
                data = opened.read(MAX_FILE + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigurationError(f"it cannot be read: {reason_of(error)}", where=file.name) from error
    if len(data) > MAX_FILE:
        raise ConfigurationError("it is larger than 1 MiB", where=file.name)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError("it is not UTF-8", where=f"{file.name}:{line}") from error


def parse_toml(name: str, text: str) -> dict[str, Any]:
    """Parse a TOML text.

    Raises:
        ConfigurationError: it is not valid TOML, or nested too deeply.
    """
    import tomllib

    may_be_endless = any(line.count(".") >= _MAX_PARTS for line in text.split("\n"))
    if may_be_endless and (endless := re.search(_ENDLESS_KEY, text)):
        line = text.count("\n", 0, endless.start()) + 1
        raise ConfigurationError("it is nested too deeply", where=f"{name}:{line}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        match = re.search(_SYNTAX_PLACE, message)
        line = int(match[1]) if match and match[1] else text.rstrip("\n").count("\n") + 1
        reason = message[: match.start()] if match else message
        raise ConfigurationError(
            f"this is not TOML: {quote(reason, 120)[1:-1].lower()}", where=f"{name}:{line}"
        ) from error
    except RecursionError:
        # its traceback is a thousand useless lines
        raise ConfigurationError("it is nested too deeply", where=name) from None
    except ValueError as error:  # int() takes 4,300 digits
        raise ConfigurationError("a number in it is too long", where=name) from error


KeyPath = tuple[str, ...]

_BASIC, _LITERAL = r'"(?:[^"\\\n]|\\.)*+"', r"'[^'\n]*+'"
_LONG = r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})' + r"|'''.*?''''{0,2}"
_BEFORE_KEY = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+(\[{0,2})")
# texts, compiled at their first use: most files need neither
_PART = rf"[ \t]*+({_BASIC}|{_LITERAL}|[^ \t.=\]\r\n\"']++)[ \t]*+(\.?)"
_PIECE = rf"(?s){_LONG}|{_BASIC}|{_LITERAL}|#[^\n]*+|[\[\]{{}}\n]|[^\"'#\[\]{{}}\n]++"
# Most entries, in one step: a table such as [jobs.backup], or a bare key and a value that ends on its line.
_PLAIN = re.compile(
    r"""(?:[ \t\r\n]++|\#[^\n]*+)*+(?:\[([\w-]++)\.([\w-]++)\]"""
    r"""|([\w-]++)[ \t]*+=[ \t]*+(?:"[^"\\\n]*+"|'[^'\n]*+'|[\w.:+-]++))[ \t]*+(?:\#[^\n]*+)?(?=\n)""",
    re.ASCII,
)
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def lines_of_keys(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of each table and key of a valid TOML text, by its whole path.

    ``tomllib`` reports no lines. Keys inside an inline table or an array have the line where that begins.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    line, counted, at = 1, 0, 0
    while at >= 0:
        if (plain := _PLAIN.match(text, at)) is not None:
            name, owner, key = plain.group(1, 2, 3)
            begin, at = plain.start(plain.lastindex or 0), plain.end()
            if key:
                path = (*table, key)
            else:
                path = table = (name, owner)
        elif (before := _BEFORE_KEY.match(text, at)) is None or (begin := before.end()) == len(text):
            break
        elif before[1]:
            path, at = _key_path(text, begin)
            table, at = path, text.find("\n", at)
        else:
            path, at = _key_path(text, begin)
            path, at = table + path, _end_of_value(text, at)
        line += text.count("\n", counted, begin)
        counted = begin
        while path and path not in found:
            found[path] = line
            path = path[:-1]
    return found


def _key_path(text: str, at: int) -> tuple[KeyPath, int]:
    parts: list[str] = []
    while part := re.compile(_PART).match(text, at):
        at = part.end()
        parts.append(_unquoted(part[1]))
        if not part[2]:
            break
    return tuple(parts), at


def _end_of_value(text: str, at: int) -> int:
    """The end of the last line of a value."""
    depth = 0
    while piece := re.compile(_PIECE).match(text, at):
        found = piece[0]
        if found == "\n" and depth <= 0:
            break
        depth += _DEPTH.get(found, 0)
        at = piece.end()
    return at


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    if "\\" not in key or key[0] == "'":
        return key[1:-1]
    import tomllib

    return str(tomllib.loads(f"key = {key}")["key"])
