"""Brings the folder's files from one commit to another: writes only what differs, each file completely or not at all."""

import errno
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pygit2
from pygit2.enums import FileMode

from jobctl.errors import reason_of
from jobctl.site.content.snapshot import BROKEN, CommitFile, Delta, Snapshots
from jobctl.text import counted, quote

_LFS = b"version https://git-lfs.github.com/spec/"
_LFS_LONGEST = 1024
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
# a name that this file system cannot hold is skipped; any other error, as a full disk, ends the sync
_IMPOSSIBLE = {
    errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY,
}  # fmt: skip


@dataclass(slots=True)
class Changes:
    """Changed paths, and what was skipped: warnings for people, and the paths.

    Attributes:
        pointers: files that stand for content in Git LFS.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)
    pointers: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """All changed paths, sorted."""
        return sorted({*self.added, *self.changed, *self.removed})

    def then(self, later: Self) -> Self:
        """Add later changes."""
        self.added += later.added
        self.changed += later.changed
        self.removed += later.removed
        self.warnings += later.warnings
        self.skipped |= later.skipped
        return self

    def skip(self, path: str, reason: str, known: Collection[str]) -> None:
        """Record a skipped path; a path that was skipped before (``known``) gets no warning."""
        self.skipped.add(path)
        if path not in known:
            self.warnings.append(skip_warning(path, reason))


def skip_warning(path: str, reason: str) -> str:
    """The sentence for a skipped path."""
    return f"skipped {quote(path)}: {reason}"


def apply(deltas: Iterable[Delta], snapshots: Snapshots, known: Collection[str] = ()) -> Changes:
    """Bring the folder's files to the newer state. Removes first, and writes links last.

    Args:
        known: paths that were skipped before: they get no warning if they are skipped again.

    Raises:
        OSError: a file cannot be written.
    """
    folder, changes, todo = snapshots.folder, Changes(), list(deltas)
    for path, _, file in todo:
        if file is None:
            _remove(folder, path)
            changes.removed.append(path)
    links = [delta for delta in todo if delta.new is not None and delta.new.mode == FileMode.LINK]
    files = [delta for delta in todo if delta.new is not None and delta.new.mode != FileMode.LINK]
    writer = _Writer(snapshots, changes, known)
    for path, old, file in (*files, *links):
        if file is not None:
            writer.write(path, file, changes.added if old is None else changes.changed)
    written = {*changes.added, *changes.changed}
    for delta in links:
        if delta.path in written and (reason := _link_fault(folder / delta.path)):
            (folder / delta.path).unlink()
            (changes.added if delta.old is None else changes.changed).remove(delta.path)
            changes.skip(delta.path, reason, known)
    if changes.pointers:
        number = counted(len(changes.pointers), "file")
        changes.warnings.append(
            f"{number} ({quote(changes.pointers[0])} first) are pointers of Git LFS, whose content jobctl does not fetch"
        )
    return changes


def clashing(deltas: Collection[Delta], snapshots: Snapshots) -> list[str]:
    """Paths in the folder that are neither in the older state nor in the newer one: local changes.

    Compares the bytes on disk, without git's filters: they were written without them.
    """
    folder, removed = snapshots.folder, {delta.path for delta in deltas if delta.new is None}
    found: dict[str, None] = {}
    for delta in deltas:
        path = delta.path
        if path in snapshots.absent and not os.path.lexists(folder / path):
            continue
        above = _file_above(folder, path)
        if above is not None:
            if delta.new is not None and above not in removed:
                found[above] = None
        elif not _is_old_or_new(delta, removed, snapshots):
            found[path] = None
    return list(found)


def is_same(path: Path, states: Collection[CommitFile]) -> bool:
    """Whether the file or link at a path is one of some files, by its bytes; times and modes do not count."""
    try:
        found = path.lstat()
        link = stat.S_ISLNK(found.st_mode)
        if not (link or stat.S_ISREG(found.st_mode)):
            return False
        ids = [state.id for state in states if (state.mode == FileMode.LINK) == link]
        if not ids:
            return False
        return (pygit2.hash(os.fsencode(path.readlink())) if link else pygit2.hashfile(str(path))) in ids
    except OSError:
        return False


def files_in(folder: Path) -> Iterator[Path]:
    """All files and links below a folder, without its ``.git``. Follows no link."""
    left = [folder]
    while left:
        current = left.pop()
        with os.scandir(current) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)
                elif current != folder or entry.name != ".git":
                    left.append(Path(entry.path))


def fill_index(tree: pygit2.Tree, snapshots: Snapshots) -> None:
    """Set the index to a commit's files, without those that must not be written."""
    index = snapshots.repository.index
    if snapshots.plain:
        index.read_tree(tree)
    else:  # libgit2 would refuse an invalid path, or recurse without end
        index.clear()
        for path, file in snapshots.files(tree).items():
            index.add(pygit2.IndexEntry(path, file.id, FileMode(file.mode)))
    index.write()


def is_folder(path: Path | str) -> bool:
    """Whether the path is a folder, and not a link to one."""
    return os.path.isdir(path) and not os.path.islink(path)  # noqa: PTH112, PTH114 - False for an impossible path


class _Writer:
    """Writes files of a commit into the folder.

    A file is written where the site does not read, and renamed: a reader sees the old file or the new one. A folder
    without a commit has no reader yet: there, each file is written at its place.
    """

    def __init__(self, snapshots: Snapshots, changes: Changes, known: Collection[str]) -> None:
        self._snapshots = snapshots
        self._changes = changes
        self._known = known
        repository = snapshots.repository
        self._temporary = None if repository.head_is_unborn else Path(repository.path, "jobctl-new")
        self._folders = {""}

    def write(self, path: str, file: CommitFile, written: list[str]) -> None:
        """Write a file and add its path to ``written``, or skip it."""
        snapshots, changes = self._snapshots, self._changes
        try:
            fault = snapshots.fault(path, file)
            if fault is not None:
                changes.skip(path, fault, self._known)
                return
            data = memoryview(snapshots.repository[file.id].peel(pygit2.Blob))
        except BROKEN:
            if not snapshots.tolerates(path):
                raise
            changes.skip(path, "it is missing or damaged in the repository", self._known)
            return
        try:
            self._make_folder(path.rpartition("/")[0])
            _put(f"{snapshots.folder}/{path}", data, file.mode, self._temporary)
        except OSError as error:
            if error.errno not in _IMPOSSIBLE | (_NO_LINKS if file.mode == FileMode.LINK else set()):
                raise
            changes.skip(path, reason_of(error), self._known)
            return
        written.append(path)
        if len(data) < _LFS_LONGEST and data[: len(_LFS)] == _LFS:
            changes.pointers.append(path)

    def _make_folder(self, path: str) -> None:
        """Create a folder and its parents, if needed; never through a link."""
        if path in self._folders:
            return
        self._make_folder(path.rpartition("/")[0])
        self._folders.add(path)
        place = f"{self._snapshots.folder}/{path}"
        try:
            os.mkdir(place)  # noqa: PTH102 - once for each folder of a repository
        except FileExistsError:
            if not is_folder(place):
                Path(place).unlink()
                Path(place).mkdir()


def _put(target: str, data: memoryview, mode: int, temporary: Path | None) -> None:
    place: str | Path = target
    if temporary is not None:
        place = temporary
        temporary.unlink(missing_ok=True)
        if is_folder(target):
            Path(target).rmdir()  # only an empty one: the folder became a file
    if mode == FileMode.LINK:
        Path(place).symlink_to(os.fsdecode(bytes(data)))
    else:
        descriptor = os.open(place, _NEW_FILE, 0o755 if mode == FileMode.BLOB_EXECUTABLE else 0o644)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)
    if temporary is not None:
        temporary.replace(target)


def _link_fault(link: Path) -> str | None:
    """Why a link must not stay, as a clause: it is broken, or a reader would follow it forever."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a broken link"
    return "a link to a folder that contains it" if link.parent.resolve().is_relative_to(target) else None


def _remove(folder: Path, path: str) -> None:
    """Remove a file, and the folders that become empty."""
    target = folder / path
    if _file_above(folder, path) is not None or is_folder(target):
        return
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in _IMPOSSIBLE:
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
    """The first parent of a path that exists and is not a folder."""
    place = folder
    for part in path.split("/")[:-1]:
        place /= part
        if os.path.lexists(place) and not is_folder(place):
            return place.relative_to(folder).as_posix()
    return None


def _is_old_or_new(delta: Delta, removed: Collection[str], snapshots: Snapshots) -> bool:
    folder, path = snapshots.folder, snapshots.folder / delta.path
    states = [file for file in (delta.old, delta.new) if file is not None]
    try:
        kind = path.lstat().st_mode
    except OSError:  # no such file, or an impossible name
        return len(states) < 2 or any(snapshots.fault(delta.path, file) for file in states)
    if stat.S_ISDIR(kind):  # a file becomes a folder, or a folder of removed files becomes a file
        inside = (file.relative_to(folder).as_posix() for file in path.rglob("*") if not is_folder(file))
        return delta.new is None or all(name in removed for name in inside)
    return is_same(path, states)
