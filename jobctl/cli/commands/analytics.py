"""``jobctl analytics [NAME]``: the results of the analytics jobs, from the run store's cache."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from jobctl.cli.context import Context
from jobctl.cli.terminal import Bar, Column, Terminal, rows, sparkline
from jobctl.cli.times import share
from jobctl.clock import iso
from jobctl.durations import ago
from jobctl.errors import StoreError, UsageError
from jobctl.site.analytics.results import ANALYTICS, HITS, MISSES, Analytic
from jobctl.text import quote, suggestion

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jobctl.store.base import RunStore
    from jobctl.store.records import CachedResult


def run(
    context: Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help=f"One of {', '.join(analytic.name for analytic in ANALYTICS)}.",
            autocompletion=lambda: [analytic.name for analytic in ANALYTICS],
        ),
    ] = None,
    *,
    window: Annotated[
        int | None,
        typer.Option("--window", metavar="N", min=1, help="Number of months, days, items or events."),
    ] = None,
) -> int:
    """Show what the analytics jobs found; report makes a report.

    Examples:
        jobctl analytics
        jobctl analytics user-growth --window 24
        jobctl analytics top-items --json
    """
    out = context.output
    chosen = [_named(name)] if name else list(ANALYTICS)
    store = context.store_if_any
    kept = {cached.key: cached for cached in store.cached()} if store else {}
    keys = [
        (analytic, key)
        for analytic in chosen
        for key in _keys(analytic, window, one_each=out.is_terminal and not out.json)
    ]
    entries = [CacheEntry(analytic, key, kept.get(key)) for analytic, key in keys]
    now = context.now()
    if store is not None:
        hits = sum(entry.result is not None and entry.result.expires_at > now for entry in entries)
        _count(store, hits, len(entries) - hits)
    if out.json:
        out.document(document(entries, now))
    else:
        out.present(lambda terminal: screen(entries, now, terminal), lambda: piped(entries))
    if not any(entry.result for entry in entries) and context.catalogue.note:
        out.note(context.catalogue.note)
    return 0


def _named(name: str) -> Analytic:
    """An analytic by its name, its job's id or its prefix in the cache."""
    for analytic in ANALYTICS:
        if name in {analytic.name, analytic.job_id, analytic.prefix}:
            return analytic
    names = [analytic.name for analytic in ANALYTICS]
    raise UsageError(
        f"there are no analytics {quote(name)}", hint=suggestion(name, names, f"all: {', '.join(names)}")
    )


def _keys(analytic: Analytic, window: int | None, *, one_each: bool) -> tuple[str, ...]:
    keys = analytic.keys
    if window is None or not analytic.windows:
        return (keys[(len(keys) - 1) // 2],) if one_each else keys
    if window not in analytic.windows:
        known = ", ".join(str(window) for window in analytic.windows)
        raise UsageError(
            f"{analytic.name} has no window of {window} {analytic.unit}", hint=f"it has: {known}"
        )
    return (analytic.key(window),)


def _count(store: "RunStore", hits: int, misses: int) -> None:
    """Count cache hits and misses for ``analytics-performance-metrics``, if the store can be written."""
    changes = {name: number for name, number in ((HITS, hits), (MISSES, misses)) if number}
    with suppress(StoreError):
        if changes:
            store.count(changes)


Entries = list[dict[str, Any]]


class CacheEntry(NamedTuple):
    """A key of the cache with its result, None where it was never computed."""

    analytic: Analytic
    key: str
    result: "CachedResult | None"


def document(entries: Iterable[CacheEntry], now: datetime) -> dict[str, Any]:
    """The JSON document: by cache key, as the site's pages have them."""
    return {
        entry.key: {
            "data": entry.result.value,
            "computed_at": iso(entry.result.computed_at),
            "expires_at": iso(entry.result.expires_at),
            "expired": entry.result.expires_at <= now,
        }
        for entry in entries
        if entry.result is not None
    }


def piped(entries: Iterable[CacheEntry]) -> Iterable[str]:
    """A line per entry: the cache key and the values, separated by tabs."""
    return rows(
        (),
        (
            (entry.key, *("" if cell is None else str(cell) for cell in value.values()))
            for entry in entries
            for value in _values(entry)
        ),
        header=False,
    )


def _values(entry: CacheEntry) -> Entries:
    value = entry.result.value if entry.result else []
    return value if isinstance(value, list) else [value]


def screen(entries: Sequence[CacheEntry], now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    """The results, each with its title and age."""
    for number, entry in enumerate(entries):
        if number:
            yield ""
        window = entry.key.rpartition("_")[2]
        scope = f", last {window} {entry.analytic.unit}" if entry.analytic.windows else ""
        yield terminal.heading(f"{entry.analytic.title}{scope}")
        if entry.result is None:
            yield f"no result yet. Compute it: jobctl trigger {entry.analytic.job_id}"
            continue
        old = entry.result.expires_at <= now
        age = f"computed {ago(entry.result.computed_at, now)}" + (", expired since" if old else "")
        yield terminal.text(age, "yellow" if old else "dim")
        if entry.result.value:
            yield from _DRAWN[entry.analytic.name](entry.result.value, now, terminal)
        else:
            yield "there is nothing yet"


def _growth(entries: Entries, now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    del now
    most = max(entry["users"] for entry in entries)
    yield terminal.table(
        [Column("MONTH"), Column("NEW", right=True), Column("ALL", right=True), Column("")],
        [
            [
                entry["month"],
                f"{entry['users']:,}",
                f"{entry['active']:,}",
                Bar(entry["users"], most, "green", unicode=terminal.unicode),
            ]
            for entry in entries
        ],
        keep=4,
    )


def _trends(entries: Entries, now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    del now
    kinds = ("views", "votes", "comments")
    totals = {kind: sum(entry[kind] for entry in entries) for kind in kinds}
    yield terminal.fields(
        (
            kind,
            f"{sparkline([entry[kind] for entry in entries], unicode=terminal.unicode)}  {totals[kind]:,} in all",
        )
        for kind in kinds
    )
    yield ""
    most = max(entry["views"] for entry in entries)
    yield terminal.table(
        [Column("DAY"), *(Column(kind.upper(), right=True) for kind in kinds), Column("")],
        [
            [
                entry["day"],
                *(f"{entry[kind]:,}" for kind in kinds),
                Bar(entry["views"], most, "cyan", unicode=terminal.unicode),
            ]
            for entry in entries
        ],
        keep=4,
    )


def _top(entries: Entries, now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    del now
    most = max(entry["votes"] for entry in entries)
    yield terminal.table(
        [
            Column("", right=True),
            Column("ITEM", wraps=True),
            Column("VOTES", right=True),
            Column("VIEWS", right=True),
            Column("CATEGORY", wraps=True),
            Column(""),
        ],
        [
            [
                str(place),
                entry["name"],
                f"{entry['votes']:,}",
                f"{entry['views']:,}",
                terminal.text(entry["category"], "dim"),
                Bar(entry["votes"], most, "green", unicode=terminal.unicode),
            ]
            for place, entry in enumerate(entries, 1)
        ],
        keep=3,
    )


def _recent(entries: Entries, now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    yield terminal.table(
        [Column("WHEN"), Column("WHO", wraps=True), Column("WHAT", wraps=True)],
        [
            [
                terminal.text(ago(datetime.fromisoformat(entry["timestamp"]), now), "dim"),
                entry["user"],
                entry["description"],
            ]
            for entry in entries
        ],
        keep=3,
    )


def _performance(value: dict[str, Any], now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    del now
    yield terminal.fields(
        [
            ("answered by the cache", share(value["cacheHitRate"])),
            ("queries in all", f"{value['totalQueries']:,}"),
            ("from the cache", f"{value['cachedQueries']:,}"),
            ("mean query time", _ms(value["averageQueryTime"])),
            ("database round trip", _ms(value["databaseRoundTrip"])),
            (
                "connections in use",
                "-" if value["connectionsInUse"] is None else str(value["connectionsInUse"]),
            ),
        ]
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f} ms"


_DRAWN: "dict[str, Callable[[Any, datetime, Terminal], Iterable[RenderableType]]]" = {
    "user-growth": _growth,
    "activity-trends": _trends,
    "top-items": _top,
    "recent-activity": _recent,
    "performance-metrics": _performance,
}
