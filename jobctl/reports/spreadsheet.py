"""A report as CSV: one value a line, with the value of the period before where it has one."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from jobctl.reports.headline import LABELS

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
