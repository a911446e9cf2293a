"""A report in plain text: its headline figures, and all of it as CSV."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from jobctl.site.wording import money

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


HEAD = ("section", "name", "detail", "value", "before")


def table(report: dict[str, Any]) -> str:
    """The figures, revenue, days, top items and subscriptions of a report, as ``jobs.reports`` puts it together.

    Lines end as RFC 4180 has them. A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(HEAD)
    writer.writerows([_plain(cell) for cell in row] for row in _rows(report))
    return written.getvalue()


def _rows(report: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for name in ("period", "before"):
        yield "report", report["title"], name, report[name]["name"], ""
    for name, label in LABELS.items():
        yield "figures", label, "", report["figures"][name]["now"], report["figures"][name]["before"]
    for one in report["revenue"]:
        yield "revenue", one["currency"].upper(), "", one["now"], one["before"]
    series = report["series"]
    for kind, values in series.items():
        if kind not in {"unit", "labels"}:
            for day, value in zip(series["labels"], values, strict=True):
                yield "days", day, LABELS[kind], value, ""
    for item in report["top_items"]:
        for kind in ("votes", "views", "comments"):
            yield "top items", item["name"], LABELS[kind], item[kind], ""
        yield "top items", item["name"], "Category", item["category"], ""
    for one in report["subscriptions"]:
        yield "subscriptions", one["plan"], one["status"], one["count"], ""


def _plain(cell: Any) -> Any:
    """https://owasp.org/www-community/attacks/CSV_Injection; a number stays one."""
    if not isinstance(cell, str):
        return cell
    line = " ".join(cell.split())
    return f"'{line}" if line.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) else line
