"""The four reports: an HTML page, JSON and CSV in the reports folder, mailed where asked for."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.clock import SystemClock, iso
from jobctl.errors import JobctlError, PermanentJobError, reason_of
from jobctl.files import PRIVATE_FILE, private_folder, write_whole
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.site.reports.periods import REPORTS, Known, Period, last_ended, read_period

if TYPE_CHECKING:
    from jobctl.site.mail.message import Attachment


def daily_activity_summary(period: str | None = None, mail: str = "once") -> JobResult:
    """Yesterday, or the day named."""
    return _report(REPORTS["daily"], period, mail)


def weekly_user_growth(period: str | None = None, mail: str = "once") -> JobResult:
    """Last week, Monday to Sunday, or the week named."""
    return _report(REPORTS["weekly"], period, mail)


def monthly_comprehensive(period: str | None = None, mail: str = "once") -> JobResult:
    """Last month, or the month named."""
    return _report(REPORTS["monthly"], period, mail)


def quarterly_performance(period: str | None = None, mail: str = "once") -> JobResult:
    """Last quarter, or the quarter named."""
    return _report(REPORTS["quarterly"], period, mail)


def _report(known: Known, name: str | None, mail: str) -> JobResult:
    """Work it out and write it; then mail it.

    Args:
        mail: ``once`` a period; ``again`` whatever was mailed before; ``no``.
    """
    from jobctl.site.database.session import Database
    from jobctl.site.mail.message import Attachment
    from jobctl.site.reports.figures import figures
    from jobctl.site.reports.page import page
    from jobctl.site.reports.plain_text import table

    project = ProjectContext.of_worker()
    database = Database.open(project.environment, project.folder)
    now = SystemClock().now()
    period = read_period(known.kind, name, now) if name else last_ended(known.kind, now)
    report = {
        "id": known.job_id,
        "title": known.title,
        "site": project.environment.text("COMPANY_NAME"),
        "tenant": database.tenant_id,
        "period": _described(period),
        "before": _described(period.before()),
        "made_at": iso(now),
        **figures(database, project.environment.content, period),
    }
    html = project.state / "reports" / f"{known.job_id}-{period.name}.html"
    text = page(report)
    _write(html, text)
    _write(html.with_suffix(".json"), json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    _write(html.with_suffix(".csv"), table(report))
    shown = project.relative(html)
    message = f"{known.title}, {period.label}"
    print(f"{message}: {shown}")
    sent, errors = _mail(project, report, Attachment(html.name, text), now, mail)
    return JobResult(
        processed=1 + sent + len(errors),
        successful=1 + sent,
        failed=len(errors),
        errors=tuple(errors),
        message=message,
        details={
            **{kind: project.relative(html.with_suffix(f".{kind}")) for kind in ("html", "json", "csv")},
            "mails": sent,
        },
    )


def _described(period: Period) -> dict[str, str]:
    return {
        "name": period.name,
        "label": period.label,
        "from": iso(period.start_instant),
        "to": iso(period.end_instant),
    }


def _write(file: Path, text: str) -> None:
    try:
        private_folder(file.parent)
        write_whole(file, text.encode(), mode=PRIVATE_FILE)
    except OSError as error:
        raise PermanentJobError(f"the report {file} cannot be written: {reason_of(error)}") from error


def _mail(
    project: ProjectContext, report: dict[str, Any], page: "Attachment", now: datetime, how: str
) -> tuple[int, list[str]]:
    """To everybody in ``JOBCTL_REPORT_TO``. A failed mail is told; the report is written all the same."""
    from jobctl.site.mail.message import parse_mailboxes

    addresses = list(parse_mailboxes(project.environment.text("JOBCTL_REPORT_TO") or ""))
    if how == "no" or not addresses:
        return 0, []
    from jobctl.jobs.mailing import Mailing
    from jobctl.site.reports.plain_text import headlines

    facts = {
        "title": report["title"],
        "period": report["period"]["label"],
        "headlines": headlines(report)[:8],
    }
    again = f"/{iso(now)}" if how == "again" else ""
    key = f"{report['id']}/{report['tenant']}/{report['period']['name']}{again}"
    try:
        with Mailing(project, "report", report["id"]) as mailing:
            for one in addresses:
                mailing.send(
                    one.address, f"{key}/{one.address}", one.address, one.name, facts, attachment=page
                )
            tally = mailing.tally
    except JobctlError as error:
        print(f"warning: the report was not mailed: {error.problem}")
        return 0, [f"the report was not mailed: {error.problem}"]
    return tally.sent, tally.errors
