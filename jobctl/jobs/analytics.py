"""The analytics jobs: compute a result and cache it in the run store, or remove what has expired."""

from collections.abc import Callable
from contextlib import closing

from jobctl.clock import SystemClock
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.site.analytics import results
from jobctl.site.database.session import Database
from jobctl.store.logs import prune_runs_and_logs


def user_growth() -> JobResult:
    """Sign-ups per month."""
    from jobctl.site.analytics.queries import user_growth as compute

    return _compute(results.USER_GROWTH, lambda _, database: compute(database))


def activity_trends() -> JobResult:
    """Views, votes and comments per day."""
    from jobctl.site.analytics.queries import activity_trends as compute

    return _compute(results.ACTIVITY_TRENDS, lambda _, database: compute(database, SystemClock().now()))


def top_items() -> JobResult:
    """The items with the most votes."""
    from jobctl.site.analytics.queries import top_items as compute

    return _compute(
        results.TOP_ITEMS, lambda project, database: compute(database, project.environment.content)
    )


def recent_activity() -> JobResult:
    """The newest sign-ups, comments and votes."""
    from jobctl.site.analytics.queries import recent_activity as compute

    return _compute(
        results.RECENT_ACTIVITY, lambda project, database: compute(database, project.environment.content)
    )


def performance_metrics() -> JobResult:
    """Hit rate of the cache, and response times of the database."""
    from jobctl.site.analytics.queries import performance as compute

    return _compute(
        results.PERFORMANCE,
        lambda project, database: compute(database, project.open_store().counters()),
        count_queries=False,
    )


def _compute(
    analytic: results.Analytic,
    compute: Callable[[ProjectContext, Database], results.Results],
    *,
    count_queries: bool = True,
) -> JobResult:
    project = ProjectContext.of_worker()
    database = Database.open(project.environment, project.folder)
    _ = database.tenant_id  # raises without a tenant: no result means anything then
    with closing(project):
        found = compute(project, database)
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
