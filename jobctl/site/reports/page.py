"""A report as one HTML file that needs nothing else: no script, no font, no request."""

from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from jobctl.site.english_formats import long_day, plan_name, short_day
from jobctl.site.reports.charts import Share, columns, stacked
from jobctl.site.reports.plain_text import LABELS, headlines, revenue

if TYPE_CHECKING:
    from jinja2 import Template

_SERIES = ("sign_ups", "views", "votes", "comments")
_UNWELCOME = ("Expired", "Cancelled")
_STATUSES = ("active", "paused", "pending", "cancelled", "expired")


def page(report: dict[str, Any]) -> str:
    """The page of a report, as ``jobs.reports`` computes it; every text in it is escaped."""
    most = max((item["votes"] for item in report["top_items"]), default=0)
    return _template().render(
        report=report,
        made_at=datetime.fromisoformat(report["made_at"]),
        cards=[_card(*headline) for headline in headlines(report)],
        charts=_charts(report["series"]),
        items=[
            {**item, "share": round(100 * item["votes"] / most) if most else 0}
            for item in report["top_items"]
        ],
        plans=_plans(report["subscriptions"]),
        statuses=_STATUSES,
        revenue=[revenue(row) for row in report["revenue"]],
    )


def _card(label: str, value: str, change: str) -> dict[str, str]:
    trend = (
        "up" if change.startswith("+") or change == "new" else "down" if change.startswith("−") else "same"
    )
    welcome = "down" if label in _UNWELCOME else "up"
    tone = "" if trend == "same" else "good" if trend == welcome else "bad"
    size = "long" if len(value) > 7 else ""
    return {"label": label, "value": value, "change": change, "trend": trend, "tone": tone, "size": size}


def _charts(series: dict[str, Any]) -> list[dict[str, Any]]:
    days = [date.fromisoformat(day) for day in series["labels"]]
    labels, shown = [long_day(day) for day in days], [short_day(day) for day in days]
    return [
        {
            "title": LABELS[name],
            "svg": columns(LABELS[name], labels, series[name], shown),
            "rows": list(zip(labels, series[name], strict=True)),
            "total": sum(series[name]),
        }
        for name in _SERIES
    ]


def _plans(subscriptions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each plan with its subscriptions by status."""
    counts: dict[str, dict[str, int]] = {}
    for row in subscriptions:
        by_status = counts.setdefault(row["plan"], dict.fromkeys(_STATUSES, 0))
        by_status[row["status"] if row["status"] in _STATUSES else "pending"] += row["count"]
    found = []
    for plan, by_status in sorted(counts.items()):
        name = plan_name(plan)
        shares = [Share(status, count, status) for status, count in by_status.items() if count]
        total = sum(by_status.values())
        found.append({"name": name, "counts": by_status, "total": total, "svg": stacked(name, shares)})
    return found


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    templates = Environment(
        loader=PackageLoader("jobctl.site.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["svg"] = Markup  # charts.py escapes what it is given
    return templates.get_template("report.html")
