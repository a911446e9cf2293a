"""The part of the run store that counts."""

from collections.abc import Mapping

from jobctl.store.transactions import Transactions

_COUNT = """
INSERT INTO counters (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
"""


class Counters(Transactions):
    """Numbers by name. Each method is one transaction."""

    def count(self, changes: Mapping[str, int]) -> None:
        """Add to counters, which begin at 0."""
        with self._writing() as connection:
            connection.executemany(_COUNT, list(changes.items()))

    def counters(self) -> Mapping[str, int]:
        """All counters, since ``reset_counters``."""
        with self._reading() as connection:
            return dict(connection.execute("SELECT name, value FROM counters").fetchall())

    def reset_counters(self) -> None:
        """Set all counters to 0."""
        with self._writing() as connection:
            connection.execute("DELETE FROM counters")
