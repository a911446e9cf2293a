"""The report as one HTML file that needs nothing else: no script, no font, no request."""

from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from jobctl.site.reports.charts import Share, columns, stacked
from jobctl.site.reports.plain_text import headlines, revenue
from jobctl.site.wording import long_day, plan_name, short_day

if TYPE_CHECKING:
    from jinja2 import Template

_SERIES = {"sign_ups": "Sign-ups", "views": "Views", "votes": "Votes", "comments": "Comments"}
_UNWELCOME = ("Expired", "Cancelled")
_STATUSES = ("active", "paused", "pending", "cancelled", "expired")


def page(report: dict[str, Any]) -> str:
    """The page of a report as ``jobs.reports`` puts it together; everything in it is escaped."""
    most = max((item["votes"] for item in report["top_items"]), default=0)
    return _template().render(
        report=report,
        made_at=datetime.fromisoformat(report["made_at"]),
        cards=[_card(*one) for one in headlines(report)],
        charts=_charts(report["series"]),
        items=[
            {**item, "share": round(100 * item["votes"] / most) if most else 0}
            for item in report["top_items"]
        ],
        plans=_plans(report["subscriptions"]),
        statuses=_STATUSES,
        revenue=[revenue(row) for row in report["revenue"]],
    )


def _card(label: str, value: str, changed: str) -> dict[str, str]:
    trend = (
        "up" if changed.startswith("+") or changed == "new" else "down" if changed.startswith("−") else "same"
    )
    welcome = "down" if label in _UNWELCOME else "up"
    tone = "" if trend == "same" else "good" if trend == welcome else "bad"
    size = "long" if len(value) > 7 else ""
    return {"label": label, "value": value, "change": changed, "trend": trend, "tone": tone, "size": size}


def _charts(series: dict[str, Any]) -> list[dict[str, Any]]:
    days = [date.fromisoformat(one) for one in series["labels"]]
    labels = [long_day(day) for day in days]
    shown = [short_day(day) for day in days]
    return [
        {
            "title": title,
            "svg": columns(title, labels, series[name], shown),
            "rows": list(zip(labels, series[name], strict=True)),
            "total": sum(series[name]),
        }
        for name, title in _SERIES.items()
    ]


def _plans(subscriptions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A plan a row, its subscriptions by status."""
    found: dict[str, dict[str, int]] = {}
    for row in subscriptions:
        counts = found.setdefault(row["plan"], {})
        status = row["status"] if row["status"] in _STATUSES else "pending"
        counts[status] = counts.get(status, 0) + row["count"]
    return [
        {
            "name": plan_name(plan),
            "counts": counts,
            "total": sum(counts.values()),
            "svg": stacked(
                plan_name(plan), [Share(one, counts[one], one) for one in _STATUSES if counts.get(one)]
            ),
        }
        for plan, counts in sorted(found.items())
    ]


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
    templates.filters["svg"] = Markup  # made by charts.py, which escapes what is put into it
    return templates.get_template("report.html")
