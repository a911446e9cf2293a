"""The content folder in step with its repository."""

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pygit2

from jobctl.errors import PermanentJobError, ServiceError, reason_of
from jobctl.site.content.address import Address
from jobctl.site.content.checkout import Changes, apply, clashing, fill_index
from jobctl.site.content.limits import Limits, out_of_memory
from jobctl.site.content.local_changes import Merged, commit_all, holds_more, merge, set_aside
from jobctl.site.content.remote import (
    DamagedError,
    Remote,
    Tip,
    format_problem,
    isolate,
    local_problem,
    unusable,
)
from jobctl.site.content.repository import (
    Mark,
    Record,
    Way,
    commit_of,
    count_new,
    is_ancestor,
    last_commit,
    read_record,
    repack,
    shares_history,
    synced_commit,
)
from jobctl.site.content.snapshot import Delta, Snapshots
from jobctl.site.content.swap import alone, free_name, new_beside, swap_in, tidy
from jobctl.text import counted, quote

_LOCKED = ("failed to lock", "is locked")


@dataclass(slots=True)
class SyncReport:
    """What a sync did. ``commits`` is how many are new; 1 for a first clone, which is shallow.

    ``warning`` says that another branch than the wanted one was taken.
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
        branch: None takes the remote's default branch, and so does one that the remote has not, with a warning.
        may_push: whether local changes may be pushed.
        limits: of the repository.
        step: how long one network step may take, where it is not the limits'.
    """

    def __init__(
        self,
        folder: Path,
        address: Address,
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
            PermanentJobError: it never will work like this: a wrong token, no such repository.
            ServiceError: the server did not answer, or not in time.
        """
        isolate(self._step)
        try:
            with alone(self._folder, self._step.total_seconds()), self._limits.memory():
                tidy(self._folder)
                return self._synced()
        except OSError as error:
            raise local_problem(
                f"{error.filename or self._folder} cannot be written", reason_of(error)
            ) from error
        except (KeyError, pygit2.GitError) as error:
            raise unusable(error, self._address, self._folder) from error

    def _synced(self) -> SyncReport:
        repository = self._opened()
        if repository is None:
            return self._clone()
        try:
            return self._update(repository)
        except (DamagedError, KeyError, pygit2.GitError, OSError) as error:
            if any(word in str(error) for word in _LOCKED):
                raise ServiceError(
                    f"another git program is at work in {self._folder}",
                    hint="if none is, remove the .lock file in its .git folder",
                ) from error
            if isinstance(error, OSError) or out_of_memory(error):
                raise
        report = self._clone()
        report.notes.append("the copy was damaged, so it was cloned anew")
        return report

    def _opened(self) -> pygit2.Repository | None:
        """The copy, if it is one of this repository and has files."""
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
                hint="move it away, and the next sync clones it anew",
            ) from error
        return repository

    # The first time

    def _clone(self) -> SyncReport:
        new = new_beside(self._folder)
        try:
            repository = pygit2.init_repository(str(new))
            repository.remotes.create("origin", self._address.url)
            remote = Remote(repository, self._address, self._step, self._limits)
            tip = remote.tip(self._branch)
            snapshots = Snapshots(repository, new, self._limits, tolerant=True)
            snapshots.too_large = remote.fetch(tip, whole=True)
            commit = commit_of(repository, tip.commit)
            snapshots.measure(commit.tree)
            deltas = snapshots.differences(None, commit.tree)
            changes = self._apply(deltas, snapshots)
            _settle(tip, commit, snapshots, changes.passed_over)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        report = SyncReport(tip.branch, tip.commit, 1, first=True, changes=changes, warning=tip.warning)
        self._replace(new, report)
        return report

    def _replace(self, new: Path, report: SyncReport) -> None:
        """Swap the clone in. What the user put into the old folder is kept beside it."""
        if not (os.path.lexists(self._folder) and holds_more(self._folder, self._limits)):
            swap_in(new, self._folder)
            return
        kept = free_name(self._folder.with_name(f"{self._folder.name}.before-{report.head[:8]}"))
        swap_in(new, self._folder, kept)
        report.notes.append(f"the old content had changes of its own; it is kept as {kept.name}")

    @staticmethod
    def _apply(deltas: list[Delta], snapshots: Snapshots, again: Collection[str] = ()) -> Changes:
        """The files, and the names that the walk passed over."""
        named = [f"passed over {quote(path)}: {reason}" for path, reason in snapshots.passed_over.items()]
        changes = apply(deltas, snapshots, again)
        changes.warnings[:0] = named
        changes.passed_over |= snapshots.passed_over.keys()
        return changes

    # Later

    def _update(self, repository: pygit2.Repository) -> SyncReport:
        mark = Mark(Path(repository.path))
        last = synced_commit(repository) or str(repository.head.target)
        unfinished = mark.taken_over()
        mark.begin()
        try:
            done = self._finish(repository, unfinished) if unfinished else Changes()
            report = self._follow(repository, mark, unfinished.old if unfinished else last)
        except BaseException:
            mark.fail()
            raise
        mark.end()
        report.changes = done.then(report.changes)
        return report

    def _finish(self, repository: pygit2.Repository, way: Way) -> Changes:
        """Go where a killed sync was going, but leave alone what was changed since."""
        commit, known = commit_of(repository, way.new), read_record(repository)
        snapshots = Snapshots(repository, self._folder, self._limits, absent=known.paths)
        deltas = snapshots.differences(commit_of(repository, way.old).tree, commit.tree)
        touched = set(clashing(deltas, snapshots))
        deltas = [one for one in deltas if one.path not in touched]
        changes = self._apply(deltas, snapshots)
        _settle(Tip(way.branch, way.new), commit, snapshots, known.after(deltas, changes))
        return changes

    def _follow(self, repository: pygit2.Repository, mark: Mark, last: str) -> SyncReport:
        remote = Remote(repository, self._address, self._step, self._limits)
        tip = remote.tip(self._branch)
        head, known = last_commit(repository), read_record(repository)
        snapshots = Snapshots(repository, self._folder, self._limits, absent=known.paths)
        current = tip.commit == (synced_commit(repository) or str(head.id))
        if current and known.rules in {None, self._limits.rules}:
            new = count_new(repository, last, tip.commit)
            return SyncReport(tip.branch, str(head.id), new, warning=tip.warning)
        if not current:
            _make_way(repository, f"refs/remotes/origin/{tip.branch}")  # libgit2 sets it while it fetches
            snapshots.too_large = remote.fetch(tip, whole=False)
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
        mark.aim(Way(str(head.id), tip.commit, tip.branch))
        again = known.again(snapshots, commit.tree, deltas)
        remote.complete(one.new.id for one in again if one.new)
        report.changes = self._apply([*deltas, *again], snapshots, {one.path for one in again})
        report.head = tip.commit
        _settle(tip, commit, snapshots, known.after([*deltas, *again], report.changes))
        repack(repository)
        return report

    def _save(
        self, remote: Remote, tip: Tip, report: SyncReport, saved: tuple[str, bool], snapshots: Snapshots
    ) -> Tip:
        """Push committed local changes together with the remote's; else keep them as a branch.

        Files that both sides changed in contradictory ways are kept as a branch alone, and the rest is pushed.
        """
        repository, (ours, whole) = snapshots.repository, saved
        if is_ancestor(repository, ours, tip.commit):
            return tip  # no change that git would see
        both, reason = None, ""
        if not self._may_push:
            reason = "pushing is off (auto-sync is disabled, or this is Vercel)"
        elif not whole:
            reason = "the repository has paths that cannot be kept here"
        elif not shares_history(repository, ours, tip.commit):
            reason = "the remote's history is another"
        elif (both := merge(repository, ours, tip.commit)) is None:
            reason = "they contradict the remote's"
        try:
            if both is not None:
                return _pushed(remote, tip, report, both, repository)
        except (PermanentJobError, ServiceError) as error:
            reason = error.problem
        name = set_aside(repository, ours)
        report.notes.append(f"local changes were set aside as branch {name}: {reason}")
        back = snapshots.differences(commit_of(repository, ours).tree, last_commit(repository).tree)
        apply(back, snapshots)  # it leaves the folder
        return tip


def _pushed(remote: Remote, tip: Tip, report: SyncReport, both: Merged, repository: pygit2.Repository) -> Tip:
    """The branch with both sides' changes, pushed; what contradicts the remote's is set aside alone."""
    if both.commit != tip.commit:
        remote.push(both.commit, tip.branch)
        report.pushed = True
        report.notes.append("local changes were committed and pushed")
    if both.contradicting:
        name = set_aside(repository, both.aside)
        paths = ", ".join(map(quote, both.contradicting[:5])) + (", …" if len(both.contradicting) > 5 else "")
        report.notes.append(
            f"local changes to {counted(len(both.contradicting), 'file')} were set aside as branch {name}:"
            f" they contradict the remote's ({paths})"
        )
    return Tip(tip.branch, both.commit)


def _settle(
    tip: Tip,
    commit: pygit2.Commit,
    snapshots: Snapshots,
    passed_over: Collection[str],
) -> None:
    """The branch, HEAD, what is known of the remote, and the index: last of all, after the files."""
    repository = snapshots.repository
    Record(snapshots.limits.rules, frozenset(passed_over)).write(repository)
    fill_index(commit.tree, snapshots)
    names = [f"refs/remotes/origin/{tip.branch}", f"refs/heads/{tip.branch}"]
    for name in (*names, "refs/jobctl/synced"):
        _make_way(repository, name)
        repository.references.create(name, commit.id, force=True)
    repository.set_head(names[1])


def _make_way(repository: pygit2.Repository, name: str) -> None:
    """``next`` goes where ``next/v2`` comes, and the reverse: git cannot hold both."""
    for other in list(repository.references):
        if other.startswith(f"{name}/") or name.startswith(f"{other}/"):
            repository.references.delete(other)
