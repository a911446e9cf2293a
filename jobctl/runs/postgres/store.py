"""The run store on Postgres."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

from jobctl.clock import SystemClock
from jobctl.runs.postgres.failures import InDoubtError
from jobctl.runs.postgres.pool import Pool
from jobctl.runs.sql import claims
from jobctl.runs.sql.connection import Connection, Dialect
from jobctl.runs.sql.store import SQLRunStore
from jobctl.runs.store import LEASE, Answer, Claim, Owner

_NOW_MS = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
_BEGIN_EPOCH = f"""
UPDATE meta SET value = ? WHERE name = 'epoch' AND value = ? AND 2 > (
  SELECT count(*) FROM owners WHERE kind = 'scheduler' AND ended IS NULL AND seen > {_NOW_MS} - ?
)
"""


class PostgresRunStore(SQLRunStore):
    """Runs, job state, owners and cached results in a schema of its own.

    Args:
        pool: its connections; the tables are there (see ``opening.open_address``).
    """

    leased = True
    dialect = Dialect(order="seq", durations="")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._doubtful: list[str] = []

    @property
    def place(self) -> str:
        """``host:port/name``."""
        return self._pool.place

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def checkpoint(self) -> None:
        """The server does that by itself."""

    def change_token(self) -> object:
        """A number that goes up with each write of anybody."""
        with self._reading() as connection:
            return connection.execute("SELECT value FROM meta WHERE name = 'changes'").fetchone()[0]

    def owners(self) -> Sequence[Owner]:
        """Owners that matter; how long each has been silent is told by the server's clock."""
        with self._reading() as connection:
            silent = dict(connection.execute(f"SELECT id, {_NOW_MS} - seen FROM owners").fetchall())
        return [
            replace(one, silent=timedelta(milliseconds=max(0, silent[one.id])) if one.id in silent else None)
            for one in super().owners()
        ]

    def begin_epoch(self, held: int) -> int:
        """Begin the next epoch, unless another scheduler lives: then this machine's clock was the wrong one."""
        with self._writing() as connection:
            connection.execute(_BEGIN_EPOCH, (held + 1, held, LEASE // timedelta(milliseconds=1)))
        return self.epoch()

    def claim(self, owner: Owner, wanted: Sequence[Claim]) -> Sequence[Answer]:
        """Try to start runs. Claims of which nobody could say whether they were written are undone before."""
        if self._doubtful:
            with self._writing() as connection:
                claims.lose(connection, SystemClock().now(), self._doubtful)
            self._doubtful.clear()
        try:
            return super().claim(owner, wanted)
        except InDoubtError:
            self._doubtful.extend(one.run_id for one in wanted)
            raise

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._pool.reading()

    def _writing(self) -> AbstractContextManager[Connection]:
        return self._pool.writing()
