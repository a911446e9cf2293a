"""Syncs the content folder with its repository."""

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pygit2

from jobctl.errors import PermanentJobError, ServiceError, reason_of
from jobctl.site.content.checkout import Changes, apply, clashing, fill_index, skip_warning
from jobctl.site.content.folder_swap import clean_up, free_name, new_folder_beside, swap_in, sync_lock
from jobctl.site.content.limits import Limits, is_out_of_memory
from jobctl.site.content.local_changes import MergedChanges, commit_all, has_own_content, merge, set_aside
from jobctl.site.content.remote import (
    DamagedError,
    Remote,
    RepositoryAddress,
    Tip,
    format_problem,
    isolate_git,
    local_error,
    unusable_error,
    unverified,
)
from jobctl.site.content.repository import (
    CommitRange,
    SkippedFiles,
    SyncMarker,
    commit_of,
    count_new,
    is_ancestor,
    last_commit,
    repack,
    shares_history,
    synced_commit,
)
from jobctl.site.content.snapshot import Delta, Snapshots
from jobctl.text import counted, quote

_LOCKED = ("failed to lock", "is locked")
_MOST_CONFLICTS_NAMED = 5


@dataclass(slots=True)
class SyncReport:
    """The result of a sync.

    Attributes:
        commits: how many are new; 1 for the first clone, which is shallow.
        warning: a sentence if another branch than the wanted one was used.
    """

    branch: str
    head: str
    commits: int = 0
    first: bool = False
    pushed: bool = False
    changes: Changes = field(default_factory=Changes)
    notes: list[str] = field(default_factory=list)
    warning: str | None = None


class ContentFolder:
    """A local copy of the content repository.

    Args:
        folder: the copy.
        address: of the repository.
        branch: None uses the remote's default branch; so does one that the remote does not have, with a warning.
        may_push: whether local changes may be pushed.
        step: the time limit of one network step; None is the limits'.
    """

    def __init__(
        self,
        folder: Path,
        address: RepositoryAddress,
        *,
        branch: str | None = None,
        may_push: bool = True,
        limits: Limits | None = None,
        step: timedelta | None = None,
    ) -> None:
        self._folder = folder.resolve() if folder.is_symlink() else folder
        self._address = address
        self._branch = branch
        self._may_push = may_push
        self._limits = limits or Limits()
        self._step = step or self._limits.step

    def sync(self) -> SyncReport:
        """Bring the folder to the remote's state.

        Raises:
            PermanentJobError: a retry cannot help: a wrong token, no such repository.
            ServiceError: the server does not answer, or not in time.
        """
        isolate_git(self._step)
        try:
            with sync_lock(self._folder, self._step.total_seconds()), self._limits.memory():
                clean_up(self._folder)
                return self._sync()
        except OSError as error:
            what = f"{error.filename or self._folder} cannot be written"
            raise local_error(what, reason_of(error)) from error
        except (KeyError, pygit2.GitError) as error:
            raise unusable_error(error, self._address, self._folder) from error

    def _sync(self) -> SyncReport:
        repository = self._open()
        if repository is None:
            return self._clone()
        try:
            return self._update(repository)
        except (DamagedError, KeyError, pygit2.GitError, OSError) as error:
            if any(words in str(error) for words in _LOCKED):
                raise ServiceError(
                    f"another git program is working in {self._folder}",
                    hint="if none is, remove the .lock file in its .git folder",
                ) from error
            if isinstance(error, OSError) or is_out_of_memory(error):
                raise
        report = self._clone()
        report.notes.append("the copy was damaged, so it was cloned again")
        return report

    def _open(self) -> pygit2.Repository | None:
        """The copy, if it is a copy of this repository and has a commit."""
        if not (self._folder / ".git").is_dir():
            return None
        try:
            repository = pygit2.Repository(str(self._folder / ".git"))
            if repository.head_is_unborn or repository.remotes["origin"].url != self._address.url:
                return None
        except (pygit2.GitError, KeyError) as error:
            problem = format_problem(error)
            if problem is None:
                return None
            raise PermanentJobError(
                f"the repository in {self._folder} {problem}, which jobctl cannot read",
                hint="move it away, and the next sync clones it again",
            ) from error
        return repository

    # The first sync

    def _clone(self) -> SyncReport:
        new = new_folder_beside(self._folder)
        try:
            repository = pygit2.init_repository(str(new))
            repository.remotes.create("origin", self._address.url)
            remote = Remote(repository, self._address, self._step, self._limits)
            tip = remote.tip(self._branch)
            snapshots = Snapshots(repository, new, self._limits, tolerant=True)
            snapshots.too_large = remote.fetch(tip, first=True)
            commit = commit_of(repository, tip.commit)
            with unverified():
                snapshots.measure(commit.tree)
                changes = _apply(snapshots.differences(None, commit.tree), snapshots)
                _set_refs(tip, commit, snapshots, changes.skipped)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        report = SyncReport(tip.branch, tip.commit, 1, first=True, changes=changes, warning=tip.warning)
        self._replace(new, report)
        return report

    def _replace(self, new: Path, report: SyncReport) -> None:
        """Swap the clone in. An old folder with content of its own is kept beside it."""
        if not (os.path.lexists(self._folder) and has_own_content(self._folder, self._limits)):
            swap_in(new, self._folder)
            return
        kept = free_name(self._folder.with_name(f"{self._folder.name}.before-{report.head[:8]}"))
        swap_in(new, self._folder, kept)
        report.notes.append(f"the old content had changes of its own; it is kept as {kept.name}")

    # Later syncs

    def _update(self, repository: pygit2.Repository) -> SyncReport:
        marker = SyncMarker(Path(repository.path))
        last = synced_commit(repository) or str(repository.head.target)
        unfinished = marker.take_over()
        marker.begin()
        try:
            finished = self._finish(repository, unfinished) if unfinished else Changes()
            report = self._follow(repository, marker, unfinished.old if unfinished else last)
        except BaseException:
            marker.fail()
            raise
        marker.end()
        report.changes = finished.then(report.changes)
        return report

    def _finish(self, repository: pygit2.Repository, commits: CommitRange) -> Changes:
        """Finish what a killed sync began, without the files that were changed since."""
        commit, skipped = commit_of(repository, commits.new), SkippedFiles.read(repository)
        snapshots = Snapshots(repository, self._folder, self._limits, absent=skipped.paths)
        deltas = snapshots.differences(commit_of(repository, commits.old).tree, commit.tree)
        touched = set(clashing(deltas, snapshots))
        deltas = [delta for delta in deltas if delta.path not in touched]
        changes = _apply(deltas, snapshots)
        _set_refs(Tip(commits.branch, commits.new), commit, snapshots, skipped.after(deltas, changes))
        return changes

    def _follow(self, repository: pygit2.Repository, marker: SyncMarker, last: str) -> SyncReport:
        """Bring the copy from the commit ``last`` to the remote's tip."""
        remote = Remote(repository, self._address, self._step, self._limits)
        tip = remote.tip(self._branch)
        head, skipped = last_commit(repository), SkippedFiles.read(repository)
        snapshots = Snapshots(repository, self._folder, self._limits, absent=skipped.paths)
        is_current = tip.commit == (synced_commit(repository) or str(head.id))
        if is_current and skipped.rules in {None, self._limits.rules}:
            new = count_new(repository, last, tip.commit)
            return SyncReport(tip.branch, str(head.id), new, warning=tip.warning)
        if not is_current:
            _free_ref(repository, f"refs/remotes/origin/{tip.branch}")  # libgit2 sets it while it fetches
            snapshots.too_large = remote.fetch(tip, first=False)
        new = count_new(repository, last, tip.commit)
        report = SyncReport(tip.branch, tip.commit, new, warning=tip.warning)
        if not is_ancestor(repository, last, tip.commit):
            report.notes.append(
                "the remote's history was rewritten, or its branch changed: its state was taken"
            )
        commit = commit_of(repository, tip.commit)
        snapshots.measure(commit.tree)
        deltas = snapshots.differences(head.tree, commit.tree)
        clashes = clashing(deltas, snapshots)
        ahead = str(head.id) not in {last, synced_commit(repository)} and not is_ancestor(
            repository, str(head.id), tip.commit
        )
        if ahead or clashes:
            ours = commit_all(clashes, snapshots)
            tip = self._save(remote, tip, report, ours, snapshots)
            commit = commit_of(repository, tip.commit)
            deltas = snapshots.differences(head.tree, commit.tree)
        marker.begin_files(CommitRange(str(head.id), tip.commit, tip.branch))
        again = skipped.available(snapshots, commit.tree, deltas)
        remote.fetch_skipped_files(delta.new.id for delta in again if delta.new)
        report.changes = _apply([*deltas, *again], snapshots, {delta.path for delta in again})
        report.head = tip.commit
        _set_refs(tip, commit, snapshots, skipped.after([*deltas, *again], report.changes))
        repack(repository)
        return report

    def _save(
        self, remote: Remote, tip: Tip, report: SyncReport, committed: tuple[str, bool], snapshots: Snapshots
    ) -> Tip:
        """Push local changes together with the remote's; otherwise keep them as a branch.

        Files that both sides changed in different ways are kept as a branch, and the rest is pushed.
        """
        repository, (ours, complete) = snapshots.repository, committed
        if is_ancestor(repository, ours, tip.commit):
            return tip  # no change for git
        merged, reason = None, ""
        if not self._may_push:
            reason = "pushing is off (auto-sync is disabled, or this is Vercel)"
        elif not complete:
            reason = "the repository has paths that cannot be kept here"
        elif not shares_history(repository, ours, tip.commit):
            reason = "they have no history in common with the remote's"
        elif (merged := merge(repository, ours, tip.commit)) is None:
            reason = "they conflict with the remote's"
        try:
            if merged is not None:
                return _push(remote, tip, report, merged, repository)
        except (PermanentJobError, ServiceError) as error:
            reason = error.problem
        name = set_aside(repository, ours)
        report.notes.append(f"local changes were set aside as branch {name}: {reason}")
        # they are removed from the folder
        apply(
            snapshots.differences(commit_of(repository, ours).tree, last_commit(repository).tree), snapshots
        )
        return tip


def _push(
    remote: Remote, tip: Tip, report: SyncReport, merged: MergedChanges, repository: pygit2.Repository
) -> Tip:
    """Push the merged changes, and keep our side of the conflicts as a branch."""
    if merged.commit != tip.commit:
        remote.push(merged.commit, tip.branch)
        report.pushed = True
        report.notes.append("local changes were committed and pushed")
    if merged.conflicts:
        name = set_aside(repository, merged.ours)
        paths = ", ".join(map(quote, merged.conflicts[:_MOST_CONFLICTS_NAMED]))
        more = ", …" if len(merged.conflicts) > _MOST_CONFLICTS_NAMED else ""
        report.notes.append(
            f"local changes to {counted(len(merged.conflicts), 'file')} were set aside as branch {name}:"
            f" they conflict with the remote's ({paths}{more})"
        )
    return Tip(tip.branch, merged.commit)


def _apply(deltas: list[Delta], snapshots: Snapshots, known: Collection[str] = ()) -> Changes:
    """Apply deltas, and add the paths that the comparison skipped."""
    skipped = dict(snapshots.skipped)
    changes = apply(deltas, snapshots, known)
    changes.warnings[:0] = [skip_warning(path, reason) for path, reason in skipped.items()]
    changes.skipped |= skipped.keys()
    return changes


def _set_refs(tip: Tip, commit: pygit2.Commit, snapshots: Snapshots, skipped: Collection[str]) -> None:
    """Set the branches, HEAD, the index and the skipped files: last of all, after the files."""
    repository = snapshots.repository
    SkippedFiles(snapshots.limits.rules, frozenset(skipped)).write(repository)
    fill_index(commit.tree, snapshots)
    branch = f"refs/heads/{tip.branch}"
    for name in (f"refs/remotes/origin/{tip.branch}", branch, "refs/jobctl/synced"):
        _free_ref(repository, name)
        repository.references.create(name, commit.id, force=True)
    repository.set_head(branch)


def _free_ref(repository: pygit2.Repository, name: str) -> None:
    """Delete references that exclude this name: git cannot have both ``next`` and ``next/v2``."""
    for other in list(repository.references):
        if other.startswith(f"{name}/") or name.startswith(f"{other}/"):
            repository.references.delete(other)
