"""The project file, ``jobctl.toml`` or ``[tool.jobctl]``: read and checked, every fault with its line."""

import os
import re
import stat
from dataclasses import field
from pathlib import Path
from typing import Any

from jobctl.catalogue.location import OWN_FILE, ProjectLocation
from jobctl.catalogue.notify_settings import NOBODY, Notify, read_notify
from jobctl.errors import ConfigurationError, ConfigurationErrors, reason_of
from jobctl.text import quote, suggestion
from jobctl.values import value

MAX_FILE = 1024 * 1024
_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
# tomllib's time grows with the square of a dotted key's parts: 20,000 parts take ten seconds.
_ENDLESS_KEY = re.compile(
    r"""(?<![\w"'-])(?:(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""", re.ASCII
)


def read_text(file: Path) -> str:
    """The file's text, read once.

    Raises:
        ConfigurationError: it is no plain file, cannot be read, is larger than 1 MiB or not UTF-8.
    """
    try:
        # Without O_NONBLOCK a pipe of that name would be waited for, perhaps for ever.
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
    """What the TOML text says.

    Raises:
        ConfigurationError: it is not TOML, or nested beyond reason.
    """
    import tomllib

    endless = _ENDLESS_KEY.search(text)
    if endless:
        line = text.count("\n", 0, endless.start()) + 1
        raise ConfigurationError("it is nested too deeply", where=f"{name}:{line}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        words = str(error)
        match = _SYNTAX_PLACE.search(words)
        line = int(match[1]) if match and match[1] else text.rstrip("\n").count("\n") + 1
        reason = words[: match.start()] if match else words
        raise ConfigurationError(
            f"this is not TOML: {quote(reason, 120)[1:-1].lower()}", where=f"{name}:{line}"
        ) from error
    except RecursionError:
        # Its traceback is a thousand lines that say nothing.
        raise ConfigurationError("it is nested too deeply", where=name) from None
    except ValueError as error:  # int() takes 4,300 digits
        raise ConfigurationError("a number in it is too long", where=name) from error


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


TOP_KEYS = ("builtin", "jobs", "modules", "notify")
MAX_MODULE = 255
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


@value
class ProjectFile:
    """What a project file says: modules with jobs, who is notified, and each job's settings.

    Attributes:
        builtin: whether the site's built-in jobs are wanted; None where the file does not say.
    """

    name: str = ""
    builtin: bool | None = None
    modules: tuple[str, ...] = ()
    notify: Notify = NOBODY
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    root: tuple[str, ...] = ()

    def place(self, *path: str) -> str:
        """``jobctl.toml:14`` for a key, or for the nearest table around it."""
        whole = (*self.root, *path)
        while whole and whole not in self.lines:
            whole = whole[:-1]
        return f"{self.name}:{self.lines.get(whole, 1)}"


def read_project_file(project: ProjectLocation) -> ProjectFile:
    """Read the project's file; an empty answer where there is none.

    Raises:
        ConfigurationErrors: all that is wrong with its shape; its jobs are checked by ``build_job``.
    """
    if project.file is None:
        return ProjectFile()

    text = read_text(project.file)
    whole = parse_toml(project.file.name, text)
    own = project.file.name == OWN_FILE
    root: tuple[str, ...] = () if own else ("tool", "jobctl")
    table: Any = whole if own else whole.get("tool", {}).get("jobctl", {})
    lines = lines_of_keys(text)
    shape = ProjectFile(project.file.name, lines=lines, root=root)
    faults: list[ConfigurationError] = []
    if not isinstance(table, dict):
        raise ConfigurationError("[tool.jobctl] is not a table", where=shape.place())
    faults.extend(_unknown(shape, key) for key in table if key not in TOP_KEYS)
    builtin = table.get("builtin")
    if builtin is not None and not isinstance(builtin, bool):
        faults.append(
            ConfigurationError(
                f"builtin: expected true or false, not {quote(str(builtin))}", where=shape.place("builtin")
            )
        )
    modules = _modules(shape, table.get("modules", []), faults)
    jobs = _jobs(shape, table.get("jobs", {}), faults)
    notify, wrong = read_notify(table.get("notify", {}), shape.place("notify"))
    faults.extend(
        ConfigurationError(text, where=shape.place("notify", key), hint=hint) for key, text, hint in wrong
    )
    if faults:
        raise ConfigurationErrors(faults)
    return ProjectFile(project.file.name, builtin, modules, notify, jobs, lines, root)


def _unknown(shape: ProjectFile, key: str) -> ConfigurationError:
    hint = suggestion(key, TOP_KEYS, f"Keys: {', '.join(TOP_KEYS)}")
    return ConfigurationError(f"there is no key {quote(key)}", where=shape.place(key), hint=hint)


def _modules(shape: ProjectFile, value: Any, faults: list[ConfigurationError]) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(one, str) and _is_module(one) for one in value):
        return tuple(dict.fromkeys(value))
    faults.append(
        ConfigurationError(
            "modules: expected a list of module names",
            where=shape.place("modules"),
            hint='write ["myapp.jobs"]',
        )
    )
    return ()


def _is_module(name: str) -> bool:
    return len(name) <= MAX_MODULE and _MODULE.fullmatch(name) is not None


def _jobs(shape: ProjectFile, value: Any, faults: list[ConfigurationError]) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict):
        faults.append(
            ConfigurationError("jobs: expected tables", where=shape.place("jobs"), hint="write [jobs.my-job]")
        )
        return {}
    for job_id, settings in value.items():
        if not isinstance(settings, dict):
            faults.append(
                ConfigurationError(
                    f"jobs.{quote(job_id)[1:-1]}: expected a table", where=shape.place("jobs", job_id)
                )
            )
    return {job_id: settings for job_id, settings in value.items() if isinstance(settings, dict)}
