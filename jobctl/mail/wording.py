"""Plans, amounts and dates in words, in English, whatever the machine's locale."""

from datetime import UTC, datetime

from jobctl.dates import long_day

_SIGNS = {
    "usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "cny": "CN¥", "inr": "₹", "krw": "₩", "ils": "₪",
    "cad": "CA$", "aud": "A$", "brl": "R$", "mxn": "MX$", "chf": "CHF ", "pln": "zł ", "uah": "₴",
}  # fmt: skip
# as Stripe counts: ISK and UGX have no cents, yet their amounts come in hundredths
_WITHOUT_CENTS = {
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
}  # fmt: skip
_IN_THOUSANDTHS = {"bhd", "jod", "kwd", "omr", "tnd"}


def plan_name(plan: str) -> str:
    """``premium`` as ``Premium Plan``."""
    return f"{plan[:1].upper()}{plan[1:]} Plan" if plan else "Plan"


def money(cents: int | None, currency: str) -> str:
    """An amount in its smallest unit as ``$19.00``, ``¥1,900`` or ``19.00 XYZ``."""
    code = (currency or "usd").lower()
    places = 0 if code in _WITHOUT_CENTS else 3 if code in _IN_THOUSANDTHS else 2
    minus = "-" if (cents or 0) < 0 else ""
    amount = f"{abs(cents or 0) / 10**places:,.{places}f}"
    return f"{minus}{_SIGNS[code]}{amount}" if code in _SIGNS else f"{minus}{amount} {code.upper()}"


def long_date(instant: datetime) -> str:
    """``Monday, January 5, 2026``, in UTC."""
    return long_day(instant.astimezone(UTC))


def per(interval: str, count: int) -> str:
    """``per month`` or ``every 3 months``."""
    return f"per {interval}" if count == 1 else f"every {count} {interval}s"
