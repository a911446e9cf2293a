"""The built-in jobs, as data: the scheduler never imports their code.

Ids, names and schedules are those of the Ever Works Template.
"""

from typing import Any, NamedTuple


class BuiltIn(NamedTuple):
    """A job that comes with jobctl.

    Attributes:
        settings: as in a project file.
        needs: ``database`` or ``mail``, if it must be configured.
        dry_run: whether it can report what it would do, without doing it.
    """

    id: str
    name: str
    settings: dict[str, Any]
    needs: tuple[str, ...] = ()
    dry_run: bool = False


def _analytics(kind: str, name: str, every: str) -> BuiltIn:
    function = kind.replace("-", "_")
    settings = {"call": f"jobctl.jobs.analytics:{function}", "every": every, "timeout": "5m"}
    return BuiltIn(f"analytics-{kind}", name, settings, ("database",))


def _report(kind: str, name: str, cron: str) -> BuiltIn:
    function = kind.replace("-", "_")
    settings = {
        "call": f"jobctl.jobs.reports:{function}",
        "cron": cron,
        "timeout": "15m",
        "retries": 3,
        "retry_delay": "1m",
        "catch_up": "each",
    }
    return BuiltIn(f"report-{kind}", name, settings, ("database",))


BUILT_IN = (
    BuiltIn(
        "repository-sync",
        "Repository Synchronization",
        {
            "call": "jobctl.jobs.repository_sync:repository_sync",
            "every": "5m",
            "timeout": "5m",
            "retries": 3,
            "retry_delay": "10s",
            "catch_up": True,
        },
    ),
    BuiltIn(
        "subscription-renewal-reminder",
        "Subscription Renewal Reminder",
        {
            "call": "jobctl.jobs.renewal_reminder:renewal_reminder",
            "cron": "0 9 * * *",
            "timeout": "1h",
            "retries": 3,
            "retry_delay": "1m",
            "catch_up": True,
        },
        ("database", "mail"),
        dry_run=True,
    ),
    BuiltIn(
        "subscription-expired-cleanup",
        "Subscription Expiration Cleanup",
        {
            "call": "jobctl.jobs.expired_cleanup:expired_cleanup",
            "cron": "0 0 * * *",
            "timeout": "1h",
            "retries": 3,
            "retry_delay": "1m",
            "catch_up": True,
        },
        ("database",),
        dry_run=True,
    ),
    _analytics("user-growth", "User Growth Aggregation", "10m"),
    _analytics("activity-trends", "Activity Trends Aggregation", "5m"),
    _analytics("top-items", "Top Items Ranking", "15m"),
    _analytics("recent-activity", "Recent Activity Update", "2m"),
    _analytics("performance-metrics", "Performance Metrics Update", "30s"),
    BuiltIn(
        "analytics-cache-cleanup",
        "Cache Cleanup",
        {"call": "jobctl.jobs.analytics:cache_cleanup", "every": "1h", "timeout": "5m"},
    ),
    _report("daily-activity-summary", "Daily Activity Summary", "0 9 * * *"),
    _report("weekly-user-growth", "Weekly User Growth", "0 9 * * 1"),
    _report("monthly-comprehensive", "Monthly Comprehensive Report", "0 9 1 * *"),
    _report("quarterly-performance", "Quarterly Performance Report", "0 9 1 1,4,7,10 *"),
)
