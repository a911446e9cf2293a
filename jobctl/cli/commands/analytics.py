"""``jobctl analytics [NAME]``: what the analytics jobs have found, from the run store's cache."""

from contextlib import suppress
from typing import Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import MOST, argument, option
from jobctl.cli.views.analytics import Found, document, piped, screen
from jobctl.errors import StoreError, UsageError
from jobctl.site.analytics.results import ANALYTICS, HITS, MISSES, Analytic
from jobctl.store.records import RunStore
from jobctl.text import quote, suggestion


class Options(NamedTuple):
    """What is asked for. ``window`` None is the middle one on a screen, all elsewhere."""

    name: Annotated[str | None, argument("NAME")] = None
    window: Annotated[int | None, option("analytics", "--window", min=1, max=MOST)] = None


def run(options: Options, context: Context) -> int:
    """Look into the cache and show."""
    out = context.output
    chosen = [_named(options.name)] if options.name else list(ANALYTICS)
    store = context.store_if_any
    kept = {one.key: one for one in store.cached()} if store else {}
    keys = [
        (one, key)
        for one in chosen
        for key in _keys(one, options.window, one_each=out.is_terminal and not out.json)
    ]
    found = [Found(one, key, kept.get(key)) for one, key in keys]
    now = context.now()
    if store is not None:
        hits = sum(one.result is not None and one.result.expires_at > now for one in found)
        _count(store, hits, len(found) - hits)
    if out.json:
        out.document(document(found, now))
    else:
        out.present(lambda terminal: screen(found, now, terminal), lambda: piped(found))
    return 0


def _named(name: str) -> Analytic:
    """An analytic by its name, its job's id or its prefix in the cache."""
    for one in ANALYTICS:
        if name in {one.name, one.job_id, one.prefix}:
            return one
    names = [one.name for one in ANALYTICS]
    raise UsageError(
        f"there are no analytics {quote(name)}", hint=suggestion(name, names, f"all: {', '.join(names)}")
    )


def _keys(analytic: Analytic, window: int | None, *, one_each: bool) -> tuple[str, ...]:
    keys = analytic.keys
    if window is None or not analytic.windows:
        return (keys[(len(keys) - 1) // 2],) if one_each else keys
    if window not in analytic.windows:
        known = ", ".join(str(one) for one in analytic.windows)
        raise UsageError(
            f"{analytic.name} has no window of {window} {analytic.unit}", hint=f"it has: {known}"
        )
    return (analytic.key(window),)


def _count(store: RunStore, hits: int, misses: int) -> None:
    """For ``analytics-performance-metrics``. A store that cannot be written is looked at all the same."""
    changes = {name: number for name, number in ((HITS, hits), (MISSES, misses)) if number}
    with suppress(StoreError):
        if changes:
            store.count(changes)
