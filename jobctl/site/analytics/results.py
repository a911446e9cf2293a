"""The analytics results in the run store's cache: keys, windows, lifetimes.

They are those of the Ever Works Template, so that the site's pages find them.
"""

from datetime import timedelta
from typing import Any, NamedTuple


class Analytic(NamedTuple):
    """A kind of result.

    Attributes:
        name: as ``jobctl analytics`` takes it.
        title: for people.
        prefix: of its cache keys, one per window: ``user_growth_12``.
        windows: how many of ``unit`` each result covers; empty for a single result without a window.
        lifetime: of a result in the cache.
    """

    name: str
    title: str
    prefix: str
    windows: tuple[int, ...]
    unit: str
    lifetime: timedelta

    @property
    def job_id(self) -> str:
        """The job that computes it."""
        return f"analytics-{self.name}"

    @property
    def keys(self) -> tuple[str, ...]:
        """Its keys in the cache."""
        return tuple(self.key(window) for window in self.windows) or (self.prefix,)

    def key(self, window: int) -> str:
        """The key of a window."""
        return f"{self.prefix}_{window}"


USER_GROWTH = Analytic(
    "user-growth", "User growth", "user_growth", (6, 12, 24), "months", timedelta(minutes=10)
)
ACTIVITY_TRENDS = Analytic(
    "activity-trends", "Activity trends", "activity_trends", (7, 14, 30), "days", timedelta(minutes=5)
)
TOP_ITEMS = Analytic("top-items", "Top items", "top_items", (10, 20, 50), "items", timedelta(minutes=15))
RECENT_ACTIVITY = Analytic(
    "recent-activity", "Recent activity", "recent_activity", (10, 20), "events", timedelta(minutes=2)
)
# computed every 30 s: a result outlives one late run
PERFORMANCE = Analytic(
    "performance-metrics", "Performance metrics", "performance_metrics", (), "", timedelta(minutes=1)
)

ANALYTICS = (USER_GROWTH, ACTIVITY_TRENDS, TOP_ITEMS, RECENT_ACTIVITY, PERFORMANCE)

HITS, MISSES = "cache_hits", "cache_misses"
QUERIES, QUERY_US = "queries", "query_us"
"""Counters of the run store since the last cleanup; ``QUERY_US`` is in microseconds."""

Results = dict[str, Any]
"""JSON values by cache key."""
