"""Which line of a TOML text a key stands on: ``tomllib`` gives values without places."""

import re

KeyPath = tuple[str, ...]

_BASIC, _LITERAL = r'"(?:[^"\\\n]|\\.)*+"', r"'[^'\n]*+'"
_LONG = r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})' + r"|'''.*?''''{0,2}"
_BEFORE_KEY = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+(\[{0,2})")
_PART = re.compile(rf"[ \t]*+({_BASIC}|{_LITERAL}|[^ \t.=\]\r\n\"']++)[ \t]*+(\.?)")
_PIECE = re.compile(rf"{_LONG}|{_BASIC}|{_LITERAL}|#[^\n]*+|[\[\]{{}}\n]|[^\"'#\[\]{{}}\n]++", re.DOTALL)
# What most lines are, in one step: a bare key and a value that ends on its line.
_PLAIN = re.compile(
    r"""([\w-]++)[ \t]*+=[ \t]*+(?:"[^"\\\n]*+"|'[^'\n]*+'|[\w.:+-]++)[ \t]*+(?:\#[^\n]*+)?(?=\n)""", re.ASCII
)
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def lines_of_keys(text: str) -> dict[KeyPath, int]:
    """Each table and key of a valid TOML text by its whole path, with its line from 1.

    Keys inside an inline table or an array stand where that begins.
    """
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    line, counted, at = 1, 0, 0
    while (before := _BEFORE_KEY.match(text, at)) and (begin := before.end()) < len(text):
        if before[1]:
            path, at = _key_path(text, begin)
            table, at = path, text.find("\n", at)
        elif (plain := _PLAIN.match(text, begin)) is not None:
            path, at = (*table, plain[1]), plain.end()
        else:
            path, at = _key_path(text, begin)
            path, at = table + path, _end_of_value(text, at)
        line += text.count("\n", counted, begin)  # from the last key, not from the start
        counted = begin
        while path and path not in found:
            found[path] = line
            path = path[:-1]
        if at < 0:
            break
    return found


def _key_path(text: str, at: int) -> tuple[KeyPath, int]:
    parts: list[str] = []
    while part := _PART.match(text, at):
        at = part.end()
        parts.append(_unquoted(part[1]))
        if not part[2]:
            break
    return tuple(parts), at


def _end_of_value(text: str, at: int) -> int:
    """The end of the line that ends a value, however many lines it has."""
    depth = 0
    while piece := _PIECE.match(text, at):
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
