"""What somebody changed in the content folder: found, committed, merged, or set aside; never lost."""

import os
from collections.abc import Iterable
from pathlib import Path

import pygit2
from pygit2.enums import DeltaStatus, FileStatus

from jobctl.clock import SystemClock
from jobctl.content.history import commit_of, last_commit
from jobctl.content.tree import is_folder, is_passed_over

MESSAGE = "[Auto] Save local changes before sync"
_NAME, _MAIL = "Website Bot", "bot@ever.works"
_CHANGED = (
    FileStatus.WT_MODIFIED | FileStatus.WT_DELETED | FileStatus.WT_NEW | FileStatus.WT_TYPECHANGE
    | FileStatus.INDEX_MODIFIED | FileStatus.INDEX_NEW | FileStatus.INDEX_DELETED
)  # fmt: skip


def changed_locally(repository: pygit2.Repository) -> set[str]:
    """Paths that differ from the last commit, new ones too."""
    return {path for path, status in repository.status(untracked_files="all").items() if status & _CHANGED}


def commit_all(repository: pygit2.Repository, folder: Path, clashes: Iterable[str]) -> tuple[str, bool]:
    """Commit every local change on top of the last commit. The branch itself does not move.

    Args:
        repository: whose last commit it is.
        folder: its files.
        clashes: paths to take along even where ``.gitignore`` leaves them out.

    Returns:
        The commit, the last one where nothing changed; and whether it holds all that the last one holds.
    """
    head = last_commit(repository)
    index = repository.index
    index.read()
    index.add_all()
    for path in clashes:
        for file in _files(folder, folder / path):
            index.add(file)
    whole = True
    for delta in head.tree.diff_to_index(index).deltas:
        if delta.status is DeltaStatus.DELETED and is_passed_over(repository, folder, delta.old_file):
            try:
                index.add(pygit2.IndexEntry(delta.old_file.path, delta.old_file.id, delta.old_file.mode))
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


def merge(repository: pygit2.Repository, ours: str, theirs: str) -> str | None:
    """A commit that holds both sides' changes, or None where they contradict each other.

    It is ``theirs`` itself where that holds them all.
    """
    index = repository.merge_commits(pygit2.Oid(hex=ours), pygit2.Oid(hex=theirs))
    if index.conflicts is not None:
        return None
    tree = index.write_tree(repository)
    if tree == commit_of(repository, theirs).tree.id:
        return theirs
    signature = _signature()
    parents: list[pygit2.Oid | str] = [pygit2.Oid(hex=theirs), pygit2.Oid(hex=ours)]
    return str(repository.create_commit(None, signature, signature, MESSAGE, tree, parents))


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
