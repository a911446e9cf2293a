"""Plans, amounts and dates in words, in English, whatever the machine's locale."""

from datetime import UTC, datetime

_SIGNS = {
    "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cny": "CN¥", "inr": "₹", "krw": "₩", "ils": "₪",
    "cad": "CA$", "aud": "A$", "brl": "R$", "mxn": "MX$", "chf": "CHF ", "pln": "zł ", "uah": "₴",
}  # fmt: skip
_WITHOUT_CENTS = {"jpy", "krw", "vnd", "clp", "isk", "ugx", "xaf", "xof", "xpf"}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


def plan_name(plan: str) -> str:
    """``premium`` as ``Premium Plan``."""
    return f"{plan[:1].upper()}{plan[1:]} Plan" if plan else "Plan"


def money(cents: int | None, currency: str) -> str:
    """An amount in its smallest unit as ``$19.00``, ``¥1,900`` or ``19.00 XYZ``."""
    code = (currency or "usd").lower()
    amount = f"{cents or 0:,}" if code in _WITHOUT_CENTS else f"{(cents or 0) / 100:,.2f}"
    return f"{_SIGNS[code]}{amount}" if code in _SIGNS else f"{amount} {code.upper()}"


def long_date(instant: datetime) -> str:
    """``Monday, January 5, 2026``, in UTC."""
    day = instant.astimezone(UTC)
    return f"{_DAYS[day.weekday()]}, {_MONTHS[day.month - 1]} {day.day}, {day.year}"


def per(interval: str, count: int) -> str:
    """``per month`` or ``every 3 months``."""
    return f"per {interval}" if count == 1 else f"every {count} {interval}s"
