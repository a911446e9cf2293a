r"""The ``.env`` files, read in Next.js's order and by Next.js's grammar, each value with its file and line.

The grammar is that of ``@next/env`` (dotenv 16 and its expansion): ``#`` ends an unquoted value even without a blank
before it, quotes may be backticks and span lines, ``KEY: value`` is accepted, ``\n`` is a line end in double quotes
only, and ``$NAME`` is expanded in every kind of quote unless ``\`` stands before it. A test compares with the original.
"""

import errno
import io
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from jobctl.errors import ConfigurationError
from jobctl.files import demand_trusted, platform_owns_files
from jobctl.settings.masking import shown
from jobctl.settings.variables import VARIABLES
from jobctl.text import quote

# What ends a line in JavaScript, for ^ and $ and the dot, and its other blanks.
_ENDS = "\\n\\u2028\\u2029"
_IN_LINE = " \\t\\f\\v\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000\\ufeff"
_BLANK = f"[{_ENDS}{_IN_LINE}]"
_BEGIN, _END = f"(?<![^{_ENDS}])", f"(?![^{_ENDS}])"
_BLANKS = " \t\n\r\f\v\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_ASSIGNMENT = rf"""
    {_BEGIN} [{_IN_LINE}]*+ (?: export {_BLANK}+ )?  # blank lines are scanned once: a match begins on its own line
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
"""Both patterns are compiled when a file is read: most commands find none."""
# patterns are texts, compiled at their first use: most commands need few of them
_REFERENCE = r"\$\{?(?P<name>[A-Za-z0-9_]+)(?::-(?P<default>[^}\\]*))?\}?"
_MOST_EXPANSIONS = 1000
_MOST_WORK = 10_000_000
"""Characters that the expansions of one file may write, at most."""


class Assignment(NamedTuple):
    """A variable of a file, and the line of its name, from 1. ``is_open``: its first quote is not closed."""

    name: str
    text: str
    line: int
    is_open: bool = False


class BrokenLine(NamedTuple):
    """A line that is neither an assignment nor a comment."""

    line: int
    text: str


class ExpansionError(ValueError):
    """The values of a file cannot be expanded; the message is the reason, a clause."""


def parse_env(text: str) -> tuple[list[Assignment], list[BrokenLine]]:
    """Every assignment in order, not yet expanded, and the broken lines."""
    entries: list[Assignment] = []
    broken: list[BrokenLine] = []
    if not text:  # without a file the pattern, slow to compile, is not needed
        return entries, broken
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    end, line = 0, 1
    for match in re.finditer(_ASSIGNMENT, text, re.VERBOSE):
        key = match.start("key")
        broken.extend(_broken_lines(text[end : match.start()], line))
        line += text.count("\n", end, key)
        value = (match["value"] or "").strip(_BLANKS)
        opening = value[:1]
        value, quoted = re.subn(_QUOTED, r"\2", value, flags=re.VERBOSE)
        if opening == '"':
            value = value.replace("\\n", "\n").replace("\\r", "\r")
        is_open = not quoted and opening in {"'", '"', "`"}
        entries.append(Assignment(match["key"], value, line, is_open))
        end = match.end()
        line += text.count("\n", key, end)
    broken.extend(_broken_lines(text[end:], line))
    return entries, broken


def expand(values: MutableMapping[str, str], environment: MutableMapping[str, str]) -> None:
    """Expand the values of a file in place; values of the environment take precedence.

    The environment then contains them too, so that later files can refer to them.

    Raises:
        ExpansionError: a value refers to itself, or the values grow too long.
    """
    expanded = _Expander(values, environment)
    for name in values:
        start = environment.get(name, values[name])
        values[name] = expanded(start).replace("\\$", "$")
    environment.update(values)


class _Expander:
    """Expands the values of one file, each from its last ``$`` backwards, as Next.js does."""

    def __init__(self, values: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self._values = values
        self._environment = environment
        self._left = _MOST_WORK

    def __call__(self, text: str) -> str:
        for _ in range(_MOST_EXPANSIONS):
            at = _last_dollar(text)
            match = re.compile(_REFERENCE).match(text, at) if at >= 0 else None
            if match is None:
                return text
            name = match["name"]
            found = self._environment.get(name) or match["default"] or self._values.get(name) or ""
            before, _, after = text.partition(match.group())
            text = before + self._as_replacement(found, match.group(), before, after) + after
            self._spend(len(text))
        raise ExpansionError("a value refers to itself, so Next.js drops the whole file")

    def _as_replacement(self, found: str, matched: str, before: str, after: str) -> str:
        """The text that JavaScript's ``replace`` inserts: ``$$``, ``$&``, ``$``` and ``$'`` have a meaning there."""
        if "$" not in found:
            return found
        meaning = {"$$": "$", "$&": matched, "$`": before, "$'": after}
        self._spend(sum(found.count(sign) * len(text) for sign, text in meaning.items()))
        return re.sub(r"\$[$&`']", lambda sign: meaning[sign.group()], found)

    def _spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise ExpansionError("its values refer to each other until they are too long")


def _last_dollar(text: str) -> int:
    at = text.rfind("$")
    while at > 0 and text[at - 1] == "\\":
        at = text.rfind("$", 0, at)
    return at


def _broken_lines(text: str, line: int) -> list[BrokenLine]:
    return [
        BrokenLine(number, rest.strip())
        for number, rest in enumerate(text.split("\n"), start=line)
        if rest.strip(_BLANKS) and not rest.strip(_BLANKS).startswith("#")
    ]


MAX_FILE = 1024 * 1024
PIPE_TIMEOUT_S = 30
"""Seconds that a program may take to write into a named pipe: a password manager may ask its user first."""
_LONGEST = 128 * 1024
"""Bytes of ``NAME=value`` and its zero byte that Linux passes to a process: execve(2), MAX_ARG_STRLEN."""
_MOST_WARNINGS = 20


class ValueSource(NamedTuple):
    """Where a value comes from: ``process``, ``file``, ``content``, ``default`` or ``none``."""

    kind: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        if self.kind == "file":
            return f"{self.file}:{self.line}"
        if self.kind == "content":
            return self.file
        return {"process": "process environment", "default": "default"}.get(self.kind, "not set")


class SettingValue(NamedTuple):
    """A variable's text and its source; ``hidden`` are the sources whose values it overrides."""

    name: str
    text: str | None
    source: ValueSource
    hidden: tuple[ValueSource, ...] = ()

    @property
    def shown(self) -> str | None:
        """For people: quoted so that blanks are visible, secrets masked."""
        if self.text is None:
            return None
        return shown(self.name, self.text)


class EnvFile(NamedTuple):
    """A file that jobctl searches for.

    Attributes:
        found: whether it exists, whatever its type.
        ignored_because: why an existing file is ignored, as a clause; empty if it was read.
    """

    name: str
    found: bool
    variables: int
    ignored_because: str = ""


PROCESS = ValueSource("process")
NOT_SET = ValueSource("none")


class LoadedVariables(NamedTuple):
    """All variables of the process environment and of the files.

    Attributes:
        problems: files that cannot be read, and values that no process can receive.
        warnings: lines that set nothing; Next.js ignores them.
        texts: the text of each file, None if it does not exist.
    """

    values: Mapping[str, SettingValue]
    files: tuple[EnvFile, ...]
    problems: tuple[ConfigurationError, ...]
    warnings: tuple[str, ...]
    texts: Mapping[str, str | None]


def load_variables(folder: Path, process: Mapping[str, str], *, pipes: bool = True) -> LoadedVariables:
    """Read the files of a folder for its ``NODE_ENV``; the process environment overrides them.

    A file may be a named pipe of a password manager: it is read once, within 30 seconds.

    ``NODE_ENV`` comes from the process, else from ``.env.local`` or ``.env`` (Next.js itself reads only the process),
    else it is ``development``, as for an unknown value.

    Args:
        pipes: False ignores named pipes, for a process whose environment already has their values.
    """
    reader = _EnvReader(folder, process, pipes=pipes)
    node_env = (process.get("NODE_ENV") or reader.take_node_env() or "").strip()
    if node_env not in VARIABLES["NODE_ENV"].choices:  # reported by ``check``; not used in a file name
        node_env = "development"
    names = (f".env.{node_env}.local", ".env.local", f".env.{node_env}", ".env")
    for name in names:
        if name != ".env.local" or node_env != "test":
            reader.take(name)
    return LoadedVariables(
        reader.values(), tuple(reader.files), tuple(reader.problems), tuple(reader.warnings), reader.texts
    )


def _named(line: str) -> str:
    """The variable that a broken line seems to set; never more of the line, since it may contain a secret."""
    word = line.partition("=")[0].partition(" ")[0]
    return f" ({word[:40]})" if word.isidentifier() and word.isupper() and "_" in word else ""


def _unfit(name: str, value: str) -> str | None:
    """Why no process can receive a variable, as the rest of a sentence; None if it can."""
    if "\0" in value:
        return "contains a zero character, which no variable can"
    if len(name) + len(value.encode()) + 2 > _LONGEST:
        return f"is longer than {_LONGEST // 1024} KiB, which no process can receive"
    return None


class _EnvReader:
    """Collects values from the process and then from file after file; the first value of a name wins."""

    def __init__(self, folder: Path, process: Mapping[str, str], *, pipes: bool) -> None:
        self._folder = folder
        self._pipes = pipes
        self._ignored_because: dict[str, str] = {}
        self._process = process
        self._expandable = dict(process)  # the values of ``$NAME``: grows from file to file
        self._found: dict[str, list[tuple[str, ValueSource]]] = {}
        self.texts: dict[str, str | None] = {}
        self.files: list[EnvFile] = []
        self.problems: list[ConfigurationError] = []
        self.warnings: list[str] = []

    def take_node_env(self) -> str | None:
        """``NODE_ENV`` of ``.env.local`` or ``.env``. Its source is kept: for ``test``, ``.env.local`` is not read."""
        for name in (".env.local", ".env"):
            for entry in parse_env(self._read(name) or "")[0]:
                if entry.name == "NODE_ENV" and entry.text and not _unfit(*entry[:2]):
                    self._found["NODE_ENV"] = [(entry.text, ValueSource("file", name, entry.line))]
                    return entry.text
        return None

    def take(self, name: str) -> None:
        """Read one file."""
        text = self._read(name)
        entries, broken = parse_env(text or "")
        ignored_because = self._ignored_because.get(name, "")
        found = text is not None or os.path.lexists(self._folder / name)
        self.files.append(EnvFile(name, found, len({entry.name for entry in entries}), ignored_because))
        self.warnings.extend(
            f"{name}:{line.line}: this line{_named(line.text)} sets nothing; write NAME=value, or # before a comment"
            for line in broken[:_MOST_WARNINGS]
        )
        self.warnings.extend(
            f"unclosed quote in {entry.name} ({name}:{entry.line}): it counts as a part of the value"
            for entry in [entry for entry in entries if entry.is_open][:_MOST_WARNINGS]
        )
        if len(broken) > _MOST_WARNINGS:
            self.warnings.append(f"{name}: {len(broken) - _MOST_WARNINGS} more lines set nothing")
        values = {entry.name: entry.text for entry in entries}
        try:
            expand(values, self._expandable)
        except ExpansionError as error:
            self.problems.append(ConfigurationError(str(error), where=name))
            return
        lines = {entry.name: entry.line for entry in entries}
        for key, value in values.items():
            if key == "NODE_ENV" and self._found.get(key, [("", PROCESS)])[0][1].file == name:
                continue
            source = ValueSource("file", name, lines[key])
            if reason := _unfit(key, value):
                self.problems.append(ConfigurationError(f"{quote(key)[1:-1]} {reason}", where=str(source)))
            else:
                self._found.setdefault(key, []).append((value, source))

    def values(self) -> dict[str, SettingValue]:
        """The value of each variable, with the sources that it overrides."""
        found = {
            name: SettingValue(name, self._expandable.get(name, text), PROCESS)
            for name, text in self._process.items()
        }
        for name, given in self._found.items():
            places = tuple(source for _, source in given)
            if name in found:
                found[name] = found[name]._replace(hidden=places)
            else:
                found[name] = SettingValue(name, given[0][0], places[0], places[1:])
        return found

    def _read(self, name: str) -> str | None:
        if name not in self.texts:
            try:
                self.texts[name] = self._text_of(name)
            except ConfigurationError as error:
                self.texts[name] = None
                self.problems.append(error)
            except OSError as error:
                self.texts[name] = None
                self.problems.append(ConfigurationError(f"it cannot be read: {error.strerror}", where=name))
        return self.texts[name]

    def _text_of(self, name: str) -> str | None:
        """The text of a file or pipe, as Next.js reads it: bytes that are not UTF-8 are replaced."""
        path = self._folder / name
        try:
            # O_NONBLOCK: opening a pipe without a writer would block
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            if os.path.lexists(path):
                self._ignored_because[name] = "a broken link"
            return None
        except OSError as error:
            if error.errno in {errno.ENXIO, errno.EOPNOTSUPP}:  # by open(2)
                self._ignored_because[name] = "a socket"
                return None
            raise
        try:
            state = os.fstat(descriptor)
            mode = state.st_mode
            if (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)) and not platform_owns_files(self._process):
                demand_trusted(Path(os.path.realpath(path)), state)
            if stat.S_ISFIFO(mode):
                if not self._pipes:
                    return None
                data = _from_pipe(descriptor)
            elif stat.S_ISREG(mode):
                data = _whole(lambda size: os.read(descriptor, size))
            else:
                self._ignored_because[name] = "a folder" if stat.S_ISDIR(mode) else "no plain file"
                return None
        finally:
            os.close(descriptor)
        return self._decoded(name, data)

    def _decoded(self, name: str, data: bytes) -> str | None:
        if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            self._ignored_because[name] = "UTF-16 text (save it as UTF-8)"
            return None
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.warnings.append(f"{name}:{line}: this line is not UTF-8; wrong bytes are read as \ufffd")
            return data.decode("utf-8", "replace")


def _from_pipe(descriptor: int) -> bytes:
    """The content of a named pipe, up to its end.

    Raises:
        OSError: no end within 30 seconds, or too much.
    """
    import select

    deadline = time.monotonic() + PIPE_TIMEOUT_S
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)

    def read(size: int) -> bytes:
        while True:
            if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError(
                    errno.ETIMEDOUT,
                    f"it is a pipe, and no program wrote to it and closed it within {PIPE_TIMEOUT_S} s",
                )
            with suppress(BlockingIOError):
                return os.read(descriptor, size)

    return _whole(read)


def _whole(read: Callable[[int], bytes]) -> bytes:
    data = bytearray()
    while part := read(MAX_FILE + 1 - len(data)):
        data += part
        if len(data) > MAX_FILE:
            raise OSError(errno.EFBIG, "it is larger than 1 MiB")
    return bytes(data)


_SUSPICIOUS = (
    r"(?mx)[$`\\] | \S\# | ^[^\S\n]*(?:export\s+)?[\w.-]+\s*:\s | [\"'].*[\"'].*[\"'] | =\s*[\"'][^\"'\n]*$"
)
_LONGEST_COMPARED = 64 * 1024
_BARE_REFERENCE = r"(?<!\\)\$[A-Za-z_]|\\\$"


def differs_in_python_dotenv(text: str) -> Iterator[tuple[str, int]]:
    """Each variable of a file that python-dotenv reads with another value, and its line from 1.

    A job that calls ``load_dotenv`` itself would get another value than the site, which deserves a warning.
    python-dotenv is loaded only for a text in which the two could differ at all. It takes ten seconds for 1 MiB, so
    unusually long texts are not compared.
    """
    if len(text) > _LONGEST_COMPARED or not re.search(_SUSPICIOUS, text):
        return
    from dotenv.parser import parse_stream

    theirs: dict[str, str | None] = {}
    for binding in parse_stream(io.StringIO(text.removeprefix("\ufeff"))):
        if binding.key is not None and not binding.error:
            theirs[binding.key] = binding.value
    entries, _ = parse_env(text)
    last = {entry.name: entry for entry in entries}
    for entry in last.values():
        same = entry.name in theirs and (theirs[entry.name] or "") == entry.text
        if not same or re.search(_BARE_REFERENCE, entry.text):
            yield entry.name, entry.line
