"""The four reports: their names, jobs and periods, said once for the command line and the jobs."""

from typing import NamedTuple

from jobctl.reports.periods import Kind


class Known(NamedTuple):
    """One report. ``job_id`` is the job that makes it."""

    job_id: str
    title: str
    kind: Kind


REPORTS = {
    "daily": Known("report-daily-activity-summary", "Daily Activity Summary", Kind.DAY),
    "weekly": Known("report-weekly-user-growth", "Weekly User Growth", Kind.WEEK),
    "monthly": Known("report-monthly-comprehensive", "Monthly Comprehensive Report", Kind.MONTH),
    "quarterly": Known("report-quarterly-performance", "Quarterly Performance Report", Kind.QUARTER),
}
