"""``repository-sync``: keeps the content folder in step with the content repository."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from jobctl.clock import SystemClock
from jobctl.errors import JobctlError, PermanentJobError, reason_of
from jobctl.files import write_whole
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.settings.environment import Environment
from jobctl.site.content.minimal import SETTINGS, minimal_settings
from jobctl.text import counted

_MOST_NAMED = 20


def repository_sync() -> JobResult:
    """Sync once, as the project's settings say.

    Raises:
        PermanentJobError: a setting, a token or the repository is wrong: trying again would not help.
        ServiceError: the server did not answer.
    """
    project = ProjectContext.of_worker()
    environment, folder = project.environment, project.environment.content
    text = environment.text("DATA_REPOSITORY")
    if text is None:
        return _minimal(folder)
    from jobctl.site.content.address import read_address
    from jobctl.site.content.limits import Limits
    from jobctl.site.content.sync import ContentFolder

    try:
        address = read_address(text, environment.secret("GH_TOKEN"), project.folder)
        branch = environment.text("GITHUB_BRANCH")
        print(f"Fetching {address.url}" + (f" (branch {branch})" if branch else ""))
        may_push = not (environment.flag("DISABLE_AUTO_SYNC") or environment.text("VERCEL") == "1")
        limits = Limits.read(environment)
        report = ContentFolder(folder, address, branch=branch, may_push=may_push, limits=limits).sync()
    except JobctlError:
        if not (folder / ".git").exists():  # so that the site can start all the same
            with suppress(PermanentJobError):
                _make_minimal(folder)
        raise
    warnings = [*([report.warning] if report.warning else []), *report.changes.warnings]
    more = len(warnings) - _MOST_NAMED
    for line in (*report.notes, *warnings[:_MOST_NAMED], *([f"and {more:,} more"] if more > 0 else [])):
        print(line)
    message = _summary(report)
    print(message)
    if report.changes.paths:
        _tell(environment, report.changes.paths)
    changes = report.changes
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


def _summary(report: Any) -> str:
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


def _minimal(folder: Path) -> JobResult:
    warning = "no DATA_REPOSITORY is set: the content folder is a minimal one"
    _make_minimal(folder)
    print(f"warning: {warning}")
    return JobResult(message=warning, details={"minimal": True})


def _make_minimal(folder: Path) -> None:
    """A content folder that a site can start with, unless there is one."""
    settings = folder / SETTINGS
    if settings.exists():
        return
    try:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        settings.parent.mkdir(exist_ok=True)
        write_whole(settings, minimal_settings(SystemClock().now().year))
    except OSError as error:
        raise PermanentJobError(f"{folder} cannot be written: {reason_of(error)}") from error


def _tell(environment: Environment, paths: list[str]) -> None:
    """Notify the site of what changed; a failure is a warning."""
    try:
        url = environment.url("JOBCTL_CONTENT_CHANGED_URL")
        if url is None:
            return
        from jobctl.site.content.change_notice import Receiver

        Receiver(environment, url).tell(paths)
    except JobctlError as error:
        print(f"warning: JOBCTL_CONTENT_CHANGED_URL was not notified: {error.problem}")
    else:
        print(f"notified JOBCTL_CONTENT_CHANGED_URL of {counted(len(paths), 'changed path')}")
