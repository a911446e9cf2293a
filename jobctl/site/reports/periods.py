"""The four reports and their periods: days, weeks, months and quarters in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from jobctl.errors import UsageError
from jobctl.site.wording import MONTHS, long_day, midnight
from jobctl.text import quote

_FORMS = {
    "day": (re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII), "2026-11-22"),
    "week": (re.compile(r"(\d{4})-W(\d\d)", re.ASCII), "2026-W47"),
    "month": (re.compile(r"(\d{4})-(\d\d)", re.ASCII), "2026-10"),
    "quarter": (re.compile(r"(\d{4})-Q([1-4])", re.ASCII), "2026-Q3"),
}


class Kind(StrEnum):
    """How long a period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


@dataclass(frozen=True, slots=True)
class Period:
    """One period; ``end`` is its first day no more. A week goes from Monday to Sunday."""

    kind: Kind
    first: date
    end: date

    @property
    def name(self) -> str:
        """``2026-11-22``, ``2026-W47``, ``2026-10`` or ``2026-Q3``."""
        year, week, _ = self.first.isocalendar()
        return {
            Kind.DAY: self.first.isoformat(),
            Kind.WEEK: f"{year:04}-W{week:02}",
            Kind.MONTH: f"{self.first:%Y-%m}",
            Kind.QUARTER: f"{self.first.year:04}-Q{self.first.month // 3 + 1}",
        }[self.kind]

    @property
    def label(self) -> str:
        """For people: ``Week 47, November 16 to 22, 2026``."""
        first, last = self.first, self.end - timedelta(days=1)
        month = MONTHS[first.month - 1]
        if self.kind is Kind.DAY:
            return long_day(first)
        if self.kind is Kind.MONTH:
            return f"{month} {first.year}"
        if self.kind is Kind.QUARTER:
            return f"{self.name[5:]} {first.year}, {month} to {MONTHS[last.month - 1]}"
        to = f"{last.day}" if last.month == first.month else f"{MONTHS[last.month - 1]} {last.day}"
        year = f", {first.year}" if last.year != first.year else ""
        return f"Week {first.isocalendar().week}, {month} {first.day}{year} to {to}, {last.year}"

    @property
    def start_instant(self) -> datetime:
        """Where it begins."""
        return midnight(self.first)

    @property
    def end_instant(self) -> datetime:
        """Where the next one begins."""
        return midnight(self.end)

    @property
    def days(self) -> list[date]:
        """Its days, in order."""
        return [self.first + timedelta(days=number) for number in range((self.end - self.first).days)]

    def before(self) -> "Period":
        """The one that it is compared with."""
        return containing(self.kind, self.first - timedelta(days=1))


def last_ended(kind: Kind, now: datetime) -> Period:
    """The newest period that is over at ``now``."""
    return containing(kind, now.astimezone(UTC).date()).before()


def read_period(kind: Kind, text: str, now: datetime) -> Period:
    """A period as people write it; it may still be going on, but must have begun.

    Raises:
        UsageError: it is written otherwise, or lies in the future.
    """
    form, example = _FORMS[kind]
    found = form.fullmatch(text.strip().upper())
    try:
        if found is None:
            raise ValueError
        period = containing(kind, _first(kind, [int(part) for part in found.groups()]))
        period.before()  # a report compares with it, and the first one of the calendar has none
    except (ValueError, OverflowError):
        raise UsageError(f"{quote(text)} is not a {kind}", hint=f"write it such as {example}") from None
    if period.first > now.astimezone(UTC).date():
        raise UsageError(f"{quote(text)} lies in the future")
    return period


def containing(kind: Kind, day: date) -> Period:
    """The period that a day belongs to."""
    if kind is Kind.DAY:
        return Period(kind, day, day + timedelta(days=1))
    if kind is Kind.WEEK:
        monday = day - timedelta(days=day.weekday())
        return Period(kind, monday, monday + timedelta(days=7))
    length = 1 if kind is Kind.MONTH else 3
    month = (day.month - 1) // length * length + 1
    after = (day.year + (month + length > 12), (month + length - 1) % 12 + 1)
    return Period(kind, date(day.year, month, 1), date(*after, 1))


def _first(kind: Kind, numbers: list[int]) -> date:
    if kind is Kind.WEEK:
        return date.fromisocalendar(numbers[0], numbers[1], 1)
    if kind is Kind.QUARTER:
        return date(numbers[0], numbers[1] * 3 - 2, 1)
    return date(numbers[0], numbers[1], numbers[2] if kind is Kind.DAY else 1)


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
