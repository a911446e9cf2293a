"""Fetches from a repository in a folder of this machine: reads only what is needed and within the limits.

libgit2's own way would hold each file in memory, however large.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from jobctl.memory_limit import MIB
from jobctl.site.content.limits import Limits
from jobctl.site.content.snapshot import BROKEN, Snapshots

OBJECTS_A_FILE = 10
"""How many objects a fetch may have for each file of a commit: its folders and earlier versions."""


def copy_from_folder(
    repository: pygit2.Repository, source: Path, commit: str, limits: Limits, *, first: bool
) -> dict[pygit2.Oid, int]:
    """Copy a commit and its new ancestors; the first time only the commit itself.

    Files above the limit, missing or damaged are skipped.

    Returns:
        The sizes of the files above the limit, in bytes.

    Raises:
        PermanentJobError: there is more than the limits allow.
        KeyError, GitError: the commit or its top folder is missing or damaged.
    """
    theirs = pygit2.Repository(str(source))
    tip = theirs[pygit2.Oid(hex=commit)].peel(pygit2.Commit)
    snapshots = Snapshots(theirs, Path(repository.workdir), limits)
    snapshots.read_tree(tip.tree_id)  # without its top folder, a commit is of no use
    wanted: dict[pygit2.Oid, bool] = {}
    too_large: dict[pygit2.Oid, int] = {}
    commits = [tip] if first else _new_commits(repository, theirs, tip)
    for new in commits:
        wanted[new.id] = False
        too_large |= _add_wanted(None if first else repository.odb, snapshots, new.tree_id, wanted)
    size = sum(snapshots.size_of(oid) for oid, is_file in wanted.items() if is_file)
    if size > limits.mib * MIB:
        raise limits.exceeded("mib")
    try:
        _pack(repository, theirs, wanted)
    except pygit2.GitError:
        for oid, is_file in list(wanted.items()):
            if is_file and not _is_readable(snapshots, oid):
                del wanted[oid]
        _pack(repository, theirs, wanted)
    _note_shallow(repository, commits, wanted)
    repository.references.create("refs/jobctl/fetched", tip.id, force=True)
    return too_large


def copy_skipped_files(
    repository: pygit2.Repository, source: Path, files: Iterable[pygit2.Oid], limits: Limits
) -> None:
    """Copy files that were skipped before and are no longer too large, missing or damaged."""
    absent = [oid for oid in files if oid not in repository.odb]
    if not absent:
        return
    theirs = pygit2.Repository(str(source))
    snapshots = Snapshots(theirs, Path(repository.workdir), limits)
    wanted = {oid: True for oid in absent if _is_readable(snapshots, oid)}
    if wanted:
        _pack(repository, theirs, wanted)


def _new_commits(
    repository: pygit2.Repository, theirs: pygit2.Repository, tip: pygit2.Commit
) -> list[pygit2.Commit]:
    walker = theirs.walk(tip.id)
    for reference in repository.references.objects:
        oid = reference.target
        if isinstance(oid, pygit2.Oid) and oid in theirs and theirs[oid].type == ObjectType.COMMIT:
            walker.hide(oid)
    return list(walker)


def _add_wanted(
    ours: pygit2.Odb | None, snapshots: Snapshots, top: pygit2.Oid, wanted: dict[pygit2.Oid, bool]
) -> dict[pygit2.Oid, int]:
    """Add the objects below a tree to ``wanted`` that are not ours, with whether each is a file.

    Returns:
        The sizes of those too large, in bytes.
    """
    limits = snapshots.limits
    left, too_large = [top], {}
    while left:
        oid = left.pop()
        if oid in wanted or (ours is not None and oid in ours):
            continue
        try:
            entries = list(snapshots.read_tree(oid))
        except BROKEN:
            continue
        wanted[oid] = False
        for entry in entries:
            if isinstance(entry, pygit2.Tree):
                left.append(entry.id)
            elif isinstance(entry, pygit2.Blob) and not (ours is not None and entry.id in ours):
                try:
                    size = snapshots.size_of(entry.id)
                except BROKEN:
                    continue
                if size > limits.file_mib * MIB:
                    too_large[entry.id] = size
                else:
                    wanted[entry.id] = True
        if len(wanted) > limits.files * OBJECTS_A_FILE:
            raise limits.exceeded("files")
    return too_large


def _pack(repository: pygit2.Repository, theirs: pygit2.Repository, wanted: Iterable[pygit2.Oid]) -> None:
    ours = pygit2.Repository(repository.path)
    ours.config["core.bigFileThreshold"] = 1024 * 1024  # no deltas of large files: each takes ten in memory
    ours.set_odb(theirs.odb)
    packer = pygit2.PackBuilder(ours)
    packer.set_threads(1)
    for oid in wanted:
        packer.add(oid)
    packer.write(str(Path(repository.path) / "objects" / "pack"))


def _is_readable(snapshots: Snapshots, oid: pygit2.Oid) -> bool:
    try:
        if snapshots.size_of(oid) > snapshots.limits.file_mib * MIB:
            return False
        snapshots.repository.odb.read(oid)
    except BROKEN:
        return False
    return True


def _note_shallow(
    repository: pygit2.Repository, commits: Iterable[pygit2.Commit], wanted: Collection[pygit2.Oid]
) -> None:
    """Record commits whose parents were not copied, as git does."""
    file = Path(repository.path) / "shallow"
    known = set(file.read_text(encoding="ascii").split()) if file.exists() else set()
    for commit in commits:
        if any(parent not in wanted and parent not in repository.odb for parent in commit.parent_ids):
            known.add(str(commit.id))
    if known:
        file.write_text("".join(f"{name}\n" for name in sorted(known)), encoding="ascii")
