"""The headline figures of a report in words: for the page, the mail and the terminal."""

from typing import Any

from jobctl.mail.wording import money

LABELS = {
    "sign_ups": "Sign-ups",
    "active_users": "Active users",
    "views": "Views",
    "votes": "Votes",
    "comments": "Comments",
    "started": "Subscriptions started",
    "renewed": "Renewed",
    "expired": "Expired",
    "cancelled": "Cancelled",
}


def headlines(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Label, value, and change against the period before: ``+17 % (35 before)``."""
    figures = report["figures"]
    counts = [
        (label, f"{figures[name]['now']:,}", change(figures[name]["now"], figures[name]["before"]))
        for name, label in LABELS.items()
    ]
    sold = map(revenue, report["revenue"])
    return [*counts, *((f"Revenue, {one['currency']}", one["now"], one["change"]) for one in sold)]


def revenue(row: dict[str, Any]) -> dict[str, str]:
    """What was sold in one currency: ``now``, ``before`` and the ``change``."""
    now, before = (money(row[when], row["currency"]) for when in ("now", "before"))
    return {
        "currency": row["currency"].upper(),
        "now": now,
        "before": before,
        "change": change(row["now"], row["before"], before),
    }


def change(now: int, before: int, shown: str | None = None) -> str:
    """How a figure compares with the one before, which is ``shown`` if that is no plain number."""
    shown = f"{before:,}" if shown is None else shown
    if now == before:
        return f"as before ({shown})"
    if before == 0:
        return "new"
    percent = (now - before) / before * 100
    rounded = f"{percent:+,.0f}".replace("-", "−")
    return f"{rounded} % ({shown} before)"
