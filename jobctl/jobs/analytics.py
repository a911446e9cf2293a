"""The analytics jobs: work a result out and keep it where any process can read it, or remove what has expired."""

from collections.abc import Callable
from contextlib import closing

from jobctl.clock import SystemClock
from jobctl.model import JobResult
from jobctl.project import ProjectContext
from jobctl.site.analytics.results import (
    ACTIVITY_TRENDS,
    PERFORMANCE,
    QUERIES,
    QUERY_US,
    RECENT_ACTIVITY,
    TOP_ITEMS,
    USER_GROWTH,
    Analytic,
    Results,
)
from jobctl.site.database.session import Database
from jobctl.store.logs import prune_runs_and_logs


def user_growth() -> JobResult:
    """Sign-ups a month."""
    from jobctl.site.analytics.queries import user_growth as compute

    return _keep(USER_GROWTH, lambda _, database: compute(database))


def activity_trends() -> JobResult:
    """Views, votes and comments a day."""
    from jobctl.site.analytics.queries import activity_trends as compute

    return _keep(ACTIVITY_TRENDS, lambda _, database: compute(database, SystemClock().now()))


def top_items() -> JobResult:
    """The most voted items."""
    from jobctl.site.analytics.queries import top_items as compute

    return _keep(TOP_ITEMS, lambda project, database: compute(database, project.environment.content))


def recent_activity() -> JobResult:
    """The newest sign-ups, comments and votes."""
    from jobctl.site.analytics.queries import recent_activity as compute

    return _keep(RECENT_ACTIVITY, lambda project, database: compute(database, project.environment.content))


def performance_metrics() -> JobResult:
    """How the cache and the database do."""
    from jobctl.site.analytics.queries import performance as compute

    return _keep(
        PERFORMANCE,
        lambda project, database: compute(database, project.open_store().counters()),
        counts=False,
    )


def _keep(
    analytic: Analytic, compute: Callable[[ProjectContext, Database], Results], *, counts: bool = True
) -> JobResult:
    """Compute the results, store them with their lifetime, and count the queries."""
    project = ProjectContext.of_worker()
    database = Database.open(project.environment, project.folder)
    _ = database.tenant_id  # without a tenant none of them means anything
    with closing(project):
        results = compute(project, database)
        now = SystemClock().now()
        store = project.open_store()
        store.cache_put(results, now, now + analytic.lifetime)
        if counts:
            store.count({QUERIES: database.statements, QUERY_US: round(database.statement_time * 1e6)})
    sizes = {key: len(value) if isinstance(value, list) else 1 for key, value in results.items()}
    return JobResult(
        processed=len(results),
        successful=len(results),
        message=f"{analytic.title}: {', '.join(results)}",
        details={
            "entries": sizes,
            "queries": database.statements,
            "query_ms": round(database.statement_time * 1000, 3),
        },
    )


def cache_cleanup() -> JobResult:
    """Remove expired results from the cache and old runs with their logs; sets ``last_cleanup``.

    The counters that ``analytics-performance-metrics`` shows begin anew.
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
