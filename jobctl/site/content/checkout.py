"""From one commit's files to another's: only what differs is written, each file whole or not at all."""

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
from jobctl.site.content.snapshot import BROKEN, Delta, File, Snapshots
from jobctl.text import counted, quote

_LFS = b"version https://git-lfs.github.com/spec/"
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}

# A name that this file system cannot hold: passed over and told. Any other error, a full disk say, ends the sync.
_CANNOT_BE = {
    errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY,
}  # fmt: skip


@dataclass(slots=True)
class Changes:
    """Paths by what happened to them, and what was passed over: in words, and the paths of files."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    passed_over: set[str] = field(default_factory=set)
    pointers: list[str] = field(default_factory=list)

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
        self.passed_over |= later.passed_over
        return self


def apply(deltas: Iterable[Delta], snapshots: Snapshots, again: Collection[str] = ()) -> Changes:
    """Bring the folder's files to the newer state. What is removed goes first, links come last.

    Args:
        again: paths that were passed over before: nothing is said where they still are.

    Raises:
        OSError: a file cannot be written.
    """
    folder, changes, todo = snapshots.folder, Changes(), list(deltas)
    for path, _, new in todo:
        if new is None:
            _remove(folder, path)
            changes.removed.append(path)
    links: list[Delta] = []
    for delta in todo:
        if delta.new is not None and delta.new.mode == FileMode.LINK:
            links.append(delta)
        elif delta.new is not None:
            _write(delta, changes, snapshots, again)
    for delta in links:
        _write(delta, changes, snapshots, again)
    written = {*changes.added, *changes.changed}
    for delta in links:
        if delta.path in written and (reason := _leads_nowhere(folder / delta.path)):
            (folder / delta.path).unlink()
            (changes.added if delta.old is None else changes.changed).remove(delta.path)
            _pass_over(changes, delta.path, reason, again)
    if changes.pointers:
        number = counted(len(changes.pointers), "file")
        changes.warnings.append(
            f"{number} ({quote(changes.pointers[0])} first) stand for content in Git LFS, which jobctl does not fetch"
        )
    return changes


def clashing(deltas: Collection[Delta], snapshots: Snapshots) -> list[str]:
    """Paths below the folder that are neither as the older state has them nor as the newer does.

    The bytes on disk are compared, not what git's filters make of them: they were written unfiltered.
    """
    folder, removed = snapshots.folder, {delta.path for delta in deltas if delta.new is None}
    found: dict[str, None] = {}
    for delta in deltas:
        path, goes = delta.path, delta.new is None
        if path in snapshots.absent and not os.path.lexists(folder / path):
            continue
        above = _file_above(folder, path)
        if above is not None:
            if not goes and above not in removed:
                found[above] = None
        elif not _is_either(delta, removed, snapshots):
            found[path] = None
    return list(found)


def is_same(path: Path, states: Collection[File]) -> bool:
    """Whether what is at a path is one of some files, by its bytes; times and modes may be anybody's."""
    try:
        found = path.lstat()
        link = stat.S_ISLNK(found.st_mode)
        if not (link or stat.S_ISREG(found.st_mode)):
            return False
        alike = [one.id for one in states if (one.mode == FileMode.LINK) == link]
        if not alike:
            return False
        return (pygit2.hash(os.fsencode(path.readlink())) if link else pygit2.hashfile(str(path))) in alike
    except OSError:
        return False


def files_in(folder: Path) -> Iterator[Path]:
    """All that is no folder below one, but for its own ``.git``. No link is followed."""
    left = [folder]
    while left:
        here = left.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if here != folder or entry.name != ".git":
                        left.append(Path(entry.path))
                else:
                    yield Path(entry.path)


def fill_index(tree: pygit2.Tree, snapshots: Snapshots) -> None:
    """Note a commit's files as what the folder holds; without those that must not be written."""
    index = snapshots.repository.index
    if snapshots.plain:
        index.read_tree(tree)
    else:  # libgit2 would refuse a bad path, or descend without end
        index.clear()
        for path, file in snapshots.files(tree).items():
            index.add(pygit2.IndexEntry(path, file.id, FileMode(file.mode)))
    index.write()


def _write(delta: Delta, changes: Changes, snapshots: Snapshots, again: Collection[str]) -> None:
    path, old, file = delta
    if file is None:
        return
    try:
        fault = snapshots.fault(path, file)
        if fault is not None:
            _pass_over(changes, path, fault, again)
            return
        blob = snapshots.repository[file.id].peel(pygit2.Blob)
    except BROKEN:
        if not snapshots.tolerates(path):
            raise
        _pass_over(changes, path, "it is missing or damaged in the repository", again)
        return
    try:
        target = _folder_for(snapshots.folder, path) / path.rpartition("/")[2]
        _put(target, memoryview(blob), file.mode, Path(snapshots.repository.path) / "jobctl-new")
    except OSError as error:
        if error.errno not in _CANNOT_BE | (_NO_LINKS if file.mode == FileMode.LINK else set()):
            raise
        _pass_over(changes, path, reason_of(error), again)
        return
    (changes.added if old is None else changes.changed).append(path)
    if blob.size < 1024 and bytes(memoryview(blob)[: len(_LFS)]) == _LFS:
        changes.pointers.append(path)


def _pass_over(changes: Changes, path: str, reason: str, again: Collection[str]) -> None:
    changes.passed_over.add(path)
    if path not in again:
        changes.warnings.append(f"passed over {quote(path)}: {reason}")


def _leads_nowhere(link: Path) -> str | None:
    """Whether a link leads to nothing, in a circle, or to a folder that it is in, which a reader would walk forever."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    return (
        "a link that leads to a folder that it is in"
        if link.parent.resolve().is_relative_to(target)
        else None
    )


def _put(target: Path, data: memoryview, mode: int, new: Path) -> None:
    """Written to ``new``, which is out of the site's sight, and renamed: a reader sees the old file or the new."""
    if is_folder(target):
        target.rmdir()  # only an empty one: the folder became a file
    new.unlink(missing_ok=True)
    if mode == FileMode.LINK:
        new.symlink_to(os.fsdecode(bytes(data)))
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
        if not is_folder(place):
            place.unlink(missing_ok=True)  # what is in the way
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


def _is_either(delta: Delta, removed: Collection[str], snapshots: Snapshots) -> bool:
    folder, path = snapshots.folder, snapshots.folder / delta.path
    states = [one for one in (delta.old, delta.new) if one is not None]
    try:
        kind = path.lstat().st_mode
    except OSError:  # no such file, or one whose name cannot be
        return len(states) < 2 or any(snapshots.fault(delta.path, one) for one in states)
    if stat.S_ISDIR(kind):  # a file becomes a folder, or a folder of which nothing is left becomes a file
        inside = (one.relative_to(folder).as_posix() for one in path.rglob("*") if not is_folder(one))
        return delta.new is None or all(one in removed for one in inside)
    return is_same(path, states)


def is_folder(path: Path) -> bool:
    """Whether a folder is there, and no link to one."""
    return os.path.isdir(path) and not os.path.islink(path)  # noqa: PTH112, PTH114 - False for what no path can be


def _is_in_the_way(place: Path) -> bool:
    """Whether something other than a folder is there."""
    return os.path.lexists(place) and not is_folder(place)
