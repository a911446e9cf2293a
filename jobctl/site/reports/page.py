"""A report as one HTML file that needs nothing else: no script, no font, no request; with charts as SVG."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl.site.english_formats import long_day, plan_name, short_day
from jobctl.site.reports.plain_text import LABELS, headlines, revenue

if TYPE_CHECKING:
    from jinja2 import Template

WIDTH, HEIGHT = 640, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 14, 30
_WIDEST_COLUMN = 28.0
_LABEL_WIDTH = 46


class Share(NamedTuple):
    """A part of a stacked bar; ``tone`` is a class in the page's style sheet."""

    label: str
    value: int
    tone: str


def ticks(most: float) -> list[int]:
    """Round numbers from 0 to at least ``most``, at most four steps of 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return [0, 1]
    step = 1
    while True:
        for width in (step, 2 * step, 5 * step):
            if width * 4 >= most:
                return list(range(0, width * (int((most - 1) // width) + 1) + 1, width))
        step *= 10


def columns(title: str, labels: Sequence[str], values: Sequence[int], shown: Sequence[str]) -> str:
    """A column chart.

    Args:
        title: for screen readers, together with the sum and the highest value.
        labels: of each value, in full, as a tooltip.
        shown: short labels under the axis; as many as fit.
    """
    marks = ticks(max(values, default=0))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(values))
    width = max(1.5, min(_WIDEST_COLUMN, step * 0.72))
    every = max(1, -(-len(values) * _LABEL_WIDTH // (WIDTH - _LEFT - _RIGHT)))
    summary = f"{title}: {sum(values):,} in all"
    if any(values):
        highest = max(range(len(values)), key=lambda number: values[number])
        summary += f", most on {labels[highest]} with {values[highest]:,}"
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(summary)}" class="chart">']
    for mark in marks:
        y = _y(mark, marks[-1])
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_label("tick", _LEFT - 6, y + 4, "end", _short(mark)))
    for number, (label, value) in enumerate(zip(labels, values, strict=True)):
        x, y = _LEFT + step * number + (step - width) / 2, _y(value, marks[-1])
        parts.append(
            f'<rect class="column" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}"'
            f' height="{HEIGHT - _BOTTOM - y:.1f}" rx="1.5"><title>{escape(label)}: {value:,}</title></rect>'
        )
        if number % every == 0:
            kind = (
                "tick" if number % (3 * every) == 0 else "tick minor"
            )  # the style hides minor ones on phones
            middle, at_end = x + width / 2, x + width / 2 > WIDTH - 30
            place, anchor = (WIDTH - 2.0, "end") if at_end else (middle, "middle")
            parts.append(_label(kind, place, HEIGHT - 6, anchor, escape(shown[number])))
    return "".join([*parts, "</svg>"])


def stacked(title: str, shares: Sequence[Share]) -> str:
    """A bar of parts."""
    total = sum(share.value for share in shares)
    summary = f"{title}: {', '.join(f'{share.label} {share.value}' for share in shares)}"
    parts = [f'<svg viewBox="0 0 {WIDTH} 28" role="img" aria-label="{escape(summary)}" class="stack">']
    x = 0.0
    for share in shares:
        width = WIDTH * share.value / total if total else 0.0
        parts.append(
            f'<rect class="{escape(share.tone)}" x="{x:.1f}" y="0" width="{max(0.0, width - 2):.1f}" height="28"'
            f' rx="3"><title>{escape(share.label)}: {share.value:,}</title></rect>'
        )
        x += width
    return "".join([*parts, "</svg>"])


def _label(kind: str, x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _y(value: float, top: float) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - value / top)


def _short(value: int) -> str:
    """``1,500`` as ``1.5k``."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return str(value)


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
