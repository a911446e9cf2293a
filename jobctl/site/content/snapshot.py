"""The files of a commit that can be written here, found by walking its trees; all others are skipped, each with a reason."""

import os
import re
import sys
import unicodedata
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

import pygit2
from pygit2.enums import FileMode

from jobctl.memory_limit import MIB
from jobctl.site.content.limits import Limits, variable_of
from jobctl.text import quote

BROKEN = (KeyError, ValueError, pygit2.GitError)
"""What reading a missing or damaged object raises."""
_LARGE_ENTRY = 300  # bytes of a tree: mode, name and id
_LONGEST_LINK = 4096
_PLAIN = re.compile(rb"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_MAX_DEPTH = 400
"""The walk is recursive; Python allows a thousand nested calls."""


class CommitFile(NamedTuple):
    """A file, link or folder in a commit."""

    id: pygit2.Oid
    mode: int


class Delta(NamedTuple):
    """How a path differs between two commits: added, changed or removed."""

    path: str
    old: CommitFile | None
    new: CommitFile | None


class Snapshots:
    """Reads the files of a repository's commits, as far as they can be written into a folder.

    Args:
        folder: where the files are written; its file system decides which names are equal.
        limits: of the commits.
        tolerant: skip objects that are missing or damaged; otherwise they are errors,
        absent: but for these paths, which were skipped before.

    Attributes:
        skipped: the paths that the last comparison skipped, with the reason.
        too_large: the sizes of files that were not fetched, in bytes.
        plain: whether every name of the last measured tree is valid, not too deep, and readable.
    """

    def __init__(
        self,
        repository: pygit2.Repository,
        folder: Path,
        limits: Limits,
        *,
        tolerant: bool = False,
        absent: Collection[str] = (),
    ) -> None:
        self.repository = repository
        self.folder = folder
        self.limits = limits
        self.absent = absent
        self.plain = False
        self.skipped: dict[str, str] = {}
        self.too_large: dict[pygit2.Oid, int] = {}
        self._fold = folding(folder)
        self._depth = min(limits.depth, _MAX_DEPTH)
        self._tolerant = tolerant
        self._sizes: dict[pygit2.Oid, int] = {}
        self._loose: dict[str, list[str]] = {}
        for place in _object_folders(Path(repository.path)):
            for name in os.listdir(place):  # noqa: PTH208
                if len(name) == 2:
                    self._loose.setdefault(name, []).append(f"{place}/{name}")

    def differences(self, old: pygit2.Tree | None, new: pygit2.Tree) -> list[Delta]:
        """What differs between two commits' files; all of ``new`` without ``old``. Sets ``skipped``.

        Raises:
            KeyError: a folder's list of names is missing, and this is not tolerant.
            GitError: it is damaged.
        """
        found: list[Delta] = []
        self.skipped = {}
        self._compare("", old, new, found)
        return found

    def files(self, tree: pygit2.Tree) -> dict[str, CommitFile]:
        """All files, by path."""
        return {delta.path: delta.new for delta in self.differences(None, tree) if delta.new is not None}

    def measure(self, tree: pygit2.Tree) -> None:
        """Check the number of files and their sizes, and set ``plain``. A tree in many places is read once.

        Raises:
            PermanentJobError: there are more files or bytes than the limits allow.
        """
        self.plain = True
        self._measure(tree, 0, {})

    def tolerates(self, path: str) -> bool:
        """Whether the object of a path may be missing or damaged."""
        return self._tolerant or path in self.absent

    def size_of(self, oid: pygit2.Oid) -> int:
        """The size of an object, in bytes.

        Raises:
            KeyError, GitError: it is missing or damaged.
        """
        if oid not in self._sizes:
            name = str(oid) if self._loose else ""
            for place in self._loose.get(name[:2], ()):
                if not self._is_complete(f"{place}/{name[2:]}"):
                    raise pygit2.GitError(f"{name} is cut off")
            self._sizes[oid] = self.repository.odb.read_header(oid)[1]
        return self._sizes[oid]

    def read_tree(self, oid: pygit2.Oid) -> pygit2.Tree:
        """A folder of a commit.

        Raises:
            PermanentJobError: it has more entries than the limits allow.
            KeyError, GitError: it is missing or damaged.
        """
        if self.size_of(oid) > self.limits.files * _LARGE_ENTRY:
            raise self.limits.exceeded("files")
        found = self.repository[oid]
        if not isinstance(found, pygit2.Tree):
            raise pygit2.GitError(f"{oid} is not a tree")
        return found

    def _is_complete(self, file: str) -> bool:
        """Whether a loose object has its end; libgit2 would read on forever."""
        stream, size = zlib.decompressobj(), 0
        try:
            with open(file, "rb") as opened:  # noqa: PTH123 - once for each file of a repository
                while not stream.eof and size <= self.limits.file_mib * MIB:
                    data = stream.unconsumed_tail or opened.read(MIB)
                    found = len(stream.decompress(data, MIB))
                    if not (data or found or stream.eof):
                        return False
                    size += found
        except zlib.error:
            return False
        except OSError:  # it is in a pack
            return True
        return True

    def fault(self, path: str, file: CommitFile) -> str | None:
        """Why a file is never written here, as a clause; None if it is.

        Raises:
            KeyError: it is missing in the repository.
            GitError: it is damaged.
        """
        if file.mode == FileMode.COMMIT:
            return "a submodule"
        size = self.too_large.get(file.id) or self.size_of(file.id)
        if size > self.limits.file_mib * MIB:
            return f"{size // MIB:,} MiB are more than {variable_of('file_mib')} allows"
        if file.mode != FileMode.LINK:
            return None
        if size > _LONGEST_LINK:
            return "a broken link"
        target = os.fsdecode(self.repository[file.id].peel(pygit2.Blob).data)
        if "\0" in target or not _stays_inside(self.folder, (self.folder / path).parent, target):
            return "a link to a path outside the folder"
        return None

    def _compare(
        self, base: str, old: pygit2.Tree | None, new: pygit2.Tree | None, found: list[Delta]
    ) -> None:
        before, skipped_before = self._entries(base, old) if old else ({}, {})
        after, skipped_after = self._entries(base, new) if new else ({}, {})
        self.skipped.update(item for item in skipped_after.items() if item not in skipped_before.items())
        for name in [*after, *(name for name in before if name not in after)]:
            was, file = before.get(name), after.get(name)
            if was == file:
                continue
            path = base + name
            old_tree, old_file = self._tree_or_file(path, was)
            new_tree, new_file = self._tree_or_file(path, file)
            if old_tree or new_tree:
                self._compare(f"{path}/", old_tree, new_tree, found)
            if old_file or new_file:
                found.append(Delta(path, old_file, new_file))

    def _tree_or_file(
        self, path: str, file: CommitFile | None
    ) -> tuple[pygit2.Tree | None, CommitFile | None]:
        if file is None or file.mode != FileMode.TREE:
            return None, file
        try:
            return self.read_tree(file.id), None
        except BROKEN:
            if not self.tolerates(path):
                raise
            self.skipped[path] = "a folder that is missing or damaged in the repository"
            return None, None

    def _entries(self, base: str, tree: pygit2.Tree) -> tuple[dict[str, CommitFile], dict[str, str]]:
        """The usable entries of a tree by name, and the reasons of the skipped ones by path."""
        good: dict[str, CommitFile] = {}
        skipped: dict[str, str] = {}
        taken: dict[str, str] = {}
        too_deep = base.count("/") >= self._depth
        for entry in tree:
            raw, mode = entry.raw_name or b"", int(entry.filemode)
            name, reason = os.fsdecode(raw), _name_fault(raw)
            folded = self._fold(name)
            if reason is None and too_deep and mode == FileMode.TREE:
                reason = f"a folder deeper than {variable_of('depth')} allows"
            if reason is None and folded in taken:
                reason = f"its name is the same as {quote(taken[folded])} on this file system"
            if reason is not None:
                skipped[base + name] = reason
                continue
            taken[folded] = name
            good[name] = CommitFile(entry.id, mode)
        return good, skipped

    def _measure(
        self, tree: pygit2.Tree, depth: int, known: dict[tuple[pygit2.Oid, int], tuple[int, int]]
    ) -> tuple[int, int]:
        """How many files and folders, and how many bytes, are below a tree."""
        files, size, largest = 0, 0, self.limits.file_mib * MIB
        for entry in tree:
            if not _PLAIN.fullmatch(raw := entry.raw_name or b"") and _name_fault(raw):
                self.plain = False
            if isinstance(entry, pygit2.Tree):
                key = (entry.id, depth)
                if key not in known and depth < self._depth:
                    try:
                        known[key] = self._measure(self.read_tree(entry.id), depth + 1, known)
                    except BROKEN:  # reported when it is walked
                        known[key] = (0, 0)
                        self.plain = False
                self.plain = self.plain and key in known
                more, bytes_ = known.get(key, (0, 0))
                files, size = files + more + 1, size + bytes_
            elif isinstance(entry, pygit2.Blob):
                files += 1
                try:
                    size_here = self.size_of(entry.id)
                except BROKEN:  # it is skipped
                    size_here = 0
                size += size_here if size_here <= largest else 0
            if files > self.limits.files:
                raise self.limits.exceeded("files")
            if size > self.limits.mib * MIB:
                raise self.limits.exceeded("mib")
        return files, size


def folding(folder: Path) -> Callable[[str], str]:
    """A function that makes names equal if the copy's file system treats them as equal. Writes nothing to find out.

    If the file system ignores case, it is taken to ignore Unicode forms, too: at worst, a file is skipped.
    """
    ignores_case = (folder / ".git" / "head").exists()  # git names it HEAD
    if not (ignores_case or sys.platform == "darwin"):
        return str

    def fold(name: str) -> str:
        normal = unicodedata.normalize("NFC", name)
        return normal.casefold() if ignores_case else normal

    return fold


def _object_folders(git: Path) -> list[str]:
    """The folders of a repository's objects, also of the main repository of a worktree, and of alternates."""
    common = git / "commondir"
    left = [(git / common.read_text().strip() if common.is_file() else git) / "objects"]
    found: list[str] = []
    while left:
        folder = left.pop()
        if str(folder) in found or not folder.is_dir():
            continue
        found.append(str(folder))
        alternates = folder / "info" / "alternates"
        if alternates.is_file():
            left.extend(folder / os.fsdecode(line) for line in alternates.read_bytes().splitlines() if line)
    return found


def _name_fault(raw: bytes) -> str | None:
    """Why a name is never written, as a clause; None if it is."""
    if _PLAIN.fullmatch(raw):
        return None
    name = os.fsdecode(raw)
    # macOS ignores invisible characters when it looks a name up
    visible = "".join(character for character in name if character.isprintable()).rstrip(". ").lower()
    if "/" in name or "\0" in name or visible in {"", ".", "..", ".git", "git~1"}:
        return "a path that must not be written"
    if any(0xDC80 <= ord(character) <= 0xDCFF for character in name):
        return "its name is not UTF-8"
    if "\\" in name or any(unicodedata.category(character) == "Cc" for character in name):
        return "its name has a backslash or control characters"
    return None


def _stays_inside(folder: Path, beside: Path, target: str) -> bool:
    parts = target.split("/")
    up = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    if os.path.isabs(target) or ".." in parts[up:]:  # noqa: PTH117 - a link's text is no path of ours
        return False  # a later ".." begins at the target of another link
    whole = Path(os.path.normpath(beside / target))
    return whole.is_relative_to(folder) and ".git" not in whole.relative_to(folder).parts
