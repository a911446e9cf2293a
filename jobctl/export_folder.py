"""A folder of files that are ours to write again, until somebody edits one: then it is theirs."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from jobctl.errors import UsageError, reason_of
from jobctl.files import write_whole
from jobctl.text import quote

PROGRAM_FILE = 0o755
RECORD = ".jobctl-export.json"
"""What was written last, by name: the SHA-256 of each file."""


class Fate(StrEnum):
    """What becomes of one file."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    EDITED = "edited"


class Written(NamedTuple):
    """One file and its fate. An ``edited`` one is not as we would write it, and is left alone."""

    name: str
    fate: Fate


class Program(bytes):
    """The content of a file that may be executed."""


Contents = Mapping[str, str | bytes]
"""What is to be in each file; text is UTF-8."""
_NONE: dict[str, str] = {}


def compare(folder: Path, files: Contents, merged: Contents = _NONE) -> list[Written]:
    """What writing these files would do; nothing is changed.

    Args:
        merged: files that others write in too, with our part put in: never somebody's own, and not in the record.

    Raises:
        UsageError: the folder cannot be read.
    """
    return [Written(name, fate) for name, fate, _ in _fates(folder, files, merged, _record(folder))]


def write(folder: Path, files: Contents, merged: Contents = _NONE) -> list[Written]:
    """Write what is new or has changed; a file that somebody edited, or that was there before, stays.

    A file that is no longer among them goes, unless it was edited.

    Raises:
        UsageError: the folder cannot be written.
    """
    before = _record(folder)
    found = _fates(folder, files, merged, before)
    try:
        for name, fate, text in found:
            path = folder / name
            if fate in {Fate.CREATED, Fate.CHANGED} and text is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                mode = PROGRAM_FILE if isinstance(text, Program) else None
                # a link of the user's stays one
                write_whole(path.resolve() if name in merged else path, _bytes(text), mode=mode)
            elif fate is Fate.REMOVED:
                path.unlink()
        after = {name: before[name] for name, fate, _ in found if fate is Fate.EDITED and name in before}
        after |= {
            name: _hash(text)
            for name, fate, text in found
            if text is not None and fate is not Fate.EDITED and name not in merged
        }
        if after != before:
            kept = json.dumps({"files": dict(sorted(after.items()))}, indent=2)
            write_whole(folder / RECORD, f"{kept}\n".encode())
    except OSError as error:
        raise _cannot(folder, "written", error) from error
    return [Written(name, fate) for name, fate, _ in found]


def _fates(
    folder: Path, files: Contents, merged: Contents, record: Mapping[str, str]
) -> list[tuple[str, Fate, str | bytes | None]]:
    try:
        return list(_each(folder, files, merged, record))
    except OSError as error:
        raise _cannot(folder, "read", error) from error


def _each(
    folder: Path, files: Contents, merged: Contents, record: Mapping[str, str]
) -> Iterator[tuple[str, Fate, str | bytes | None]]:
    for name, text in files.items():
        there = _there(folder / name)
        if there is None:
            yield name, Fate.CREATED, text
        elif there == _hash(text):
            yield name, Fate.UNCHANGED, text
        else:
            yield name, Fate.CHANGED if there == record.get(name) else Fate.EDITED, text
    for name, text in merged.items():
        there = _there(folder / name)
        fate = Fate.UNCHANGED if there == _hash(text) else Fate.CHANGED
        yield name, Fate.CREATED if there is None else fate, text
    for name, written in record.items():
        if name not in files and (there := _there(folder / name)) is not None:
            yield name, Fate.REMOVED if there == written else Fate.EDITED, None


def _cannot(folder: Path, what: str, error: OSError) -> UsageError:
    return UsageError(f"{quote(str(folder), 200)[1:-1]} cannot be {what}: {reason_of(error)}")


def _there(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def _hash(content: str | bytes) -> str:
    return hashlib.sha256(_bytes(content)).hexdigest()


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _record(folder: Path) -> dict[str, str]:
    """What was written last; a record that is none makes every file somebody's own."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    except OSError as error:
        raise _cannot(folder, "read", error) from error
    plain = isinstance(found, dict) and all(
        isinstance(one, str)
        and not {"..", "\0"} & {*Path(name).parts, *name}
        and not Path(name).is_absolute()
        for name, one in found.items()
    )
    return found if plain else {}
