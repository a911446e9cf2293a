"""Performance metrics: how often the cache could answer, and how the database does."""

from collections.abc import Mapping

from sqlalchemy import text

from jobctl.analytics.results import HITS, MISSES, PERFORMANCE, QUERIES, QUERY_US, Results
from jobctl.database.session import Database

_IN_USE = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")


def performance(database: Database, counted: Mapping[str, int]) -> Results:
    """Counts since the last cleanup, and the database as it is now.

    ``cacheHitRate`` is 0 to 1, None where nobody asked; ``totalQueries`` are answers from the cache and from
    the database together, ``cachedQueries`` those from the cache. Times are in milliseconds.
    ``connectionsInUse`` is None on SQLite, which has none.
    """
    hits, misses = counted.get(HITS, 0), counted.get(MISSES, 0)
    queries = counted.get(QUERIES, 0)
    trip = database.round_trip().total_seconds() * 1000
    value = {
        "cacheHitRate": round(hits / (hits + misses), 4) if hits + misses else None,
        "totalQueries": hits + queries,
        "cachedQueries": hits,
        "averageQueryTime": round(counted.get(QUERY_US, 0) / queries / 1000, 3) if queries else None,
        "databaseRoundTrip": round(trip, 3),
        "connectionsInUse": _connections(database),
    }
    return {PERFORMANCE.prefix: value}


def _connections(database: Database) -> int | None:
    if database.is_sqlite:
        return None
    return int(database.read(lambda connection: connection.execute(_IN_USE).scalar_one()))
