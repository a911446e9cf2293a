"""Settings collected: the process environment first, then ``.env`` files in Next.js's order, each with its place."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jobctl.errors import ConfigurationError
from jobctl.settings.dotenv import ExpansionError, expand, parse
from jobctl.settings.secret import shown
from jobctl.settings.variables import VARIABLES
from jobctl.text import quote

MAX_FILE = 1024 * 1024
_LONGEST = 128 * 1024
"""Bytes of ``NAME=value`` and its end, as Linux hands it to a process: execve(2), MAX_ARG_STRLEN."""
_MOST_WARNINGS = 20


class Source(NamedTuple):
    """Where a value comes from: ``process``, ``file``, ``default`` or ``none``."""

    kind: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        if self.kind == "file":
            return f"{self.file}:{self.line}"
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
    """A file that was looked for."""

    name: str
    found: bool
    variables: int


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


def collect(folder: Path, process: Mapping[str, str]) -> Collected:
    """Read the files of a folder for the ``NODE_ENV`` that holds there.

    ``NODE_ENV`` is the process's, else that of ``.env.local`` or ``.env`` (Next.js itself looks only at
    the process), else, or where it is no known one, ``development``.
    """
    reader = _Reader(folder, process)
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

    def __init__(self, folder: Path, process: Mapping[str, str]) -> None:
        self._folder = folder
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
            for entry in parse(self._read(name) or "")[0]:
                if entry.name == "NODE_ENV" and entry.text and not _unfit(*entry[:2]):
                    self._found["NODE_ENV"] = [(entry.text, Source("file", name, entry.line))]
                    return entry.text
        return None

    def take(self, name: str) -> None:
        """Read one file."""
        text = self._read(name)
        entries, faults = parse(text or "")
        self.files.append(EnvFile(name, text is not None, len({entry.name for entry in entries})))
        self.warnings.extend(
            f"{name}:{fault.line}: this line{_named(fault.text)} sets nothing; write NAME=value, or # before a comment"
            for fault in faults[:_MOST_WARNINGS]
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
                self.texts[name] = self._text_of(self._folder / name)
            except (OSError, UnicodeDecodeError, ValueError) as error:
                self.texts[name] = None
                reason = getattr(error, "strerror", None) or "it is not UTF-8"
                self.problems.append(ConfigurationError(f"it cannot be read: {reason}", where=name))
        return self.texts[name]

    def _text_of(self, path: Path) -> str | None:
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None
        except FileNotFoundError:
            return None
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise OSError(0, "it is larger than 1 MiB")
        return data.decode("utf-8")
