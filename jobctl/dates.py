"""Days and months in English, whatever locale a job may have set in its process; and where a UTC day begins."""

from datetime import UTC, date, datetime

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def long_day(day: date) -> str:
    """``Monday, January 5, 2026``."""
    return f"{_DAYS[day.weekday()]}, {MONTHS[day.month - 1]} {day.day}, {day.year}"


def short_day(day: date) -> str:
    """``Jan 5``."""
    return f"{MONTHS[day.month - 1][:3]} {day.day}"


def short_month(year: int, month: int) -> str:
    """``Jan 2026``."""
    return f"{MONTHS[month - 1][:3]} {year:04}"


def midnight(day: date) -> datetime:
    """Where a UTC day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
