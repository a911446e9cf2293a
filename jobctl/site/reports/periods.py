"""The four reports and their periods: days, weeks, months and quarters in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from jobctl.errors import UsageError
from jobctl.site.english_formats import MONTHS, long_day, midnight
from jobctl.text import quote


class PeriodKind(StrEnum):
    """The length of a period."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


_FORMS = {
    PeriodKind.DAY: (r"(\d{4})-(\d\d)-(\d\d)", "2026-11-22"),
    PeriodKind.WEEK: (r"(\d{4})-W(\d\d)", "2026-W47"),
    PeriodKind.MONTH: (r"(\d{4})-(\d\d)", "2026-10"),
    PeriodKind.QUARTER: (r"(\d{4})-Q([1-4])", "2026-Q3"),
}


class ReportDefinition(NamedTuple):
    """A report. ``job_id`` is the job that writes it."""

    job_id: str
    title: str
    kind: PeriodKind


REPORTS = {
    "daily": ReportDefinition("report-daily-activity-summary", "Daily Activity Summary", PeriodKind.DAY),
    "weekly": ReportDefinition("report-weekly-user-growth", "Weekly User Growth", PeriodKind.WEEK),
    "monthly": ReportDefinition(
        "report-monthly-comprehensive", "Monthly Comprehensive Report", PeriodKind.MONTH
    ),
    "quarterly": ReportDefinition(
        "report-quarterly-performance", "Quarterly Performance Report", PeriodKind.QUARTER
    ),
}


@dataclass(frozen=True, slots=True)
class Period:
    """From the day ``first`` up to, but without, the day ``end``. A week goes from Monday to Sunday."""

    kind: PeriodKind
    first: date
    end: date

    @property
    def name(self) -> str:
        """``2026-11-22``, ``2026-W47``, ``2026-10`` or ``2026-Q3``."""
        year, week, _ = self.first.isocalendar()
        return {
            PeriodKind.DAY: self.first.isoformat(),
            PeriodKind.WEEK: f"{year:04}-W{week:02}",
            PeriodKind.MONTH: f"{self.first:%Y-%m}",
            PeriodKind.QUARTER: f"{self.first.year:04}-Q{self.first.month // 3 + 1}",
        }[self.kind]

    @property
    def label(self) -> str:
        """For people: ``Week 47, November 16 to 22, 2026``."""
        first, last = self.first, self.end - timedelta(days=1)
        month, last_month = MONTHS[first.month - 1], MONTHS[last.month - 1]
        if self.kind is PeriodKind.DAY:
            return long_day(first)
        if self.kind is PeriodKind.MONTH:
            return f"{month} {first.year}"
        if self.kind is PeriodKind.QUARTER:
            return f"{self.name[5:]} {first.year}, {month} to {last_month}"
        to = f"{last.day}" if last.month == first.month else f"{last_month} {last.day}"
        year = f", {first.year}" if last.year != first.year else ""
        return f"Week {first.isocalendar().week}, {month} {first.day}{year} to {to}, {last.year}"

    @property
    def start_instant(self) -> datetime:
        """Its beginning."""
        return midnight(self.first)

    @property
    def end_instant(self) -> datetime:
        """The beginning of the next period."""
        return midnight(self.end)

    @property
    def days(self) -> list[date]:
        """Its days, in order."""
        return [self.first + timedelta(days=number) for number in range((self.end - self.first).days)]

    def before(self) -> "Period":
        """The previous period, which a report compares with."""
        return containing(self.kind, self.first - timedelta(days=1))


def last_ended(kind: PeriodKind, now: datetime) -> Period:
    """The newest period that is over at ``now``."""
    return containing(kind, now.astimezone(UTC).date()).before()


def read_period(kind: PeriodKind, text: str, now: datetime) -> Period:
    """Parse a period; it may be the current one, but not a later one.

    Raises:
        UsageError: it has another form, or lies in the future.
    """
    form, example = _FORMS[kind]
    found = re.fullmatch(form, text.strip().upper(), re.ASCII)
    try:
        if found is None:
            raise ValueError
        period = containing(kind, _first_day(kind, [int(part) for part in found.groups()]))
        period.before()  # a report compares with it, and the first one of the calendar has none
    except (ValueError, OverflowError):
        raise UsageError(f"{quote(text)} is not a {kind}", hint=f"write it such as {example}") from None
    if period.first > now.astimezone(UTC).date():
        raise UsageError(f"{quote(text)} lies in the future")
    return period


def containing(kind: PeriodKind, day: date) -> Period:
    """The period that contains a day."""
    if kind is PeriodKind.DAY:
        return Period(kind, day, day + timedelta(days=1))
    if kind is PeriodKind.WEEK:
        monday = day - timedelta(days=day.weekday())
        return Period(kind, monday, monday + timedelta(days=7))
    length = 1 if kind is PeriodKind.MONTH else 3
    month = (day.month - 1) // length * length + 1
    end = (day.year + (month + length > 12), (month + length - 1) % 12 + 1)
    return Period(kind, date(day.year, month, 1), date(*end, 1))


def _first_day(kind: PeriodKind, numbers: list[int]) -> date:
    if kind is PeriodKind.WEEK:
        return date.fromisocalendar(numbers[0], numbers[1], 1)
    if kind is PeriodKind.QUARTER:
        return date(numbers[0], numbers[1] * 3 - 2, 1)
    return date(numbers[0], numbers[1], numbers[2] if kind is PeriodKind.DAY else 1)
