"""From one commit's files to another's: only what differs is written, each file whole or not at all."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pygit2
from pygit2.enums import DeltaStatus, FileMode

from jobctl.text import quote


@dataclass(slots=True)
class Changes:
    """Paths by what happened to them, and what was passed over."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """All of them, sorted."""
        return sorted([*self.added, *self.changed, *self.removed])


def changed_paths(
    repository: pygit2.Repository, old: pygit2.Tree | None, new: pygit2.Tree
) -> list[pygit2.DiffDelta]:
    """What differs between two commits' files; all of ``new`` where there is no ``old``."""
    if old is None:
        old = repository[repository.TreeBuilder().write()].peel(pygit2.Tree)
    return list(old.diff_to_tree(new).deltas)


def apply(repository: pygit2.Repository, folder: Path, deltas: Iterable[pygit2.DiffDelta]) -> Changes:
    """Bring a folder's files to the newer state. What is removed goes first."""
    changes = Changes()
    todo = list(deltas)
    for delta in todo:
        if delta.status is DeltaStatus.DELETED:
            path = delta.old_file.path
            if _is_safe(path):
                _remove(folder, path)
                changes.removed.append(path)
    for delta in todo:
        if delta.status is not DeltaStatus.DELETED:
            _write(repository, folder, delta, changes)
    return changes


def fill_index(repository: pygit2.Repository, tree: pygit2.Tree) -> None:
    """Note a commit's files as what the folder holds; without those that must not be written."""
    index = repository.index
    try:
        index.read_tree(tree)
    except pygit2.GitError:  # a hostile path: take the others one by one
        index.clear()
        for delta in changed_paths(repository, None, tree):
            file = delta.new_file
            if _is_safe(file.path):
                index.add(pygit2.IndexEntry(file.path, file.id, file.mode))
    index.write()


def _write(repository: pygit2.Repository, folder: Path, delta: pygit2.DiffDelta, changes: Changes) -> None:
    path, mode = delta.new_file.path, delta.new_file.mode
    if not _is_safe(path):
        changes.warnings.append(f"passed over {quote(path)}: a path that must not be written")
        return
    if mode == FileMode.COMMIT:
        changes.warnings.append(f"passed over {quote(path)}: a submodule")
        return
    data = repository[delta.new_file.id].peel(pygit2.Blob).data
    try:
        target = _folder_for(folder, path) / path.rpartition("/")[2]
        if mode == FileMode.LINK and not _stays_inside(folder, target.parent, os.fsdecode(data)):
            changes.warnings.append(f"passed over {quote(path)}: a link that leads outside")
            return
        _put(target, data, mode)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        changes.warnings.append(f"passed over {quote(path)}: {reason}")
        return
    (changes.added if delta.status is DeltaStatus.ADDED else changes.changed).append(path)


def _put(target: Path, data: bytes, mode: int) -> None:
    """Written beside and renamed, so that a reader sees the old file or the new one."""
    if target.is_dir() and not target.is_symlink():
        target.rmdir()  # only an empty one: the folder became a file
    new = target.with_name(f".jobctl-{os.getpid()}.new")
    new.unlink(missing_ok=True)
    if mode == FileMode.LINK:
        new.symlink_to(os.fsdecode(data))
    else:
        descriptor = os.open(
            new,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW,
            0o755 if mode == FileMode.BLOB_EXECUTABLE else 0o644,
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    new.replace(target)


def _folder_for(folder: Path, path: str) -> Path:
    """The folder that a path's file belongs in, made where needed; never through a link."""
    place = folder
    for part in path.split("/")[:-1]:
        place /= part
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            place.unlink()
        place.mkdir(exist_ok=True)
    return place


def _remove(folder: Path, path: str) -> None:
    """Remove a file, and the folders that it leaves empty."""
    place = folder
    for part in path.split("/")[:-1]:
        place /= part
        if place.is_symlink() or not place.is_dir():
            return
    target = folder / path
    if target.is_dir() and not target.is_symlink():
        return
    target.unlink(missing_ok=True)
    while place != folder:
        try:
            place.rmdir()
        except OSError:
            return
        place = place.parent


def _is_safe(path: str) -> bool:
    parts = path.split("/")
    return not path.startswith("/") and "\0" not in path and not any(_is_risky(part) for part in parts)


def _is_risky(part: str) -> bool:
    plain = part.rstrip(". ").lower()
    return plain in {"", ".", "..", ".git", "git~1"} or part in {".", ".."}


def _stays_inside(folder: Path, beside: Path, target: str) -> bool:
    if os.path.isabs(target):  # noqa: PTH117 - a link's text is no path of ours
        return False
    whole = os.path.normpath(beside / target)
    return Path(whole).is_relative_to(folder)
