"""The part of the run store that keeps results which take long to find out, each with its lifetime."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobctl.clock import to_ms
from jobctl.store.records import CachedResult
from jobctl.store.rows import cached_of
from jobctl.store.transactions import Transactions

_CACHE = """
INSERT INTO cache (key, value, computed_at, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
  value = excluded.value, computed_at = excluded.computed_at, expires_at = excluded.expires_at
"""


class CachedResults(Transactions):
    """JSON values by key. Each method is one transaction."""

    def cache_put(self, values: Mapping[str, Any], computed_at: datetime, expires_at: datetime) -> None:
        """Save JSON values by key, all or none."""
        import json

        times = (to_ms(computed_at), to_ms(expires_at))
        rows = [(key, json.dumps(value), *times) for key, value in values.items()]
        with self._writing() as connection:
            connection.executemany(_CACHE, rows)

    def cache_get(self, key: str, now: datetime) -> CachedResult | None:
        """A value that has not expired, or None."""
        found = self._cached("WHERE key = ?", key)
        return found[0] if found and found[0].expires_at > now else None

    def cached(self) -> Sequence[CachedResult]:
        """Every value, also the expired ones, by key."""
        return self._cached("ORDER BY key")

    def cache_purge(self, now: datetime) -> int:
        """Remove expired values; returns their number."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM cache WHERE expires_at <= ?", (to_ms(now),)).rowcount

    def _cached(self, condition: str, *values: str) -> list[CachedResult]:
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT key, value, computed_at, expires_at FROM cache {condition}", values
            ).fetchall()
        return [cached_of(row) for row in rows]
