"""The project file, ``jobctl.toml`` or ``[tool.jobctl]``: read and checked, every error with its line."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from jobctl.catalogue.location import OWN_FILE, ProjectLocation
from jobctl.catalogue.notify_settings import Notify, read_notify
from jobctl.errors import ConfigurationError, ConfigurationErrors, reason_of
from jobctl.text import quote, suggestion
from jobctl.values import value

MAX_FILE = 1024 * 1024
_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
# the time of tomllib grows with the square of the parts of a dotted key: 20,000 parts take ten seconds
_ENDLESS_KEY = re.compile(
    r"""(?<![\w"'-])(?:(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""", re.ASCII
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

    endless = _ENDLESS_KEY.search(text)
    if endless:
        line = text.count("\n", 0, endless.start()) + 1
        raise ConfigurationError("it is nested too deeply", where=f"{name}:{line}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        match = _SYNTAX_PLACE.search(message)
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
_PART = re.compile(rf"[ \t]*+({_BASIC}|{_LITERAL}|[^ \t.=\]\r\n\"']++)[ \t]*+(\.?)")
_PIECE = re.compile(rf"{_LONG}|{_BASIC}|{_LITERAL}|#[^\n]*+|[\[\]{{}}\n]|[^\"'#\[\]{{}}\n]++", re.DOTALL)
# Most lines, in one step: a bare key and a value that ends on its line.
_PLAIN = re.compile(
    r"""([\w-]++)[ \t]*+=[ \t]*+(?:"[^"\\\n]*+"|'[^'\n]*+'|[\w.:+-]++)[ \t]*+(?:\#[^\n]*+)?(?=\n)""", re.ASCII
)
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def lines_of_keys(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of each table and key of a valid TOML text, by its whole path.

    ``tomllib`` reports no lines. Keys inside an inline table or an array have the line where that begins.
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
        line += text.count("\n", counted, begin)
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
    """The end of the last line of a value."""
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


TOP_KEYS = ("builtin", "jobs", "modules", "notify")
_MAX_MODULE_NAME = 255
_MODULE_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


@value
class ProjectFile:
    """The content of a project file.

    Attributes:
        builtin: whether the built-in jobs are in the catalogue; None if the file does not say.
        modules: the modules with ``@job`` functions.
        jobs: the settings of each job, not checked yet.
        lines: the line of each key, by its whole path.
        root: the path of the table with all of this.
    """

    name: str = ""
    builtin: bool | None = None
    modules: tuple[str, ...] = ()
    notify: Notify = Notify()
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    root: KeyPath = ()

    def place(self, *path: str) -> str:
        """``jobctl.toml:14`` for a key, or for the nearest table around it."""
        whole = (*self.root, *path)
        while whole and whole not in self.lines:
            whole = whole[:-1]
        return f"{self.name}:{self.lines.get(whole, 1)}"


def read_project_file(location: ProjectLocation) -> ProjectFile:
    """Read the project's file; empty if it has none.

    Raises:
        ConfigurationErrors: all errors except those in jobs, which ``build_job`` reports.
    """
    if location.file is None:
        return ProjectFile()
    text = read_text(location.file)
    name = location.file.name
    root: KeyPath = () if name == OWN_FILE else ("tool", "jobctl")
    table: Any = parse_toml(name, text)
    for key in root:
        table = table.get(key, {})
    empty = ProjectFile(name, lines=lines_of_keys(text), root=root)
    if not isinstance(table, dict):
        raise ConfigurationError("[tool.jobctl] is not a table", where=empty.place())
    faults = list(_faults(empty, table))
    notify, notify_faults = read_notify(table.get("notify", {}), empty.place("notify"))
    faults += [
        ConfigurationError(message, where=empty.place("notify", key), hint=hint)
        for key, message, hint in notify_faults
    ]
    if faults:
        raise ConfigurationErrors(faults)
    modules = tuple(dict.fromkeys(table.get("modules", [])))
    return replace(
        empty, builtin=table.get("builtin"), modules=modules, notify=notify, jobs=table.get("jobs", {})
    )


def _faults(file: ProjectFile, table: dict[str, Any]) -> Iterator[ConfigurationError]:
    """All errors of the table outside ``notify``."""

    def fault(message: str, *path: str, hint: str | None = None) -> ConfigurationError:
        return ConfigurationError(message, where=file.place(*path), hint=hint)

    for key in table:
        if key not in TOP_KEYS:
            hint = suggestion(key, TOP_KEYS, f"Keys: {', '.join(TOP_KEYS)}")
            yield fault(f"there is no key {quote(key)}", key, hint=hint)
    builtin, modules, jobs = table.get("builtin"), table.get("modules", []), table.get("jobs", {})
    if builtin is not None and not isinstance(builtin, bool):
        yield fault(f"builtin: expected true or false, not {quote(str(builtin))}", "builtin")
    if not isinstance(modules, list) or not all(map(_is_module_name, modules)):
        yield fault("modules: expected a list of module names", "modules", hint='write ["myapp.jobs"]')
    if not isinstance(jobs, dict):
        yield fault("jobs: expected tables", "jobs", hint="write [jobs.my-job]")
        return
    for job_id, settings in jobs.items():
        if not isinstance(settings, dict):
            yield fault(f"jobs.{quote(job_id)[1:-1]}: expected a table", "jobs", job_id)


def _is_module_name(name: object) -> bool:
    return (
        isinstance(name, str) and len(name) <= _MAX_MODULE_NAME and _MODULE_NAME.fullmatch(name) is not None
    )
