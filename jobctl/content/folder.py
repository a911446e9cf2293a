"""The content folder in step with its repository."""

import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pygit2

from jobctl.content.address import Address
from jobctl.content.history import commit_of, count_new, is_ancestor, last_commit, shares_history
from jobctl.content.local_changes import changed_locally, commit_all, merge, set_aside
from jobctl.content.remote import DamagedError, Remote, Tip, format_problem, isolate
from jobctl.content.swap import alone, free_name, new_beside, swap_in, tidy
from jobctl.content.tree import Changes, apply, changed_paths, clashing, fill_index, is_folder
from jobctl.content.upkeep import Mark, Way, repack
from jobctl.errors import PermanentJobError, ServiceError, reason_of

STEP = timedelta(minutes=2)
_LOCKED = ("failed to lock", "is locked")


@dataclass(slots=True)
class SyncReport:
    """What a sync did. ``commits`` is how many are new; 1 for a first clone, which is shallow."""

    branch: str
    head: str
    commits: int = 0
    first: bool = False
    pushed: bool = False
    changes: Changes = field(default_factory=Changes)
    notes: list[str] = field(default_factory=list)


class ContentFolder:
    """A local copy of the content repository.

    Args:
        folder: the copy.
        address: of the repository.
        branch: None takes the remote's default branch.
        may_push: whether local changes may be pushed.
        step: how long one network step may take.
    """

    def __init__(
        self,
        folder: Path,
        address: Address,
        *,
        branch: str | None = None,
        may_push: bool = True,
        step: timedelta = STEP,
    ) -> None:
        self._folder = folder.resolve() if folder.is_symlink() else folder
        self._address = address
        self._branch = branch
        self._may_push = may_push
        self._step = step

    def sync(self) -> SyncReport:
        """Bring the folder to the remote's state.

        Raises:
            PermanentJobError: it never will work like this: a wrong token, no such repository or branch.
            ServiceError: the server did not answer, or not in time.
        """
        isolate(self._step)
        try:
            with alone(self._folder, self._step.total_seconds()):
                tidy(self._folder)
                return self._synced()
        except OSError as error:
            reason = reason_of(error)
            raise ServiceError(f"{error.filename or self._folder} cannot be written: {reason}") from error

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
            if isinstance(error, OSError):
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
            remote = Remote(repository, self._address, self._step)
            tip = remote.tip(self._branch)
            remote.fetch(tip, whole=True)
            commit = commit_of(repository, tip.commit)
            changes = apply(repository, new, changed_paths(repository, None, commit.tree))
            _settle(repository, tip, commit)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        report = SyncReport(tip.branch, tip.commit, 1, first=True, changes=changes)
        self._replace(new, report)
        return report

    def _replace(self, new: Path, report: SyncReport) -> None:
        """Swap the clone in. What somebody put into the old folder is kept beside it."""
        if not (self._folder.exists() and _is_somebodys(self._folder)):
            swap_in(new, self._folder)
            return
        kept = free_name(self._folder.with_name(f"{self._folder.name}.before-{report.head[:8]}"))
        swap_in(new, self._folder, kept)
        report.notes.append(f"the old content had changes of its own; it is kept as {kept.name}")

    # Later

    def _update(self, repository: pygit2.Repository) -> SyncReport:
        mark = Mark(Path(repository.path))
        last = _tracked(repository) or str(repository.head.target)
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
        commit = commit_of(repository, way.new)
        deltas = changed_paths(repository, commit_of(repository, way.old).tree, commit.tree)
        touched = set(clashing(repository, self._folder, deltas))
        changes = apply(repository, self._folder, [one for one in deltas if one.new_file.path not in touched])
        _settle(repository, Tip(way.branch, way.new), commit)
        return changes

    def _follow(self, repository: pygit2.Repository, mark: Mark, last: str) -> SyncReport:
        remote = Remote(repository, self._address, self._step)
        tip = remote.tip(self._branch)
        head = last_commit(repository)
        if tip.commit == (_tracked(repository) or str(head.id)):
            return SyncReport(tip.branch, str(head.id), count_new(repository, last, tip.commit))
        _make_way(repository, f"refs/remotes/origin/{tip.branch}")  # libgit2 sets it while it fetches
        remote.fetch(tip, whole=False)
        report = SyncReport(tip.branch, tip.commit, count_new(repository, last, tip.commit))
        if not is_ancestor(repository, last, tip.commit):
            report.notes.append(
                "the remote's history was rewritten, or its branch changed: its state was taken"
            )
        commit = commit_of(repository, tip.commit)
        deltas = changed_paths(repository, head.tree, commit.tree)
        clashes = clashing(repository, self._folder, deltas)
        ahead = str(head.id) not in {last, _tracked(repository)} and not is_ancestor(
            repository, str(head.id), tip.commit
        )
        if ahead or clashes:
            tip = self._save(repository, remote, tip, report, clashes)
            commit = commit_of(repository, tip.commit)
            deltas = changed_paths(repository, head.tree, commit.tree)
        mark.aim(Way(str(head.id), tip.commit, tip.branch))
        report.changes = apply(repository, self._folder, deltas)
        report.head = tip.commit
        _settle(repository, tip, commit)
        repack(repository)
        return report

    def _save(
        self,
        repository: pygit2.Repository,
        remote: Remote,
        tip: Tip,
        report: SyncReport,
        clashes: list[str],
    ) -> Tip:
        """Commit local changes and push them together with the remote's; else keep them as a branch."""
        ours, whole = commit_all(repository, self._folder, clashes)
        if is_ancestor(repository, ours, tip.commit):
            return tip  # no change that git would see
        if not self._may_push:
            reason = "pushing is off (auto-sync is disabled, or this is Vercel)"
        elif not whole:
            reason = "the repository has paths that cannot be kept here"
        elif not shares_history(repository, ours, tip.commit):
            reason = "the remote's history is another"
        elif (both := merge(repository, ours, tip.commit)) is None:
            reason = "they contradict the remote's"
        elif both == tip.commit:
            return tip
        else:
            try:
                remote.push(both, tip.branch)
            except (PermanentJobError, ServiceError) as error:
                reason = error.problem
            else:
                report.pushed = True
                report.notes.append("local changes were committed and pushed")
                return Tip(tip.branch, both)
        name = set_aside(repository, ours)
        report.notes.append(f"local changes were set aside as branch {name}: {reason}")
        self._take_back(repository, ours)
        return tip

    def _take_back(self, repository: pygit2.Repository, ours: str) -> None:
        """What was set aside leaves the folder: every file goes back to the last commit's."""
        head = last_commit(repository)
        apply(
            repository, self._folder, changed_paths(repository, commit_of(repository, ours).tree, head.tree)
        )


def _settle(repository: pygit2.Repository, tip: Tip, commit: pygit2.Commit) -> None:
    """The branch, HEAD, what is known of the remote, and the index: last of all, after the files."""
    fill_index(repository, commit.tree)
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


def _tracked(repository: pygit2.Repository) -> str | None:
    """The remote's commit at the last sync."""
    found = repository.references.get("refs/jobctl/synced")
    return str(found.target) if found is not None else None


def _is_somebodys(folder: Path) -> bool:
    """Whether a folder holds what no sync and no minimal content put there."""
    if not is_folder(folder):
        return True
    if (folder / ".git").is_dir():
        try:
            repository = pygit2.Repository(str(folder / ".git"))
            ahead = str(repository.head.target) != (_tracked(repository) or str(repository.head.target))
            aside = any(name.startswith("set-aside-") for name in repository.branches.local)
            return ahead or aside or bool(changed_locally(repository))
        except (pygit2.GitError, KeyError):
            return True
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    return bool(files - {".works/works.yml"})
