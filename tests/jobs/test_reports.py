"""The period of a report: by its slot, so that a late run reports on the same period."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobctl import testing
from jobctl.jobs import reports
from tests.support.site_database import SiteDatabase


@pytest.mark.parametrize(
    ("slot", "period"),
    [
        (datetime(2026, 3, 2, 9, tzinfo=UTC), "2026-03-01"),
        (datetime(2025, 12, 31, 9, tzinfo=UTC), "2025-12-30"),
    ],
)
def test_a_late_run_reports_on_the_day_before_its_slot(
    slot: datetime, period: str, database: SiteDatabase, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.url)
    with testing.running(slot=slot):
        done = reports.daily_activity_summary(mail="no")
    assert done.details["html"].endswith(f"report-daily-activity-summary-{period}.html")
    assert (here / done.details["html"]).exists()
