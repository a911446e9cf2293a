"""The four report jobs: write HTML, JSON and CSV into the reports folder, and mail the page."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.clock import SystemClock, iso
from jobctl.errors import JobctlError, PermanentJobError, reason_of
from jobctl.files import PRIVATE_FILE, private_folder, write_whole
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.run_context import run_if_any
from jobctl.site.reports.periods import REPORTS, Period, ReportDefinition, last_ended, read_period

if TYPE_CHECKING:
    from jobctl.site.mail.message import Attachment


def daily_activity_summary(period: str | None = None, mail: str = "once") -> JobResult:
    """Report on a day; by default the one before it is due."""
    return _report(REPORTS["daily"], period, mail)


def weekly_user_growth(period: str | None = None, mail: str = "once") -> JobResult:
    """Report on a week, Monday to Sunday; by default the last one before it is due."""
    return _report(REPORTS["weekly"], period, mail)


def monthly_comprehensive(period: str | None = None, mail: str = "once") -> JobResult:
    """Report on a month; by default the last one before it is due."""
    return _report(REPORTS["monthly"], period, mail)


def quarterly_performance(period: str | None = None, mail: str = "once") -> JobResult:
    """Report on a quarter; by default the last one before it is due."""
    return _report(REPORTS["quarterly"], period, mail)


def _report(definition: ReportDefinition, period_name: str | None, mail: str) -> JobResult:
    """Compute a report, write it and mail it.

    Args:
        mail: ``once`` per period; ``again``, whatever was mailed before; or ``no``.
    """
    from jobctl.site.database.session import Database
    from jobctl.site.mail.message import Attachment
    from jobctl.site.reports.figures import figures
    from jobctl.site.reports.page import page
    from jobctl.site.reports.plain_text import csv_text

    project = ProjectContext.of_worker()
    database = Database.open(project.environment, project.folder)
    now = SystemClock().now()
    run = run_if_any()
    due = now if run is None or run.slot is None else run.slot  # a late run reports on the same period
    kind = definition.kind
    period = read_period(kind, period_name, now) if period_name else last_ended(kind, due)
    report = {
        "id": definition.job_id,
        "title": definition.title,
        "site": project.environment.text("COMPANY_NAME"),
        "tenant": database.tenant_id,
        "period": _described(period),
        "before": _described(period.before()),
        "made_at": iso(now),
        **figures(database, project.environment.content, period),
    }
    html = page(report)
    texts = {
        "html": html,
        "json": json.dumps(report, ensure_ascii=False, indent=2) + "\n",
        "csv": csv_text(report),
    }
    stem = project.state / "reports" / f"{definition.job_id}-{period.name}"
    files = {ending: Path(f"{stem}.{ending}") for ending in texts}
    for ending, text in texts.items():
        write_report(files[ending], text)
    message = f"{definition.title}, {period.label}"
    print(f"{message}: {project.relative(files['html'])}")
    sent, errors = _mail(project, report, Attachment(files["html"].name, html), now, mail)
    return JobResult(
        processed=1 + sent + len(errors),
        successful=1 + sent,
        failed=len(errors),
        errors=tuple(errors),
        message=message,
        details={**{ending: project.relative(file) for ending, file in files.items()}, "mails": sent},
    )


def _described(period: Period) -> dict[str, str]:
    return {
        "name": period.name,
        "label": period.label,
        "from": iso(period.start_instant),
        "to": iso(period.end_instant),
    }


def write_report(file: Path, text: str) -> None:
    """Write one file of a report.

    Raises:
        PermanentJobError: it cannot be written.
    """
    try:
        private_folder(file.parent)
        write_whole(file, text.encode(), mode=PRIVATE_FILE)
    except OSError as error:
        raise PermanentJobError(f"the report {file} cannot be written: {reason_of(error)}") from error


def _mail(
    project: ProjectContext, report: dict[str, Any], page: "Attachment", now: datetime, mode: str
) -> tuple[int, list[str]]:
    """Mail the page to ``JOBCTL_REPORT_TO``; returns how many mails were sent, and the errors."""
    from jobctl.site.mail.message import parse_mailboxes

    mailboxes = list(parse_mailboxes(project.environment.text("JOBCTL_REPORT_TO") or ""))
    if mode == "no" or not mailboxes:
        return 0, []
    from jobctl.jobs.mailing import Mailing
    from jobctl.site.reports.plain_text import headlines

    facts = {
        "title": report["title"],
        "period": report["period"]["label"],
        "headlines": headlines(report)[:8],
    }
    again = f"/{iso(now)}" if mode == "again" else ""
    key = f"{report['id']}/{report['tenant']}/{report['period']['name']}{again}"
    try:
        with Mailing(project, "report", report["id"]) as mailing:
            for address, name in mailboxes:
                mailing.send(address, f"{key}/{address}", address, name, facts, attachment=page)
    except JobctlError as error:
        print(f"warning: the report was not mailed: {error.problem}")
        return 0, [f"the report was not mailed: {error.problem}"]
    return mailing.tally.sent, mailing.tally.errors
