"""The local repository: its commits, and what a sync keeps in its ``.git`` folder."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pygit2

from jobctl.files import write_whole
from jobctl.site.content.checkout import Changes
from jobctl.site.content.snapshot import Delta, Snapshots

# Commits, by their ids as text


def commit_of(repository: pygit2.Repository, commit: str) -> pygit2.Commit:
    """The commit of an id."""
    return repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)


def last_commit(repository: pygit2.Repository) -> pygit2.Commit:
    """The commit of HEAD."""
    return commit_of(repository, str(repository.head.target))


def synced_commit(repository: pygit2.Repository) -> str | None:
    """The remote's commit at the last sync."""
    found = repository.references.get("refs/jobctl/synced")
    return str(found.target) if found is not None else None


def is_ancestor(repository: pygit2.Repository, old: str, new: str) -> bool:
    """Whether ``old`` is ``new``, or an ancestor of it."""
    return old == new or repository.descendant_of(pygit2.Oid(hex=new), pygit2.Oid(hex=old))


def shares_history(repository: pygit2.Repository, ours: str, theirs: str) -> bool:
    """Whether two commits have a common ancestor."""
    try:
        return repository.merge_base(pygit2.Oid(hex=ours), pygit2.Oid(hex=theirs)) is not None
    except (KeyError, pygit2.GitError):
        return False


def count_new(repository: pygit2.Repository, old: str, new: str) -> int:
    """How many commits are in the history of ``new`` and not of ``old``."""
    walker = repository.walk(pygit2.Oid(hex=new))
    walker.hide(pygit2.Oid(hex=old))
    return sum(1 for _ in walker)


# The skipped files

_SKIPPED_FILE = "jobctl-passed-over"


@dataclass(frozen=True, slots=True)
class SkippedFiles:
    """Paths of the synced commit that are not in the folder, and the rules by which they were skipped.

    ``rules`` is None if they are unknown: an older version made the copy.
    """

    rules: str | None
    paths: frozenset[str]

    @classmethod
    def read(cls, repository: pygit2.Repository) -> "SkippedFiles":
        """Read what the last sync wrote."""
        try:
            found = json.loads((Path(repository.path) / _SKIPPED_FILE).read_bytes())
            return cls(found["rules"], frozenset(found["paths"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(None, frozenset())

    def write(self, repository: pygit2.Repository) -> None:
        """Write it into the ``.git`` folder."""
        text = json.dumps({"rules": self.rules, "paths": sorted(self.paths)})
        write_whole(Path(repository.path) / _SKIPPED_FILE, text.encode())

    def after(self, deltas: Iterable[Delta], changes: Changes) -> frozenset[str]:
        """The skipped paths after some deltas were applied."""
        return (self.paths - {delta.path for delta in deltas}) | changes.skipped

    def available(self, snapshots: Snapshots, tree: pygit2.Tree, deltas: Iterable[Delta]) -> list[Delta]:
        """Skipped files that may be written now: a link has its target, a limit was raised."""
        same_rules = self.rules in {None, snapshots.limits.rules}
        if same_rules and not self.paths:
            return []
        known = {delta.path for delta in deltas}
        skipped = snapshots.skipped
        files = snapshots.files(tree)
        snapshots.skipped = skipped
        return [
            Delta(path, None, files[path])
            for path in (self.paths if same_rules else files)
            if path in files and path not in known and not os.path.lexists(snapshots.folder / path)
        ]


# The progress of a sync

_UNFINISHED = (
    "*.lock",
    "refs/**/*.lock",
    "objects/**/tmp_object_*",
    "objects/pack/pack_git2_*",
    "jobctl-new",
)


class CommitRange(NamedTuple):
    """The commits between which a sync changes the files, and the branch."""

    old: str
    new: str
    branch: str


class SyncMarker:
    """A file in ``.git`` during a sync; it distinguishes leftovers of a killed sync from the work of other git programs.

    It is empty until the folder's files begin to change; then it holds their range of commits.
    """

    def __init__(self, git: Path) -> None:
        self._git = git
        self._file = git / "jobctl-sync"
        self._changes_files = False

    def unfinished(self) -> CommitRange | None:
        """The range of a sync that did not end, if its files began to change."""
        text = self._text()
        return CommitRange(*text.split(" ", 2)) if text else None

    def take_over(self) -> CommitRange | None:
        """Remove unfinished files of a killed sync, and return its range as ``unfinished`` does."""
        text = self._text()
        if text is None:
            return None
        for pattern in _UNFINISHED:
            for path in self._git.glob(pattern):
                path.unlink(missing_ok=True)
        self._changes_files = bool(text)
        return self.unfinished()

    def begin(self) -> None:
        """Record that a sync starts."""
        self._file.touch()

    def begin_files(self, commits: CommitRange) -> None:
        """Record that the folder's files begin to change."""
        write_whole(self._file, " ".join(commits).encode())
        self._changes_files = True

    def fail(self) -> None:
        """Record an error: if files may be unfinished, the marker stays for the next sync."""
        if not self._changes_files:
            self._file.unlink(missing_ok=True)

    def end(self) -> None:
        """Record that the sync is complete."""
        self._file.unlink(missing_ok=True)
        self._changes_files = False

    def _text(self) -> str | None:
        try:
            return self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None


# Maintenance

_MOST_PACKS = 50


def repack(repository: pygit2.Repository) -> None:
    """Join many packs: each fetch adds one, and libgit2 keeps every one open."""
    folder = Path(repository.path) / "objects" / "pack"
    old = set(folder.glob("*.pack"))
    if len(old) <= _MOST_PACKS:
        return
    repository.pack()
    if set(folder.glob("*.pack")) > old:
        for pack in old:
            for suffix in (".idx", ".rev", ".pack"):  # git ignores a pack without its index
                pack.with_suffix(suffix).unlink(missing_ok=True)
