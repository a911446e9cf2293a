"""The local repository: its commits, and what a sync keeps in its .git folder."""

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


def commit_of(repository: pygit2.Repository, commit: str) -> pygit2.Commit:
    """The commit itself."""
    return repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)


def last_commit(repository: pygit2.Repository) -> pygit2.Commit:
    """The one that the branch stands at."""
    return commit_of(repository, str(repository.head.target))


def is_ancestor(repository: pygit2.Repository, old: str, new: str) -> bool:
    """Whether ``new`` is ``old``, or came out of it."""
    return old == new or repository.descendant_of(pygit2.Oid(hex=new), pygit2.Oid(hex=old))


def shares_history(repository: pygit2.Repository, one: str, other: str) -> bool:
    """Whether both came out of one commit."""
    try:
        return repository.merge_base(pygit2.Oid(hex=one), pygit2.Oid(hex=other)) is not None
    except (KeyError, pygit2.GitError):
        return False


def count_new(repository: pygit2.Repository, old: str, new: str) -> int:
    """How many commits ``new`` has that ``old`` has not."""
    walker = repository.walk(pygit2.Oid(hex=new))
    walker.hide(pygit2.Oid(hex=old))
    return sum(1 for _ in walker)


def synced_commit(repository: pygit2.Repository) -> str | None:
    """The remote's commit at the last sync."""
    found = repository.references.get("refs/jobctl/synced")
    return str(found.target) if found is not None else None


_NAME = "jobctl-passed-over"


@dataclass(frozen=True, slots=True)
class Record:
    """The paths that were passed over, and by which rules; None where that is not known."""

    rules: str | None
    paths: frozenset[str]

    def write(self, repository: pygit2.Repository) -> None:
        """Keep it."""
        text = json.dumps({"rules": self.rules, "paths": sorted(self.paths)})
        write_whole(Path(repository.path) / _NAME, text.encode())

    def after(self, deltas: Iterable[Delta], changes: Changes) -> frozenset[str]:
        """The paths that are passed over once some deltas were applied."""
        return (self.paths - {one.path for one in deltas}) | changes.passed_over

    def again(self, snapshots: Snapshots, tree: pygit2.Tree, deltas: Iterable[Delta]) -> list[Delta]:
        """What was passed over and may be had by now: a link has its target, a limit was raised."""
        same = self.rules in {None, snapshots.limits.rules}
        if same and not self.paths:
            return []
        known = {one.path for one in deltas}
        named = snapshots.passed_over
        files = snapshots.files(tree)
        snapshots.passed_over = named
        paths = self.paths if same else files
        return [
            Delta(path, None, files[path])
            for path in paths
            if path in files and path not in known and not os.path.lexists(snapshots.folder / path)
        ]


def read_record(repository: pygit2.Repository) -> Record:
    """What the last sync kept; of a copy that an older version made nothing is known."""
    try:
        found = json.loads((Path(repository.path) / _NAME).read_bytes())
        return Record(found["rules"], frozenset(found["paths"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Record(None, frozenset())


_TOO_MANY_PACKS = 50
_HALF_DONE = (
    "*.lock",
    "refs/**/*.lock",
    "objects/**/tmp_object_*",
    "objects/pack/pack_git2_*",
    "jobctl-new",
)


class Way(NamedTuple):
    """From which commit to which, of which branch, the files go."""

    old: str
    new: str
    branch: str


class Mark:
    """A file in ``.git`` while a sync works on the copy, so that what a kill left can be told from
    what another git program is doing. Once the files begin to change it names where they are going.
    """

    def __init__(self, git: Path) -> None:
        self._git = git
        self._file = git / "jobctl-sync"
        self._aims = False

    def taken_over(self) -> Way | None:
        """Remove the half-done files of a sync that was killed; the way that it was on, if on any."""
        text = self._text()
        if text is None:
            return None
        for pattern in _HALF_DONE:
            for path in self._git.glob(pattern):
                path.unlink(missing_ok=True)
        self._aims = bool(text)
        return self.way()

    def way(self) -> Way | None:
        """The way of a sync that did not end, if it was on any."""
        text = self._text()
        return Way(*text.split(" ", 2)) if text else None

    def _text(self) -> str | None:
        try:
            return self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def begin(self) -> None:
        """A sync starts."""
        self._file.touch()

    def aim(self, way: Way) -> None:
        """From here on the folder's files change."""
        write_whole(self._file, " ".join(way).encode())
        self._aims = True

    def fail(self) -> None:
        """The sync ended by an error: where files may be half done, the mark stays for the next one."""
        if not self._aims:
            self._file.unlink(missing_ok=True)

    def end(self) -> None:
        """The files are where they were to be."""
        self._file.unlink(missing_ok=True)
        self._aims = False


def repack(repository: pygit2.Repository) -> None:
    """Many packs into one: each fetch brings one, and libgit2 keeps every one of them open."""
    folder = Path(repository.path) / "objects" / "pack"
    old = set(folder.glob("*.pack"))
    if len(old) <= _TOO_MANY_PACKS:
        return
    repository.pack()
    if set(folder.glob("*.pack")) > old:
        for pack in old:
            for suffix in (".idx", ".rev", ".pack"):  # without its index a pack is not looked at
                pack.with_suffix(suffix).unlink(missing_ok=True)
