"""``repository-sync``: syncs the content folder with the content repository."""

from contextlib import suppress
from typing import TYPE_CHECKING

from jobctl.errors import JobctlError, PermanentJobError
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.settings.environment import Environment
from jobctl.site.content.minimal_content import make_minimal
from jobctl.text import counted

if TYPE_CHECKING:
    from jobctl.site.content.sync import SyncReport

_MOST_NAMED = 20


def repository_sync() -> JobResult:
    """Sync once. Without a repository, create a minimal content folder.

    Raises:
        PermanentJobError: a setting, a token or the repository is wrong: a retry cannot help.
        ServiceError: the server does not answer.
    """
    project = ProjectContext.of_worker()
    folder, text = project.environment.content, project.environment.text("DATA_REPOSITORY")
    if text is None:
        make_minimal(folder)
        message = "no DATA_REPOSITORY is set: the content folder is a minimal one"
        print(f"warning: {message}")
        return JobResult(message=message, details={"minimal": True})
    try:
        report = _sync(project, text)
    except JobctlError:
        if not (folder / ".git").exists():  # so that the site can start anyway
            with suppress(PermanentJobError):
                make_minimal(folder)
        raise
    warnings = [*([report.warning] if report.warning else []), *report.changes.warnings]
    more = len(warnings) - _MOST_NAMED
    for line in (*report.notes, *warnings[:_MOST_NAMED], *([f"and {more:,} more"] if more > 0 else [])):
        print(line)
    message = _summary(report)
    print(message)
    changes = report.changes
    if changes.paths:
        notify_site(project.environment, changes.paths)
    number = len(changes.paths)
    return JobResult(
        processed=number + len(warnings),
        successful=number,
        errors=tuple(warnings[:_MOST_NAMED]),
        message=message,
        details={
            "branch": report.branch,
            "head": report.head,
            "commits": report.commits,
            "added": len(changes.added),
            "changed": len(changes.changed),
            "removed": len(changes.removed),
            "pushed": report.pushed,
            "folder": project.relative(folder),
            "notes": report.notes,
        },
    )


def _sync(project: ProjectContext, text: str) -> "SyncReport":
    from jobctl.site.content.limits import Limits
    from jobctl.site.content.remote import read_repository_address
    from jobctl.site.content.sync import ContentFolder

    environment = project.environment
    address = read_repository_address(text, environment.secret("GH_TOKEN"), project.folder)
    branch = environment.text("GITHUB_BRANCH")
    print(f"Fetching {address.url}" + (f" (branch {branch})" if branch else ""))
    may_push = not (environment.flag("DISABLE_AUTO_SYNC") or environment.on_vercel)
    limits = Limits.read(environment)
    copy = ContentFolder(environment.content, address, branch=branch, may_push=may_push, limits=limits)
    return copy.sync()


def _summary(report: "SyncReport") -> str:
    changes = report.changes
    if report.first:
        number = counted(len(changes.added), "file")
        return f"first clone: {number} of branch {report.branch}, at {report.head[:8]}"
    if not report.commits and not changes.paths:
        return f"nothing new on branch {report.branch}"
    return (
        f"{counted(report.commits, 'new commit')}: {counted(len(changes.added), 'file')} added,"
        f" {len(changes.changed)} changed, {len(changes.removed)} removed"
    )


def notify_site(environment: Environment, paths: list[str]) -> None:
    """Notify ``JOBCTL_CONTENT_CHANGED_URL`` of changed paths; an error is only a warning."""
    try:
        url = environment.url("JOBCTL_CONTENT_CHANGED_URL")
        if url is None:
            return
        from jobctl.site.content.change_notice import ChangeNotice

        ChangeNotice(environment, url).send(paths)
    except JobctlError as error:
        print(f"warning: JOBCTL_CONTENT_CHANGED_URL was not notified: {error.problem}")
    else:
        print(f"notified JOBCTL_CONTENT_CHANGED_URL of {counted(len(paths), 'changed path')}")
