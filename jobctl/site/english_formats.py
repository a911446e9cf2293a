"""Dates, plans and amounts in English, whatever the machine's locale; the beginning of a day."""

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


def short_month(month: str) -> str:
    """``2026-01`` as ``Jan 2026``."""
    year, _, number = month.partition("-")
    return f"{MONTHS[int(number) - 1][:3]} {year}"


def midnight(day: date) -> datetime:
    """The beginning of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


_SIGNS = {
    "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cny": "CN¥", "inr": "₹", "krw": "₩", "ils": "₪",
    "cad": "CA$", "aud": "A$", "brl": "R$", "mxn": "MX$", "chf": "CHF ", "pln": "zł ", "uah": "₴",
}  # fmt: skip
# ISO 4217; every other currency is shown with two decimals
_WITHOUT_DECIMALS = {
    "bif", "clp", "djf", "gnf", "isk", "jpy", "kmf", "krw", "pyg", "rwf", "ugx", "uyi", "vnd", "vuv", "xaf", "xof",
    "xpf",
}  # fmt: skip
_WITH_THREE = {"bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"}


def plan_name(plan: str) -> str:
    """``premium`` as ``Premium Plan``."""
    return f"{plan[:1].upper()}{plan[1:]} Plan" if plan else "Plan"


def money(amount: float | None, currency: str) -> str:
    """An amount in whole units of its currency, as the site stores it: ``$19.00``, ``¥1,900`` or ``19.00 XYZ``."""
    code = (currency or "usd").lower()
    places = 0 if code in _WITHOUT_DECIMALS else 3 if code in _WITH_THREE else 2
    minus = "-" if (amount or 0) < 0 else ""
    shown = f"{abs(amount or 0):,.{places}f}"
    return f"{minus}{_SIGNS[code]}{shown}" if code in _SIGNS else f"{minus}{shown} {code.upper()}"


def long_date(instant: datetime) -> str:
    """``Monday, January 5, 2026``, in UTC."""
    return long_day(instant.astimezone(UTC))


def per(interval: str, count: int) -> str:
    """``per month`` or ``every 3 months``."""
    return f"per {interval}" if count == 1 else f"every {count} {interval}s"
