"""Local changes in the content folder: found, committed, merged with the remote's, or set aside; never lost."""

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
from jobctl.site.content.minimal_content import SETTINGS, is_minimal
from jobctl.site.content.repository import SkippedFiles, SyncMarker, commit_of, last_commit, synced_commit
from jobctl.site.content.snapshot import BROKEN, Snapshots

MESSAGE = "[Auto] Save local changes before sync"
_NAME, _MAIL = "Website Bot", "bot@ever.works"


def has_own_content(folder: Path, limits: Limits) -> bool:
    """Whether a folder has content that neither a sync nor ``make_minimal`` put there.

    Files are compared with the synced commit, and with the commits that a killed sync was between.
    """
    if not is_folder(folder):
        return True
    if not (folder / ".git").is_dir():
        return any(
            file != folder / SETTINGS or file.is_symlink() or not is_minimal(file.read_bytes())
            for file in files_in(folder)
        )
    try:
        repository = pygit2.Repository(str(folder / ".git"))
        unfinished = SyncMarker(Path(repository.path)).unfinished()
        known = {
            *(unfinished[:2] if unfinished else ()),
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
    snapshots = Snapshots(repository, folder, limits, absent=SkippedFiles.read(repository).paths)
    states = [snapshots.files(commit_of(repository, commit).tree) for commit in known]
    for path in files_in(folder):
        name = path.relative_to(folder).as_posix()
        if not is_same(path, [files[name] for files in states if name in files]):
            return True
    return False


def commit_all(clashes: Iterable[str], snapshots: Snapshots) -> tuple[str, bool]:
    """Commit all local changes on top of the last commit. The branch itself does not move.

    Args:
        clashes: paths to commit even if ``.gitignore`` ignores them.

    Returns:
        The commit (the last one if nothing changed), and whether it has all files of the last one.
    """
    repository = snapshots.repository
    head = last_commit(repository)
    files = snapshots.files(head.tree)
    index = repository.index
    index.read()
    index.add_all()
    for path in clashes:
        for file in _files_at(snapshots.folder, snapshots.folder / path):
            index.add(file)
    complete = True
    for delta in head.tree.diff_to_index(index).deltas:
        old, is_deleted = delta.old_file, delta.status is DeltaStatus.DELETED
        name = os.fsdecode(old.raw_path)
        # a file that was skipped is missing in the folder, but not deleted
        is_change = name in files and not (
            is_deleted and (name in snapshots.absent or snapshots.fault(name, files[name]))
        )
        if delta.status is not DeltaStatus.ADDED and not is_change:
            try:
                index.add(pygit2.IndexEntry(name, old.id, old.mode))
            except pygit2.GitError:  # a path that libgit2 puts into no index
                complete = False
    tree = index.write_tree()
    if tree == head.tree.id:
        return str(head.id), True
    return _commit(repository, tree, [head.id]), complete


def _files_at(folder: Path, path: Path) -> list[str]:
    found = [file for file in path.rglob("*") if not is_folder(file)] if is_folder(path) else [path]
    return [file.relative_to(folder).as_posix() for file in found if os.path.lexists(file)]


class MergedChanges(NamedTuple):
    """The changes of both sides in one commit.

    Attributes:
        commit: the remote's own if it has them all.
        conflicts: paths that both sides changed in different ways; the commit has the remote's.
        ours: a commit on top of it, with our side of the conflicts.
    """

    commit: str
    conflicts: list[str]
    ours: str


def merge(repository: pygit2.Repository, ours: str, theirs: str) -> MergedChanges | None:
    """Merge two commits; None if they cannot be merged."""
    index = repository.merge_commits(pygit2.Oid(hex=ours), pygit2.Oid(hex=theirs))
    conflicts = [tuple(conflict) for conflict in index.conflicts or ()]
    paths = sorted({entry.path for conflict in conflicts for entry in conflict if entry is not None})
    try:
        tree = _tree_with_side(repository, index, theirs, paths)
        our_tree = _tree_with_side(repository, index, ours, paths)
    except pygit2.GitError:  # for example, our file where they have a folder
        return None
    commit = theirs
    if tree != commit_of(repository, theirs).tree.id:
        commit = _commit(repository, tree, [pygit2.Oid(hex=theirs), pygit2.Oid(hex=ours)])
    our_commit = _commit(repository, our_tree, [pygit2.Oid(hex=commit)]) if paths else commit
    return MergedChanges(commit, paths, our_commit)


def _tree_with_side(
    repository: pygit2.Repository, index: pygit2.Index, commit: str, paths: Iterable[str]
) -> pygit2.Oid:
    """The tree of an index, with the files of one side at some paths."""
    tree = commit_of(repository, commit).tree
    for path in paths:
        index.remove_all([re.sub(r"([*?\[\\])", r"\\\1", path)])  # a pattern that matches only this path
        with suppress(KeyError):
            found = tree[path]
            index.add(pygit2.IndexEntry(path, found.id, found.filemode))
    return index.write_tree(repository)


def set_aside(repository: pygit2.Repository, commit: str) -> str:
    """Keep a commit as a new branch, and return its name."""
    stamp = SystemClock().now().strftime("%Y%m%d-%H%M%S")
    name, number = f"set-aside-{stamp}", 1
    while name in repository.branches.local:
        number += 1
        name = f"set-aside-{stamp}-{number}"
    repository.branches.local.create(name, commit_of(repository, commit))
    return name


def _commit(repository: pygit2.Repository, tree: pygit2.Oid, parents: list[pygit2.Oid]) -> str:
    signature = pygit2.Signature(_NAME, _MAIL, int(SystemClock().now().timestamp()), 0)
    return str(repository.create_commit(None, signature, signature, MESSAGE, tree, [*parents]))
