"""The analytics jobs: compute a result and cache it in the run store, or remove what has expired."""

from contextlib import closing
from typing import TYPE_CHECKING

from jobctl.clock import SystemClock
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.site.analytics import results
from jobctl.store.logs import prune_runs_and_logs

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from jobctl.site.database.session import Database


def user_growth() -> JobResult:
    """Sign-ups per month."""
    return _compute(results.USER_GROWTH, lambda queries, database, _: queries.user_growth(database))


def activity_trends() -> JobResult:
    """Views, votes and comments per day."""
    now = SystemClock().now()
    return _compute(
        results.ACTIVITY_TRENDS, lambda queries, database, _: queries.activity_trends(database, now)
    )


def top_items() -> JobResult:
    """The items with the most votes."""
    return _compute(
        results.TOP_ITEMS,
        lambda queries, database, project: queries.top_items(database, project.environment.content),
    )


def recent_activity() -> JobResult:
    """The newest sign-ups, comments and votes."""
    return _compute(
        results.RECENT_ACTIVITY,
        lambda queries, database, project: queries.recent_activity(database, project.environment.content),
    )


def performance_metrics() -> JobResult:
    """Hit rate of the cache, and response times of the database."""
    return _compute(
        results.PERFORMANCE,
        lambda queries, database, project: queries.performance(database, project.open_store().counters()),
        count_queries=False,
    )


def _compute(
    analytic: results.Analytic,
    compute: "Callable[[ModuleType, Database, ProjectContext], results.Results]",
    *,
    count_queries: bool = True,
) -> JobResult:
    from jobctl.site.analytics import queries
    from jobctl.site.database.session import Database

    project = ProjectContext.of_worker()
    database = Database.open(project.environment, project.folder)
    _ = database.tenant_id  # raises without a tenant: no result means anything then
    with closing(project):
        found = compute(queries, database, project)
        now = SystemClock().now()
        store = project.open_store()
        store.cache_put(found, now, now + analytic.lifetime)
        if count_queries:
            microseconds = round(database.statement_time * 1e6)
            store.count({results.QUERIES: database.statements, results.QUERY_US: microseconds})
    return JobResult(
        processed=len(found),
        successful=len(found),
        message=f"{analytic.title}: {', '.join(found)}",
        details={
            "entries": {key: len(value) if isinstance(value, list) else 1 for key, value in found.items()},
            "queries": database.statements,
            "query_ms": round(database.statement_time * 1000, 3),
        },
    )


def cache_cleanup() -> JobResult:
    """Remove expired results, and old runs with their logs; sets ``last_cleanup``.

    Resets the counters that ``analytics-performance-metrics`` shows.
    """
    project = ProjectContext.of_worker()
    now = SystemClock().now()
    with closing(project.open_store()) as store:
        expired = store.cache_purge(now)
        runs = prune_runs_and_logs(store, project.state / "logs", now)
        store.reset_counters()
    message = f"{expired} expired results and {runs} old runs removed"
    print(message)
    removed = expired + runs
    return JobResult(
        processed=removed, successful=removed, message=message, details={"expired": expired, "runs": runs}
    )
