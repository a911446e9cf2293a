"""What ``analytics`` shows: one result as a table with bars, or as rows for a pipe."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from jobctl.analytics.results import Analytic
from jobctl.cli.views.chart import bar, sparkline
from jobctl.cli.views.look import Look
from jobctl.cli.views.metrics import share
from jobctl.cli.views.table import Cell, Column, rows, table
from jobctl.cli.views.times import ago
from jobctl.clock import iso
from jobctl.runs.store import CachedResult

Entries = list[dict[str, Any]]


class Found(NamedTuple):
    """One result in the cache, or that there is none."""

    analytic: Analytic
    key: str
    result: CachedResult | None


def document(found: Iterable[Found], now: datetime) -> dict[str, Any]:
    """The JSON document: by cache key, as the site's pages have them."""
    return {
        one.key: {
            "data": one.result.value,
            "computed_at": iso(one.result.computed_at),
            "expires_at": iso(one.result.expires_at),
            "expired": one.result.expires_at <= now,
        }
        for one in found
        if one.result is not None
    }


def piped(found: Iterable[Found]) -> Iterable[str]:
    """One entry a line: the cache key, then its values, tabs between."""
    return rows(
        (), ((one.key, *map(str, entry.values())) for one in found for entry in _entries(one)), header=False
    )


def _entries(found: Found) -> Entries:
    value = found.result.value if found.result else []
    return value if isinstance(value, list) else [value]


def screen(found: Sequence[Found], now: datetime, look: Look) -> Iterator[str]:
    """Each with its title and age."""
    for number, one in enumerate(found):
        if number:
            yield ""
        window = one.key.rpartition("_")[2]
        scope = f", last {window} {one.analytic.unit}" if one.analytic.windows else ""
        if one.result is None:
            yield look.paint(f"{one.analytic.title}{scope}", "bold")
            yield f"nothing is in the cache. Work it out: jobctl trigger {one.analytic.job_id}"
            continue
        old = one.result.expires_at <= now
        age = f"  worked out {ago(one.result.computed_at, now)}" + (", expired since" if old else "")
        yield look.paint(f"{one.analytic.title}{scope}", "bold") + look.paint(age, "yellow" if old else "dim")
        value = one.result.value
        yield from _empty(value) or _DRAWN[one.analytic.name](value, now, look)


def _empty(value: Any) -> list[str]:
    return [] if value else ["there is nothing yet"]


def _growth(entries: Entries, now: datetime, look: Look) -> list[str]:
    del now
    most = max(entry["users"] for entry in entries)
    titles = [Column("MONTH"), Column("NEW", right=True), Column("ALL", right=True), Column("")]
    width = min(40, max(5, look.width - 34))
    return table(
        titles,
        [
            [
                Cell(entry["month"]),
                Cell(f"{entry['users']:,}"),
                Cell(f"{entry['active']:,}"),
                Cell(bar(entry["users"], most, width, look), "green"),
            ]
            for entry in entries
        ],
        look,
    )


def _trends(entries: Entries, now: datetime, look: Look) -> list[str]:
    del now
    kinds = ("views", "votes", "comments")
    totals = {kind: sum(entry[kind] for entry in entries) for kind in kinds}
    lines = [
        f"{kind:<9}{sparkline([entry[kind] for entry in entries], look)}  {totals[kind]:,} in all"
        for kind in kinds
    ]
    titles = [Column("DAY"), *(Column(kind.upper(), right=True) for kind in kinds), Column("")]
    most = max(entry["views"] for entry in entries)
    width = min(40, max(5, look.width - 42))
    cells = [
        [
            Cell(entry["day"]),
            *(Cell(f"{entry[kind]:,}") for kind in kinds),
            Cell(bar(entry["views"], most, width, look), "cyan"),
        ]
        for entry in entries
    ]
    return [*lines, "", *table(titles, cells, look)]


def _top(entries: Entries, now: datetime, look: Look) -> list[str]:
    del now
    most = max(entry["votes"] for entry in entries)
    titles = [
        Column("", right=True),
        Column("ITEM", least=12),
        Column("VOTES", right=True),
        Column("VIEWS", right=True),
        Column("CATEGORY", least=12),
        Column(""),
    ]
    cells = [
        [
            Cell(str(place)),
            Cell(entry["name"]),
            Cell(f"{entry['votes']:,}"),
            Cell(f"{entry['views']:,}"),
            Cell(entry["category"], "dim"),
            Cell(bar(entry["votes"], most, 12, look), "green"),
        ]
        for place, entry in enumerate(entries, 1)
    ]
    return table(titles, cells, look)


def _recent(entries: Entries, now: datetime, look: Look) -> list[str]:
    titles = [Column("WHEN"), Column("WHO", least=12), Column("WHAT", least=12)]
    cells = [
        [
            Cell(ago(datetime.fromisoformat(entry["timestamp"]), now), "dim"),
            Cell(entry["user"]),
            Cell(entry["description"]),
        ]
        for entry in entries
    ]
    return table(titles, cells, look)


def _performance(value: dict[str, Any], now: datetime, look: Look) -> list[str]:
    del now, look
    words = {
        "answered by the cache": share(value["cacheHitRate"]),
        "queries in all": f"{value['totalQueries']:,}",
        "from the cache": f"{value['cachedQueries']:,}",
        "mean query time": _ms(value["averageQueryTime"]),
        "database round trip": _ms(value["databaseRoundTrip"]),
        "connections in use": "-" if value["connectionsInUse"] is None else str(value["connectionsInUse"]),
    }
    return [f"{name:<23}{text}" for name, text in words.items()]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} ms"


_DRAWN: dict[str, Callable[[Any, datetime, Look], list[str]]] = {
    "user-growth": _growth,
    "activity-trends": _trends,
    "top-items": _top,
    "recent-activity": _recent,
    "performance-metrics": _performance,
}
