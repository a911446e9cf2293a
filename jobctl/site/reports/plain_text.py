"""A report in plain text: its headline figures, and all of it as CSV."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from jobctl.site.english_formats import money

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
HEAD = ("section", "name", "detail", "value", "before")


def headlines(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Label, value, and change against the period before: ``+17 % (35 before)``."""
    figures = report["figures"]
    counts = [
        (label, f"{figures[name]['now']:,}", change(figures[name]["now"], figures[name]["before"]))
        for name, label in LABELS.items()
    ]
    sold = map(revenue, report["revenue"])
    return [*counts, *((f"Revenue, {row['currency']}", row["now"], row["change"]) for row in sold)]


def revenue(row: dict[str, Any]) -> dict[str, str]:
    """The sales in one currency: ``now``, ``before`` and the ``change``, as texts."""
    now, before = (money(row[when], row["currency"]) for when in ("now", "before"))
    shown = change(row["now"], row["before"], before)
    return {"currency": row["currency"].upper(), "now": now, "before": before, "change": shown}


def change(now: int, before: int, shown: str | None = None) -> str:
    """The change of a figure; ``shown`` is the earlier one as a text, if it is not a plain number."""
    shown = f"{before:,}" if shown is None else shown
    if now == before:
        return f"as before ({shown})"
    if before == 0:
        return "new"
    rounded = f"{(now - before) / before * 100:+,.0f}".replace("-", "−")
    return f"{rounded} % ({shown} before)"


def csv_text(report: dict[str, Any]) -> str:
    """The report as CSV (RFC 4180): one value a line, with the value of the period before if it has one."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(HEAD)
    writer.writerows([_cell(value) for value in row] for row in _rows(report))
    return written.getvalue()


def _rows(report: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for name in ("period", "before"):
        yield "report", report["title"], name, report[name]["name"], ""
    for name, label in LABELS.items():
        yield "figures", label, "", report["figures"][name]["now"], report["figures"][name]["before"]
    for row in report["revenue"]:
        yield "revenue", row["currency"].upper(), "", row["now"], row["before"]
    series = report["series"]
    for kind, values in series.items():
        if kind not in {"unit", "labels"}:
            for day, value in zip(series["labels"], values, strict=True):
                yield "days", day, LABELS[kind], value, ""
    for item in report["top_items"]:
        for kind in ("votes", "views", "comments"):
            yield "top items", item["name"], LABELS[kind], item[kind], ""
        yield "top items", item["name"], "Category", item["category"], ""
    for row in report["subscriptions"]:
        yield "subscriptions", row["plan"], row["status"], row["count"], ""


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula begins with an apostrophe.

    See https://owasp.org/www-community/attacks/CSV_Injection.
    """
    if not isinstance(value, str):
        return value
    line = " ".join(value.split())
    return f"'{line}" if line.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) else line
