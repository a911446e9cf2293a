"""From one commit's files to another's: only what differs is written, each file whole or not at all."""

import errno
import os
import stat
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pygit2
from pygit2.enums import DeltaStatus, FileMode

from jobctl.errors import reason_of
from jobctl.text import quote

# A name that this file system cannot hold: passed over and told. Any other error, a full disk say, ends the sync.
_CANNOT_BE = {
    errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY,
}  # fmt: skip


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
        return sorted({*self.added, *self.changed, *self.removed})

    def then(self, later: Self) -> Self:
        """Both, one after the other."""
        self.added += later.added
        self.changed += later.changed
        self.removed += later.removed
        self.warnings += later.warnings
        return self


def changed_paths(
    repository: pygit2.Repository, old: pygit2.Tree | None, new: pygit2.Tree
) -> list[pygit2.DiffDelta]:
    """What differs between two commits' files; all of ``new`` where there is no ``old``."""
    if old is None:
        old = repository[repository.TreeBuilder().write()].peel(pygit2.Tree)
    return list(old.diff_to_tree(new).deltas)


def apply(repository: pygit2.Repository, folder: Path, deltas: Iterable[pygit2.DiffDelta]) -> Changes:
    """Bring a folder's files to the newer state. What is removed goes first.

    Raises:
        OSError: a file cannot be written.
    """
    changes = Changes()
    todo = list(deltas)
    for delta in todo:
        if delta.status is DeltaStatus.DELETED:
            path = delta.old_file.path
            if is_safe(path):
                _remove(folder, path)
                changes.removed.append(path)
    for delta in todo:
        if delta.status is not DeltaStatus.DELETED:
            _write(repository, folder, delta, changes)
    return changes


def clashing(repository: pygit2.Repository, folder: Path, deltas: Sequence[pygit2.DiffDelta]) -> list[str]:
    """Paths below a folder that are neither as the older state has them nor as the newer does.

    The bytes on disk are compared, not what git's filters make of them: they were written unfiltered.
    """
    removed = {delta.old_file.path for delta in deltas if delta.status is DeltaStatus.DELETED}
    found: dict[str, None] = {}
    for delta in deltas:
        goes = delta.status is DeltaStatus.DELETED
        file = delta.old_file if goes else delta.new_file
        if not is_safe(file.path) or file.mode == FileMode.COMMIT:
            continue
        above = _file_above(folder, file.path)
        if above is not None:
            if not goes and above not in removed:
                found[above] = None
        elif not _is_either(repository, folder, delta, removed):
            found[file.path] = None
    return list(found)


def is_passed_over(repository: pygit2.Repository, folder: Path, file: pygit2.DiffFile) -> bool:
    """Whether a commit's file is one that is never written here: that it is missing is nobody's change."""
    if not is_safe(file.path) or file.mode == FileMode.COMMIT:
        return True
    if file.mode != FileMode.LINK:
        return False
    target = os.fsdecode(repository[file.id].peel(pygit2.Blob).data)
    return not _stays_inside(folder, (folder / file.path).parent, target)


def fill_index(repository: pygit2.Repository, tree: pygit2.Tree) -> None:
    """Note a commit's files as what the folder holds; without those that must not be written."""
    index = repository.index
    try:
        index.read_tree(tree)
    except pygit2.GitError:  # a hostile path: take the others one by one
        index.clear()
        for delta in changed_paths(repository, None, tree):
            file = delta.new_file
            if is_safe(file.path):
                index.add(pygit2.IndexEntry(file.path, file.id, file.mode))
    index.write()


def _write(repository: pygit2.Repository, folder: Path, delta: pygit2.DiffDelta, changes: Changes) -> None:
    file = delta.new_file
    path, mode = file.path, file.mode
    if not is_safe(path):
        changes.warnings.append(f"passed over {quote(path)}: a path that must not be written")
        return
    if mode == FileMode.COMMIT:
        changes.warnings.append(f"passed over {quote(path)}: a submodule")
        return
    if is_passed_over(repository, folder, file):
        changes.warnings.append(f"passed over {quote(path)}: a link that leads outside")
        return
    data = repository[file.id].peel(pygit2.Blob).data
    try:
        target = _folder_for(folder, path) / path.rpartition("/")[2]
        _put(target, data, mode, Path(repository.path) / "jobctl-new")
    except OSError as error:
        if error.errno not in _CANNOT_BE:
            raise
        changes.warnings.append(f"passed over {quote(path)}: {reason_of(error)}")
        return
    (changes.added if delta.status is DeltaStatus.ADDED else changes.changed).append(path)


def _put(target: Path, data: bytes, mode: int, new: Path) -> None:
    """Written to ``new``, which is out of the site's sight, and renamed: a reader sees the old file or the new."""
    if is_folder(target):
        target.rmdir()  # only an empty one: the folder became a file
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
        if _is_in_the_way(place):
            place.unlink()
        place.mkdir(exist_ok=True)
    return place


def _remove(folder: Path, path: str) -> None:
    """Remove a file, and the folders that it leaves empty."""
    if _file_above(folder, path) is not None:
        return
    target = folder / path
    if is_folder(target):
        return
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in _CANNOT_BE:
            raise
        return
    place = target.parent
    while place != folder:
        try:
            place.rmdir()
        except OSError:
            return
        place = place.parent


def _file_above(folder: Path, path: str) -> str | None:
    """The first part of a path, the last one aside, that is there and is no folder."""
    place = folder
    for part in path.split("/")[:-1]:
        place /= part
        if _is_in_the_way(place):
            return place.relative_to(folder).as_posix()
    return None


def _is_either(
    repository: pygit2.Repository, folder: Path, delta: pygit2.DiffDelta, removed: Collection[str]
) -> bool:
    path = folder / delta.new_file.path
    states = [None if delta.status is DeltaStatus.ADDED else delta.old_file]
    states.append(None if delta.status is DeltaStatus.DELETED else delta.new_file)
    try:
        kind = path.lstat().st_mode
    except OSError:  # no such file, or one whose name cannot be
        return any(state is None or is_passed_over(repository, folder, state) for state in states)
    if stat.S_ISDIR(kind):  # a file becomes a folder, or a folder of which nothing is left becomes a file
        inside = (one.relative_to(folder).as_posix() for one in path.rglob("*") if not is_folder(one))
        return delta.status is DeltaStatus.DELETED or all(one in removed for one in inside)
    link = stat.S_ISLNK(kind)
    if not (link or stat.S_ISREG(kind)):
        return False
    data = os.fsencode(path.readlink()) if link else path.read_bytes()
    found = pygit2.hash(data)
    return any(
        state is not None and state.id == found and (state.mode == FileMode.LINK) == link for state in states
    )


def is_folder(path: Path) -> bool:
    """Whether a folder is there, and no link to one."""
    return os.path.isdir(path) and not os.path.islink(path)  # noqa: PTH112, PTH114 - False for what no path can be


def _is_in_the_way(place: Path) -> bool:
    """Whether something other than a folder is there."""
    return os.path.lexists(place) and not is_folder(place)


def is_safe(path: str) -> bool:
    """Whether a path of a commit may be written: below the folder, and nothing of git's own."""
    parts = path.split("/")
    return not path.startswith("/") and "\0" not in path and not any(_is_risky(part) for part in parts)


def _is_risky(part: str) -> bool:
    # macOS leaves characters without width out of a name when it looks one up
    plain = "".join(one for one in part if one.isprintable()).rstrip(". ").lower()
    return plain in {"", ".", "..", ".git", "git~1"} or part in {".", ".."}


def _stays_inside(folder: Path, beside: Path, target: str) -> bool:
    parts = target.split("/")
    up = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    if os.path.isabs(target) or ".." in parts[up:]:  # noqa: PTH117 - a link's text is no path of ours
        return False  # a later ".." would start from wherever another link leads
    whole = Path(os.path.normpath(beside / target))
    return whole.is_relative_to(folder) and ".git" not in whole.relative_to(folder).parts
