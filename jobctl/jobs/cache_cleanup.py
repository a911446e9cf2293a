"""``analytics-cache-cleanup``: removes what has expired, and what is old."""

from jobctl.jobs.here import Here
from jobctl.model import JobResult
from jobctl.store.logs import prune_runs_and_logs


def cache_cleanup() -> JobResult:
    """Remove expired results from the cache and old runs with their logs; sets ``last_cleanup``.

    The counters that ``analytics-performance-metrics`` shows begin anew.
    """
    here = Here.find()
    with here.store() as store:
        now = here.now()
        expired = store.cache_purge(now)
        runs = prune_runs_and_logs(store, here.state / "logs", now)
        store.reset_counters()
    message = f"{expired} expired results and {runs} old runs removed"
    print(message)
    removed = expired + runs
    return JobResult(
        processed=removed, successful=removed, message=message, details={"expired": expired, "runs": runs}
    )
