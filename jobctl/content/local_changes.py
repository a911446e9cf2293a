"""What somebody changed in the content folder: found, committed, merged, or set aside; never lost."""

import os
from collections.abc import Iterable
from pathlib import Path

import pygit2
from pygit2.enums import DeltaStatus, FileStatus

from jobctl.clock import SystemClock

MESSAGE = "[Auto] Save local changes before sync"
_NAME, _MAIL = "Website Bot", "bot@ever.works"
_CHANGED = (
    FileStatus.WT_MODIFIED | FileStatus.WT_DELETED | FileStatus.WT_NEW | FileStatus.WT_TYPECHANGE
    | FileStatus.INDEX_MODIFIED | FileStatus.INDEX_NEW | FileStatus.INDEX_DELETED
)  # fmt: skip


def changed_locally(repository: pygit2.Repository) -> set[str]:
    """Paths that differ from the last commit, new ones too."""
    return {path for path, status in repository.status(untracked_files="all").items() if status & _CHANGED}


def conflicts(folder: Path, deltas: Iterable[pygit2.DiffDelta]) -> bool:
    """Whether a path that the remote changed was changed here too, and differently.

    Only these paths are read: a look at each file of the folder would take longer than the sync.
    """
    return any(_is_changed_here(folder, delta) for delta in deltas)


def _is_changed_here(folder: Path, delta: pygit2.DiffDelta) -> bool:
    file = folder / delta.new_file.path
    if file.is_symlink():
        here = pygit2.hash(os.fsencode(file.readlink()))
    elif file.is_file():
        here = pygit2.hashfile(str(file))
    else:
        return delta.status is DeltaStatus.MODIFIED  # it was removed here
    known = {DeltaStatus.ADDED: (delta.new_file.id,), DeltaStatus.DELETED: (delta.old_file.id,)}
    return here not in known.get(delta.status, (delta.old_file.id, delta.new_file.id))


def commit_all(repository: pygit2.Repository) -> str:
    """Commit every local change on top of the last commit; its id. The branch itself does not move."""
    index = repository.index
    index.read()
    index.add_all()
    tree = index.write_tree()
    signature = _signature()
    commit = repository.create_commit(None, signature, signature, MESSAGE, tree, [repository.head.target])
    return str(commit)


def merge(repository: pygit2.Repository, ours: str, theirs: str) -> str | None:
    """A commit that holds both sides' changes, or None where they contradict each other."""
    index = repository.merge_commits(pygit2.Oid(hex=ours), pygit2.Oid(hex=theirs))
    if index.conflicts is not None:
        return None
    signature = _signature()
    parents: list[pygit2.Oid | str] = [pygit2.Oid(hex=theirs), pygit2.Oid(hex=ours)]
    tree = index.write_tree(repository)
    return str(repository.create_commit(None, signature, signature, MESSAGE, tree, parents))


def set_aside(repository: pygit2.Repository, commit: str) -> str:
    """Keep a commit as a branch of its own; the branch's name."""
    stamp = SystemClock().now().strftime("%Y%m%d-%H%M%S")
    name = f"set-aside-{stamp}"
    number = 1
    while name in repository.branches.local:
        number += 1
        name = f"set-aside-{stamp}-{number}"
    found = repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)
    repository.branches.local.create(name, found)
    return name


def _signature() -> pygit2.Signature:
    return pygit2.Signature(_NAME, _MAIL, int(SystemClock().now().timestamp()), 0)
