"""Writes the files of an export, and replaces them later unless they were edited."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from jobctl.errors import UsageError, reason_of
from jobctl.files import write_whole
from jobctl.text import quote

_EXECUTABLE_MODE = 0o755
RECORD = ".jobctl-export.json"
"""The record of the last exports: the SHA-256 and the platform of each file, by name."""


class FileChange(StrEnum):
    """What happens to a file. An ``edited`` one differs from the export, and is not touched."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    EDITED = "edited"


class ExportedFile(NamedTuple):
    """A file of an export; ``content`` None: it is no longer part of it."""

    name: str
    change: FileChange
    content: str | bytes | None = None


class Executable(bytes):
    """The content of an executable file."""


Contents = Mapping[str, str | bytes]
"""The content of each file, by name; text is UTF-8."""
_NONE: dict[str, str] = {}


class _Record(NamedTuple):
    """What exports wrote to a folder: digest and platform by name. Before version 0.9 no platform was recorded."""

    files: dict[str, str]
    platforms: dict[str, str]

    def of(self, platform: str, names: Contents) -> dict[str, str]:
        """The files of one platform."""
        return {
            name: digest
            for name, digest in self.files.items()
            if self.platforms.get(name, platform if name in names else None) == platform
        }


def compare(
    folder: Path, files: Contents, merged: Contents = _NONE, *, platform: str = ""
) -> list[ExportedFile]:
    """What ``write`` would do.

    Args:
        merged: files that others write too, with our part put in: never ``edited``, and not in the record.
        platform: what the files are for. Files of other platforms in the folder stay.

    Raises:
        UsageError: the folder cannot be read, or holds the export for another platform, which has the same file.
    """
    return _compare(folder, files, merged, platform, _read_record(folder))


def _compare(
    folder: Path, files: Contents, merged: Contents, platform: str, record: _Record
) -> list[ExportedFile]:
    for name, content in files.items():
        other = record.platforms.get(name, platform)
        if other != platform and record.files.get(name) != _hash(content):
            raise UsageError(
                f"{folder} holds the export for {other}, which has another {name}", hint="name another folder"
            )
    try:
        return list(_changes(folder, files, merged, record.of(platform, files)))
    except OSError as error:
        raise _unusable(folder, "read", error) from error


def write(
    folder: Path, files: Contents, merged: Contents = _NONE, *, platform: str = ""
) -> list[ExportedFile]:
    """Write new and changed files, and remove those that are no longer among them; edited ones stay.

    Raises:
        UsageError: the folder cannot be read or written, or holds the export for another platform, which has the
            same file.
    """
    before = _read_record(folder)
    own = before.of(platform, files)
    found = _compare(folder, files, merged, platform, before)
    try:
        for name, change, content in found:
            path = folder / name
            if change in {FileChange.CREATED, FileChange.CHANGED} and content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                mode = _EXECUTABLE_MODE if isinstance(content, Executable) else None
                # if the user made it a link, it stays one
                write_whole(path.resolve() if name in merged else path, _bytes(content), mode=mode)
            elif change is FileChange.REMOVED:
                path.unlink()
        after = {name: own[name] for name, change, _ in found if change is FileChange.EDITED and name in own}
        after |= {
            name: _hash(content)
            for name, change, content in found
            if content is not None and change is not FileChange.EDITED and name not in merged
        }
        others = {name: digest for name, digest in before.files.items() if name not in own}
        platforms = {name: before.platforms[name] for name in others if name in before.platforms}
        new = _Record(others | after, platforms | dict.fromkeys(after, platform))
        if new != before:
            record = json.dumps(
                {key: dict(sorted(part.items())) for key, part in new._asdict().items()}, indent=2
            )
            write_whole(folder / RECORD, f"{record}\n".encode())
    except OSError as error:
        raise _unusable(folder, "written", error) from error
    return found


def _changes(
    folder: Path, files: Contents, merged: Contents, record: Mapping[str, str]
) -> Iterator[ExportedFile]:
    for name, content in files.items():
        existing = _existing_hash(folder / name)
        change = FileChange.CHANGED if existing == record.get(name) else FileChange.EDITED
        if existing is None:
            change = FileChange.CREATED
        elif existing == _hash(content):
            change = FileChange.UNCHANGED
        yield ExportedFile(name, change, content)
    for name, content in merged.items():
        existing = _existing_hash(folder / name)
        change = FileChange.UNCHANGED if existing == _hash(content) else FileChange.CHANGED
        yield ExportedFile(name, FileChange.CREATED if existing is None else change, content)
    for name, written in record.items():
        if name not in files and (existing := _existing_hash(folder / name)) is not None:
            yield ExportedFile(name, FileChange.REMOVED if existing == written else FileChange.EDITED)


def _unusable(folder: Path, verb: str, error: OSError) -> UsageError:
    return UsageError(f"{quote(str(folder), 200)[1:-1]} cannot be {verb}: {reason_of(error)}")


def _existing_hash(path: Path) -> str | None:
    try:
        return _hash(path.read_bytes())
    except FileNotFoundError:
        return None


def _hash(content: str | bytes) -> str:
    return hashlib.sha256(_bytes(content)).hexdigest()


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _read_record(folder: Path) -> _Record:
    """The record; empty where it is not valid, so that every existing file counts as edited."""
    nothing = _Record({}, {})
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        files, platforms = found["files"], found.get("platforms", {})
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return nothing
    except OSError as error:
        raise _unusable(folder, "read", error) from error
    texts = all(
        isinstance(part, dict) and all(isinstance(value, str) for value in part.values())
        for part in (files, platforms)
    )
    is_valid = texts and not any(
        {"..", "\0"} & {*Path(name).parts, *name} or Path(name).is_absolute() for name in files
    )
    return _Record(files, platforms) if is_valid else nothing
