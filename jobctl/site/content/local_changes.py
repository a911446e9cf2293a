"""What somebody changed in the content folder: found, committed, merged, or set aside; never lost."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pygit2
from pygit2.enums import DeltaStatus

from jobctl.clock import SystemClock
from jobctl.site.content.checkout import files_in, is_folder, is_same
from jobctl.site.content.limits import Limits
from jobctl.site.content.minimal import SETTINGS, is_minimal
from jobctl.site.content.repository import Mark, commit_of, last_commit, read_record, synced_commit
from jobctl.site.content.snapshot import BROKEN, Snapshots

MESSAGE = "[Auto] Save local changes before sync"
_NAME, _MAIL = "Website Bot", "bot@ever.works"


def holds_more(folder: Path, limits: Limits) -> bool:
    """Whether what is at a content folder's place holds something that neither a sync nor a minimal content put there.

    Bytes are compared with those of the synced commit, which a killed sync may have been leaving for another.
    """
    if not is_folder(folder):
        return True
    if not (folder / ".git").is_dir():
        return any(
            one != folder / SETTINGS or one.is_symlink() or not is_minimal(one.read_bytes())
            for one in files_in(folder)
        )
    try:
        repository = pygit2.Repository(str(folder / ".git"))
        way = Mark(Path(repository.path)).way()
        known = {
            *((way.old, way.new) if way else ()),
            synced_commit(repository) or str(repository.head.target),
        }
        return _has_own_commits(repository, known) or _has_own_files(repository, folder, known, limits)
    except BROKEN:
        return True


def _has_own_commits(repository: pygit2.Repository, known: set[str]) -> bool:
    if "refs/stash" in repository.references or str(repository.head.target) not in known:
        return True
    for name in repository.branches.local:
        remote = repository.references.get(f"refs/remotes/origin/{name}")
        target = repository.references[f"refs/heads/{name}"].target
        if str(target) not in known and (remote is None or remote.target != target):
            return True
    return False


def _has_own_files(repository: pygit2.Repository, folder: Path, known: set[str], limits: Limits) -> bool:
    snapshots = Snapshots(repository, folder, limits, absent=read_record(repository).paths)
    states = [snapshots.files(commit_of(repository, one).tree) for one in known]
    for path in files_in(folder):
        name = path.relative_to(folder).as_posix()
        if not is_same(path, [one[name] for one in states if name in one]):
            return True
    return False


def commit_all(clashes: Iterable[str], snapshots: Snapshots) -> tuple[str, bool]:
    """Commit every local change on top of the last commit. The branch itself does not move.

    Args:
        clashes: paths to take along even where ``.gitignore`` leaves them out.
        snapshots: of the repository; that a file is missing which was not written is no change.

    Returns:
        The commit, the last one where nothing changed; and whether it holds all that the last one holds.
    """
    repository = snapshots.repository
    head = last_commit(repository)
    files = snapshots.files(head.tree)
    index = repository.index
    index.read()
    index.add_all()
    for path in clashes:
        for file in _files(snapshots.folder, snapshots.folder / path):
            index.add(file)
    whole = True
    for delta in head.tree.diff_to_index(index).deltas:
        old, gone = delta.old_file, delta.status is DeltaStatus.DELETED
        name = os.fsdecode(old.raw_path)
        kept = name in files and not (
            gone and (name in snapshots.absent or snapshots.fault(name, files[name]))
        )
        if delta.status is not DeltaStatus.ADDED and not kept:
            try:
                index.add(pygit2.IndexEntry(name, old.id, old.mode))
            except pygit2.GitError:  # a path that libgit2 takes into no index
                whole = False
    tree = index.write_tree()
    if tree == head.tree.id:
        return str(head.id), True
    signature = _signature()
    return str(repository.create_commit(None, signature, signature, MESSAGE, tree, [head.id])), whole


def _files(folder: Path, path: Path) -> list[str]:
    found = [one for one in path.rglob("*") if not is_folder(one)] if is_folder(path) else [path]
    return [one.relative_to(folder).as_posix() for one in found if os.path.lexists(one)]


class Merged(NamedTuple):
    """Both sides' changes in one commit.

    Attributes:
        commit: the remote's own where it holds them all.
        contradicting: paths that both sides changed so that only one can be had; the commit has the remote's.
        aside: a commit on top that has ours.
    """

    commit: str
    contradicting: list[str]
    aside: str


def merge(repository: pygit2.Repository, ours: str, theirs: str) -> Merged | None:
    """Merge two commits, or None where they cannot be."""
    index = repository.merge_commits(pygit2.Oid(hex=ours), pygit2.Oid(hex=theirs))
    conflicts = [tuple(one) for one in index.conflicts or ()]
    paths = sorted({entry.path for conflict in conflicts for entry in conflict if entry is not None})
    parents: list[pygit2.Oid | str] = [pygit2.Oid(hex=theirs), pygit2.Oid(hex=ours)]
    try:
        tree = _with_those_of(repository, index, theirs, paths)
        aside = _with_those_of(repository, index, ours, paths)
    except pygit2.GitError:  # a file of ours where they have a folder, say
        return None
    signature = _signature()
    commit: pygit2.Oid | str = theirs
    if tree != commit_of(repository, theirs).tree.id:
        commit = repository.create_commit(None, signature, signature, MESSAGE, tree, parents)
    if paths:
        aside = repository.create_commit(
            None, signature, signature, MESSAGE, aside, [pygit2.Oid(hex=str(commit))]
        )
    return Merged(str(commit), paths, str(aside))


def _with_those_of(
    repository: pygit2.Repository, index: pygit2.Index, commit: str, paths: Iterable[str]
) -> pygit2.Oid:
    """The tree of an index with the files of one side at some paths."""
    tree = commit_of(repository, commit).tree
    for path in paths:
        index.remove_all([_literal(path)])
        with suppress(KeyError):
            found = tree[path]
            index.add(pygit2.IndexEntry(path, found.id, found.filemode))
    return index.write_tree(repository)


def _literal(path: str) -> str:
    """A path as a pattern that matches it alone."""
    return re.sub(r"([*?\[\\])", r"\\\1", path)


def set_aside(repository: pygit2.Repository, commit: str) -> str:
    """Keep a commit as a branch of its own; the branch's name."""
    stamp = SystemClock().now().strftime("%Y%m%d-%H%M%S")
    name = f"set-aside-{stamp}"
    number = 1
    while name in repository.branches.local:
        number += 1
        name = f"set-aside-{stamp}-{number}"
    repository.branches.local.create(name, commit_of(repository, commit))
    return name


def _signature() -> pygit2.Signature:
    return pygit2.Signature(_NAME, _MAIL, int(SystemClock().now().timestamp()), 0)
