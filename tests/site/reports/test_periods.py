"""Days, weeks, months and quarters: where they begin, how they are written."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobctl.errors import UsageError
from jobctl.site.reports.periods import PeriodKind, containing, last_ended, read_period

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "name", "label", "before"),
    [
        (PeriodKind.DAY, "2026-11-22", "Sunday, November 22, 2026", "2026-11-21"),
        (PeriodKind.WEEK, "2026-W47", "Week 47, November 16 to 22, 2026", "2026-W46"),
        (PeriodKind.MONTH, "2026-10", "October 2026", "2026-09"),
        (PeriodKind.QUARTER, "2026-Q3", "Q3 2026, July to September", "2026-Q2"),
    ],
)
def test_what_just_ended(kind: PeriodKind, name: str, label: str, before: str) -> None:
    period = last_ended(kind, NOW)

    assert (period.name, period.label, period.before().name) == (name, label, before)
    assert period.end_instant <= NOW
    assert read_period(kind, name, NOW) == period


@pytest.mark.parametrize(
    ("kind", "now", "name", "label"),
    [
        (PeriodKind.DAY, datetime(2026, 1, 1, tzinfo=UTC), "2025-12-31", "Wednesday, December 31, 2025"),
        (
            PeriodKind.WEEK,
            datetime(2026, 1, 5, tzinfo=UTC),
            "2026-W01",
            "Week 1, December 29, 2025 to January 4, 2026",
        ),
        (
            PeriodKind.WEEK,
            datetime(2021, 1, 4, tzinfo=UTC),
            "2020-W53",
            "Week 53, December 28, 2020 to January 3, 2021",
        ),
        (PeriodKind.MONTH, datetime(2024, 3, 1, tzinfo=UTC), "2024-02", "February 2024"),
        (PeriodKind.QUARTER, datetime(2026, 1, 1, tzinfo=UTC), "2025-Q4", "Q4 2025, October to December"),
        (
            PeriodKind.DAY,
            datetime.fromisoformat("2026-11-23T23:30:00-05:00"),
            "2026-11-23",
            "Monday, November 23, 2026",
        ),
    ],
)
def test_the_edges_of_years_and_zones(kind: PeriodKind, now: datetime, name: str, label: str) -> None:
    period = last_ended(kind, now)

    assert (period.name, period.label) == (name, label)


@given(st.sampled_from(PeriodKind), st.dates(date(1990, 1, 1), date(2100, 12, 31)))
def test_periods_follow_each_other_without_a_gap(kind: PeriodKind, day: date) -> None:
    period = containing(kind, day)

    assert period.first <= day < period.end
    assert period.before().end == period.first
    assert containing(kind, period.end).before() == period
    assert read_period(kind, period.name, datetime(2200, 1, 1, tzinfo=UTC)) == period
    assert period.days[0] == period.first
    assert period.days[-1] + timedelta(days=1) == period.end


@pytest.mark.parametrize(
    ("kind", "text"),
    [(PeriodKind.DAY, "2026-02-30"), (PeriodKind.DAY, "yesterday"), (PeriodKind.WEEK, "2026-W54"), (PeriodKind.MONTH, "2026-13"),
     (PeriodKind.QUARTER, "2026-Q5"), (PeriodKind.MONTH, "2026-W47"), (PeriodKind.WEEK, ""), (PeriodKind.MONTH, "٢٠٢٦-١٠"), (PeriodKind.DAY, "0001-01-01")],
)  # fmt: skip
def test_what_is_no_period_is_refused(kind: PeriodKind, text: str) -> None:
    with pytest.raises(UsageError, match=f"is not a {kind}") as told:
        read_period(kind, text, NOW)
    assert told.value.hint is not None


def test_the_future_has_no_report() -> None:
    with pytest.raises(UsageError, match='"2026-12" lies in the future'):
        read_period(PeriodKind.MONTH, "2026-12", NOW)
    assert read_period(PeriodKind.MONTH, "2026-11", NOW).name == "2026-11"
