"""The files of a commit that can be had here, found by walking its trees; what cannot is passed over and named."""

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

from jobctl.memory import MIB
from jobctl.site.content.limits import Limits, variable_of
from jobctl.text import quote

BROKEN = (KeyError, ValueError, pygit2.GitError)
"""What reading an object fails with that is missing or damaged."""
_LARGE_ENTRY = 300  # bytes of a tree: mode, name and id
_LONGEST_LINK = 4096
_PLAIN = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", re.ASCII)
_DEEPEST = 400
"""The walk calls itself for each folder; Python allows a thousand calls in each other."""


class File(NamedTuple):
    """A file as a commit has it."""

    id: pygit2.Oid
    mode: int


class Delta(NamedTuple):
    """How a path differs from one commit to another: added, changed or removed."""

    path: str
    old: File | None
    new: File | None


class Snapshots:
    """The commits of a repository, seen as a folder can hold them.

    Args:
        repository: whose they are.
        folder: where the files go; its file system decides which names count as equal.
        limits: of the commits.
        tolerant: an object that is missing or damaged is passed over; otherwise it is an error,
        absent: but for these paths, which were passed over before.
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
        self._fold = folding(folder)
        self.limits = limits
        self._depth = min(limits.depth, _DEEPEST)
        self._tolerant = tolerant
        self.absent = absent
        self._loose: dict[str, list[str]] = {}
        for place in _object_folders(Path(repository.path)):
            for name in os.listdir(place):  # noqa: PTH208
                self._loose.setdefault(name, []).append(f"{place}/{name}")
        self.plain = False
        self.passed_over: dict[str, str] = {}
        self.too_large: dict[pygit2.Oid, int] = {}

    def differences(self, old: pygit2.Tree | None, new: pygit2.Tree) -> list[Delta]:
        """What differs between two commits' files; all of ``new`` where there is no ``old``.

        ``passed_over`` afterwards names the paths that differ too and cannot be had, with the reason.

        Raises:
            KeyError: a folder's list of names is missing, and this is not tolerant.
            GitError: it is damaged.
        """
        found: list[Delta] = []
        self.passed_over = {}
        self._compare("", old, new, found)
        return found

    def files(self, tree: pygit2.Tree) -> dict[str, File]:
        """All files, by path."""
        return {delta.path: delta.new for delta in self.differences(None, tree) if delta.new is not None}

    def measure(self, tree: pygit2.Tree) -> None:
        """Look at sizes alone; a tree that stands in a thousand places is looked at once.

        ``plain`` tells afterwards whether nothing in it has a bad name, is too deep or missing.

        Raises:
            PermanentJobError: there are more files or bytes than the limits allow.
        """
        self.plain = True
        self._measured(tree, 0, {})

    def tolerates(self, path: str) -> bool:
        """Whether what is at a path may be missing or damaged."""
        return self._tolerant or path in self.absent

    def size_of(self, oid: pygit2.Oid) -> int:
        """The size of an object, in bytes.

        Raises:
            KeyError, GitError: it is missing or damaged.
        """
        name = str(oid)
        if not all(self._is_whole(f"{place}/{name[2:]}") for place in self._loose.get(name[:2], ())):
            raise pygit2.GitError(f"{name} is cut off")
        return int(self.repository.odb.read_header(oid)[1])

    def _is_whole(self, file: str) -> bool:
        """Whether an object that is a file of its own has its end; libgit2 would look for it forever."""
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

    def fault(self, path: str, file: File) -> str | None:
        """Why a commit's file is never written here; None where it is.

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
            return "a link that leads nowhere"
        target = os.fsdecode(self.repository[file.id].peel(pygit2.Blob).data)
        if "\0" in target or not _stays_inside(self.folder, (self.folder / path).parent, target):
            return "a link that leads outside"
        return None

    def _compare(
        self, base: str, old: pygit2.Tree | None, new: pygit2.Tree | None, found: list[Delta]
    ) -> None:
        before, bad_before = self._listed(base, old)
        after, bad_after = self._listed(base, new)
        self.passed_over.update(item for item in bad_after.items() if item not in bad_before.items())
        for name in [*after, *(name for name in before if name not in after)]:
            was, file = before.get(name), after.get(name)
            if was == file:
                continue
            path = base + name
            old_tree, new_tree = (self._tree(path, one) for one in (was, file))
            if old_tree or new_tree:
                self._compare(f"{path}/", old_tree, new_tree, found)
            was, file = (None if one and one.mode == FileMode.TREE else one for one in (was, file))
            if was or file:
                found.append(Delta(path, was, file))

    def _tree(self, path: str, file: File | None) -> pygit2.Tree | None:
        if file is None or file.mode != FileMode.TREE:
            return None
        try:
            return self._read(file.id)
        except BROKEN:
            if not self.tolerates(path):
                raise
            self.passed_over[path] = "a folder that is missing or damaged in the repository"
            return None

    def _read(self, oid: pygit2.Oid) -> pygit2.Tree:
        if self.size_of(oid) > self.limits.files * _LARGE_ENTRY:
            raise self.limits.exceeded("files")
        found = self.repository[oid]
        if not isinstance(found, pygit2.Tree):
            raise pygit2.GitError(f"{oid} is no tree")
        return found

    def _listed(self, base: str, tree: pygit2.Tree | None) -> tuple[dict[str, File], dict[str, str]]:
        """By name: what can be had; by path: why not."""
        good: dict[str, File] = {}
        bad: dict[str, str] = {}
        taken: dict[str, str] = {}
        too_deep = base.count("/") >= self._depth
        for entry in tree or ():
            name = os.fsdecode(entry.raw_name or b"")
            mode = int(entry.filemode)
            folded = self._fold(name)
            reason = _name_fault(name)
            if reason is None and mode == FileMode.TREE and too_deep:
                reason = f"a folder deeper than {variable_of('depth')} allows"
            if reason is None and folded in taken:
                reason = f"its name is the same as {quote(taken[folded])} on this file system"
            if reason is not None:
                bad[base + name] = reason
                continue
            taken[folded] = name
            good[name] = File(entry.id, mode)
        return good, bad

    def _measured(
        self, tree: pygit2.Tree, depth: int, known: dict[tuple[pygit2.Oid, int], tuple[int, int]]
    ) -> tuple[int, int]:
        """How many files, folders too, and bytes are below."""
        files, size = 0, 0
        for entry in tree:
            oid, mode = entry.id, int(entry.filemode)
            if _name_fault(os.fsdecode(entry.raw_name or b"")) is not None:
                self.plain = False
            if mode == FileMode.TREE:
                key = (oid, depth)
                if key not in known and depth < self._depth:
                    try:
                        known[key] = self._measured(self._read(oid), depth + 1, known)
                    except BROKEN:  # named, or an error, when it is walked
                        known[key] = (0, 0)
                        self.plain = False
                self.plain = self.plain and key in known
                more, bytes_ = known.get(key, (0, 0))
                files, size = files + more + 1, size + bytes_
            elif mode != FileMode.COMMIT:
                files += 1
                try:
                    one = self.size_of(oid)
                except BROKEN:
                    one = 0
                size += one if one <= self.limits.file_mib * MIB else 0
            if files > self.limits.files:
                raise self.limits.exceeded("files")
            if size > self.limits.mib * MIB:
                raise self.limits.exceeded("mib")
        return files, size


def folding(folder: Path) -> Callable[[str], str]:
    """Names that are one to the file system of a copy become one text; nothing is written to find out.

    Where case does not count, neither does the form of a character: at worst, a file is passed over and named.
    """
    case = (folder / ".git" / "head").exists()  # git names it HEAD
    if not (case or sys.platform == "darwin"):
        return str

    def fold(name: str) -> str:
        one = unicodedata.normalize("NFC", name)
        return one.casefold() if case else one

    return fold


def _object_folders(git: Path) -> list[str]:
    """Where a repository has its objects: those of a worktree are in its main repository, those of a clone with
    ``--shared`` in the one that it was cloned from."""
    common = git / "commondir"
    left = [(git / common.read_text().strip() if common.is_file() else git) / "objects"]
    found: list[str] = []
    while left:
        folder = left.pop()
        if str(folder) in found or not folder.is_dir():
            continue
        found.append(str(folder))
        others = folder / "info" / "alternates"
        if others.is_file():
            left.extend(folder / os.fsdecode(line) for line in others.read_bytes().splitlines() if line)
    return found


def _name_fault(name: str) -> str | None:
    if _PLAIN.fullmatch(name):
        return None
    if "/" in name or "\0" in name or name in {".", ".."}:
        return "a path that must not be written"
    # macOS leaves characters without width out of a name when it looks one up
    plain = "".join(one for one in name if one.isprintable()).rstrip(". ").lower()
    if plain in {"", ".", "..", ".git", "git~1"}:
        return "a path that must not be written"
    if any(0xDC80 <= ord(one) <= 0xDCFF for one in name):
        return "its name is not UTF-8"
    if "\\" in name or any(unicodedata.category(one) == "Cc" for one in name):
        return "its name has a backslash or control characters"
    return None


def _stays_inside(folder: Path, beside: Path, target: str) -> bool:
    parts = target.split("/")
    up = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    if os.path.isabs(target) or ".." in parts[up:]:  # noqa: PTH117 - a link's text is no path of ours
        return False  # a later ".." would start from wherever another link leads
    whole = Path(os.path.normpath(beside / target))
    return whole.is_relative_to(folder) and ".git" not in whole.relative_to(folder).parts
