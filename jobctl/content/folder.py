"""The content folder in step with its repository."""

import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pygit2

from jobctl.content.address import Address
from jobctl.content.local_changes import changed_locally, commit_all, conflicts, merge, set_aside
from jobctl.content.remote import Remote, Tip, isolate
from jobctl.content.swap import alone, new_beside, swap_in, tidy
from jobctl.content.tree import Changes, apply, changed_paths, fill_index
from jobctl.errors import PermanentJobError, ServiceError

STEP = timedelta(minutes=2)


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
        self._folder = folder
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
        with alone(self._folder, self._step.total_seconds()):
            tidy(self._folder)
            repository = self._opened()
            if repository is None:
                return self._clone()
            return self._update(repository)

    def _opened(self) -> pygit2.Repository | None:
        """The copy, if it is one of this repository and has files."""
        if not (self._folder / ".git").is_dir():
            return None
        try:
            repository = pygit2.Repository(str(self._folder / ".git"))
            if repository.head_is_unborn or repository.remotes["origin"].url != self._address.url:
                return None
        except (pygit2.GitError, KeyError):
            return None
        return repository

    # The first time

    def _clone(self) -> SyncReport:
        new = new_beside(self._folder)
        try:
            repository = pygit2.init_repository(str(new))
            repository.remotes.create("origin", self._address.url)
            remote = Remote(repository, self._address, self._step)
            tip = self._tip(remote)
            remote.fetch(tip, whole=True)
            commit = _commit(repository, tip.commit)
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
        keep = self._folder.exists() and _is_somebodys(self._folder)
        old = swap_in(new, self._folder)
        if old is None:
            return
        if keep:
            kept = self._folder.with_name(f"{self._folder.name}.before-{report.head[:8]}")
            number = 1
            while kept.exists():
                number += 1
                kept = kept.with_name(f"{self._folder.name}.before-{report.head[:8]}-{number}")
            old.rename(kept)
            report.notes.append(f"the old content had changes of its own; it is kept as {kept.name}")
        else:
            shutil.rmtree(old, ignore_errors=True)

    # Later

    def _update(self, repository: pygit2.Repository) -> SyncReport:
        remote = Remote(repository, self._address, self._step)
        tip = self._tip(remote)
        head = str(repository.head.target)
        last = _tracked(repository) or head
        if last == tip.commit:  # what is *fetched* says nothing: a kill may have come before the files
            return SyncReport(tip.branch, head)
        remote.fetch(tip, whole=False)
        commit = _commit(repository, tip.commit)
        report = SyncReport(tip.branch, tip.commit, _new_commits(repository, last, tip.commit))
        if not _is_ancestor(repository, last, tip.commit):
            report.notes.append(
                "the remote's history was rewritten, or its branch changed: its state was taken"
            )
        deltas = changed_paths(repository, _commit(repository, head).tree, commit.tree)
        if head != last or conflicts(self._folder, deltas):
            tip = self._save(repository, remote, tip, report)
            commit = _commit(repository, tip.commit)
            deltas = changed_paths(repository, _commit(repository, head).tree, commit.tree)
        report.changes = apply(repository, self._folder, deltas)
        report.head = tip.commit
        _settle(repository, tip, commit)
        return report

    def _save(self, repository: pygit2.Repository, remote: Remote, tip: Tip, report: SyncReport) -> Tip:
        """Commit local changes and push them together with the remote's; else keep them as a branch."""
        ours = commit_all(repository)
        reason = "pushing is off (auto-sync is disabled, or this is Vercel)"
        if self._may_push:
            both = (
                merge(repository, ours, tip.commit) if _shares_history(repository, ours, tip.commit) else None
            )
            reason = "they contradict the remote's"
            if both is not None:
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
        head = _commit(repository, str(repository.head.target))
        apply(repository, self._folder, changed_paths(repository, _commit(repository, ours).tree, head.tree))

    def _tip(self, remote: Remote) -> Tip:
        tip = remote.tip(self._branch)
        if tip is None:
            raise PermanentJobError(
                f"the content repository {self._address.url} is empty", hint="push a first commit to it"
            )
        return tip


def _commit(repository: pygit2.Repository, commit: str) -> pygit2.Commit:
    return repository[pygit2.Oid(hex=commit)].peel(pygit2.Commit)


def _settle(repository: pygit2.Repository, tip: Tip, commit: pygit2.Commit) -> None:
    """The branch, HEAD, what is known of the remote, and the index: last of all, after the files."""
    fill_index(repository, commit.tree)
    repository.references.create(f"refs/remotes/origin/{tip.branch}", commit.id, force=True)
    repository.references.create(f"refs/heads/{tip.branch}", commit.id, force=True)
    repository.references.create("refs/jobctl/synced", commit.id, force=True)
    repository.set_head(f"refs/heads/{tip.branch}")


def _tracked(repository: pygit2.Repository) -> str | None:
    """The remote's commit at the last sync."""
    found = repository.references.get("refs/jobctl/synced")
    return str(found.target) if found is not None else None


def _is_ancestor(repository: pygit2.Repository, old: str, new: str) -> bool:
    return old == new or repository.descendant_of(pygit2.Oid(hex=new), pygit2.Oid(hex=old))


def _shares_history(repository: pygit2.Repository, one: str, other: str) -> bool:
    try:
        return repository.merge_base(pygit2.Oid(hex=one), pygit2.Oid(hex=other)) is not None
    except (KeyError, pygit2.GitError):
        return False


def _new_commits(repository: pygit2.Repository, old: str, new: str) -> int:
    walker = repository.walk(pygit2.Oid(hex=new))
    walker.hide(pygit2.Oid(hex=old))
    return sum(1 for _ in walker)


def _is_somebodys(folder: Path) -> bool:
    """Whether a folder holds what no sync and no minimal content put there."""
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
