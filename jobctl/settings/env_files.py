"""The ``.env`` files, read in Next.js's order and by Next.js's grammar, each value with its file and line."""

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
from jobctl.settings.masking import shown
from jobctl.settings.variables import VARIABLES
from jobctl.text import quote
from jobctl.trust import demand_trusted, platform_owns_files

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


class Assignment(NamedTuple):
    """An assignment and the line, from 1, that its name stands on. ``is_open``: its first quote is not closed."""

    name: str
    text: str
    line: int
    is_open: bool = False


class BrokenLine(NamedTuple):
    """A line that nothing could be made of."""

    line: int
    text: str


class ExpansionError(ValueError):
    """A file's values cannot be expanded; says why, as a clause."""


def parse_env(text: str) -> tuple[list[Assignment], list[BrokenLine]]:
    """Every assignment in order, not yet expanded, and the lines that are neither that nor a comment."""
    entries: list[Assignment] = []
    faults: list[BrokenLine] = []
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
        entries.append(Assignment(match["key"], value, line, is_open))
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


def _left_over(text: str, line: int) -> list[BrokenLine]:
    return [
        BrokenLine(number, one.strip())
        for number, one in enumerate(text.split("\n"), start=line)
        if one.strip(_BLANKS) and not one.strip(_BLANKS).startswith("#")
    ]


MAX_FILE = 1024 * 1024
PIPE_TIMEOUT_S = 30
"""How long a program may take to write into a named pipe: a password manager may ask its user first."""
_LONGEST = 128 * 1024
"""Bytes of ``NAME=value`` and its end, as Linux hands it to a process: execve(2), MAX_ARG_STRLEN."""
_MOST_WARNINGS = 20


class Source(NamedTuple):
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


class Value(NamedTuple):
    """A variable's text and its place; ``hidden`` are the places whose values lost."""

    name: str
    text: str | None
    source: Source
    hidden: tuple[Source, ...] = ()

    @property
    def shown(self) -> str | None:
        """For people: quoted so that blanks show, secrets masked."""
        if self.text is None:
            return None
        return shown(self.name, self.text)


class EnvFile(NamedTuple):
    """A file that was looked for.

    Attributes:
        found: whether something of that name is there, of whatever kind.
        passed_over: why nothing of it counts, though it is there, as a clause; empty where it was read.
    """

    name: str
    found: bool
    variables: int
    passed_over: str = ""


PROCESS = Source("process")
NOT_SET = Source("none")


class Collected(NamedTuple):
    """What was found.

    Attributes:
        problems: a file that cannot be read, a value that no process can be given.
        warnings: lines that set nothing, which Next.js passes over.
        texts: of each file, None where there is none.
    """

    values: Mapping[str, Value]
    files: tuple[EnvFile, ...]
    problems: tuple[ConfigurationError, ...]
    warnings: tuple[str, ...]
    texts: Mapping[str, str | None]


def collect(folder: Path, process: Mapping[str, str], *, pipes: bool = True) -> Collected:
    """Read the files of a folder for the ``NODE_ENV`` that holds there.

    A file may be a named pipe, as password managers mount one: it is read once, which takes up to
    30 seconds and then is a problem.

    ``NODE_ENV`` is the process's, else that of ``.env.local`` or ``.env`` (Next.js itself looks only at
    the process), else, or where it is no known one, ``development``.

    Args:
        pipes: False passes over named pipes: for a process whose environment holds what they said.
    """
    reader = _Reader(folder, process, pipes=pipes)
    node_env = (process.get("NODE_ENV") or reader.take_node_env() or "").strip()
    if node_env not in VARIABLES["NODE_ENV"].choices:  # told by ``check``; no part of a file's name
        node_env = "development"
    names = (f".env.{node_env}.local", ".env.local", f".env.{node_env}", ".env")
    for name in names:
        if name != ".env.local" or node_env != "test":
            reader.take(name)
    return Collected(
        reader.values(), tuple(reader.files), tuple(reader.problems), tuple(reader.warnings), reader.texts
    )


def _named(line: str) -> str:
    """The variable that a broken line seems to be about; never more of it, since it may hold a secret."""
    word = line.partition("=")[0].partition(" ")[0]
    return f" ({word[:40]})" if word.isidentifier() and word.isupper() and "_" in word else ""


def _unfit(name: str, value: str) -> str | None:
    """Why no process can be given a variable, as the rest of a sentence; None where one can."""
    if "\0" in value:
        return "holds a zero character, which no variable can"
    if len(name) + len(value.encode()) + 2 > _LONGEST:
        return f"is longer than {_LONGEST // 1024} KiB, which no process can be given"
    return None


class _Reader:
    """Collects values from the process and file after file, the first to name one wins."""

    def __init__(self, folder: Path, process: Mapping[str, str], *, pipes: bool) -> None:
        self._folder = folder
        self._pipes = pipes
        self._passed_over: dict[str, str] = {}
        self._process = process
        self._running = dict(process)  # what ``$NAME`` finds: grows from file to file
        self._found: dict[str, list[tuple[str, Source]]] = {}
        self.texts: dict[str, str | None] = {}
        self.files: list[EnvFile] = []
        self.problems: list[ConfigurationError] = []
        self.warnings: list[str] = []

    def take_node_env(self) -> str | None:
        """What ``.env.local`` or ``.env`` say of ``NODE_ENV``: kept, for ``.env.local`` may then not be read."""
        for name in (".env.local", ".env"):
            for entry in parse_env(self._read(name) or "")[0]:
                if entry.name == "NODE_ENV" and entry.text and not _unfit(*entry[:2]):
                    self._found["NODE_ENV"] = [(entry.text, Source("file", name, entry.line))]
                    return entry.text
        return None

    def take(self, name: str) -> None:
        """Read one file."""
        text = self._read(name)
        entries, faults = parse_env(text or "")
        passed_over = self._passed_over.get(name, "")
        found = text is not None or os.path.lexists(self._folder / name)
        self.files.append(EnvFile(name, found, len({entry.name for entry in entries}), passed_over))
        self.warnings.extend(
            f"{name}:{fault.line}: this line{_named(fault.text)} sets nothing; write NAME=value, or # before a comment"
            for fault in faults[:_MOST_WARNINGS]
        )
        self.warnings.extend(
            f"unclosed quote in {entry.name} ({name}:{entry.line}): it counts as a part of the value"
            for entry in [one for one in entries if one.is_open][:_MOST_WARNINGS]
        )
        if len(faults) > _MOST_WARNINGS:
            self.warnings.append(f"{name}: {len(faults) - _MOST_WARNINGS} more lines set nothing")
        values = {entry.name: entry.text for entry in entries}
        try:
            expand(values, self._running)
        except ExpansionError as error:
            self.problems.append(ConfigurationError(str(error), where=name))
            return
        lines = {entry.name: entry.line for entry in entries}
        for key, value in values.items():
            if key == "NODE_ENV" and self._found.get(key, [("", PROCESS)])[0][1].file == name:
                continue
            source = Source("file", name, lines[key])
            if reason := _unfit(key, value):
                self.problems.append(ConfigurationError(f"{quote(key)[1:-1]} {reason}", where=str(source)))
            else:
                self._found.setdefault(key, []).append((value, source))

    def values(self) -> dict[str, Value]:
        """The winners, with the places of those that lost."""
        found = {
            name: Value(name, self._running.get(name, text), PROCESS) for name, text in self._process.items()
        }
        for name, given in self._found.items():
            places = tuple(source for _, source in given)
            if name in found:
                found[name] = found[name]._replace(hidden=places)
            else:
                found[name] = Value(name, given[0][0], places[0], places[1:])
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
        """What a file says, as Next.js reads it: files and pipes, what is not UTF-8 replaced."""
        path = self._folder / name
        try:
            # a pipe that nothing writes into would be waited for, perhaps for ever
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            if os.path.lexists(path):
                self._passed_over[name] = "a link that leads nowhere"
            return None
        except OSError as error:
            if error.errno in {errno.ENXIO, errno.EOPNOTSUPP}:  # by open(2)
                self._passed_over[name] = "a socket"
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
                self._passed_over[name] = "a folder" if stat.S_ISDIR(mode) else "no plain file"
                return None
        finally:
            os.close(descriptor)
        return self._decoded(name, data)

    def _decoded(self, name: str, data: bytes) -> str | None:
        if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            self._passed_over[name] = "UTF-16 text (save it as UTF-8)"
            return None
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.warnings.append(f"{name}:{line}: this line is not UTF-8; what is not is read as \ufffd")
            return data.decode("utf-8", "replace")


def _from_pipe(descriptor: int) -> bytes:
    """All that is written into a named pipe until its writer closes it.

    Raises:
        OSError: nothing came for 30 seconds, or too much.
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
                    f"it is a pipe, and no program wrote into it and closed it within {PIPE_TIMEOUT_S} s",
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


_SUSPICIOUS = re.compile(
    r"[$`\\] | \S\# | ^[^\S\n]*(?:export\s+)?[\w.-]+\s*:\s | [\"'].*[\"'].*[\"'] | =\s*[\"'][^\"'\n]*$",
    re.MULTILINE | re.VERBOSE,
)
_LONGEST_COMPARED = 64 * 1024
_BARE_REFERENCE = re.compile(r"(?<!\\)\$[A-Za-z_]|\\\$")


def read_otherwise(text: str) -> Iterator[tuple[str, int]]:
    """Each variable of a file whose value differs, with its line from 1.

    python-dotenv is loaded only for a text in which the two could differ at all. It takes ten seconds for
    1 MiB, so a text that is longer than any real one is not compared.
    """
    if len(text) > _LONGEST_COMPARED or not _SUSPICIOUS.search(text):
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
        if not same or _BARE_REFERENCE.search(entry.text):
            yield entry.name, entry.line
