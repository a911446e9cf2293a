"""The run store on Postgres."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from jobctl.clock import SystemClock
from jobctl.errors import StoreLostError
from jobctl.runs.postgres.failures import InDoubtError
from jobctl.runs.postgres.pool import Pool
from jobctl.runs.sql import claims
from jobctl.runs.sql.connection import Connection, Dialect
from jobctl.runs.sql.store import SQLRunStore
from jobctl.runs.store import Answer, Claim, Owner

_BEGIN_EPOCH = """
UPDATE meta SET value = ? WHERE name = 'epoch' AND value = ?
  AND 2 > (SELECT count(*) FROM owners WHERE kind <> 'trigger' AND ended IS NULL)
"""


class PostgresRunStore(SQLRunStore):
    """Runs, job state, owners and cached results in a schema of its own.

    Args:
        pool: its connections; the tables are there (see ``opening.open_address``).
        lease_pool: a connection for heartbeats alone, so that nothing else can hold them up.
        make: makes the tables where they are gone; returns a sentence about tables that it set aside.
    """

    shared = True
    dialect = Dialect(order="seq", durations="")

    def __init__(self, pool: Pool, lease_pool: Pool, make: Callable[[], str | None]) -> None:
        self._pool = pool
        self._lease_pool = lease_pool
        self._make = make
        self._doubtful: list[str] = []

    @property
    def place(self) -> str:
        """``host:port/name``."""
        return self._pool.place

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        self._lease_pool.close()

    def restore(self) -> str | None:
        """Make the tables where they are gone."""
        try:
            with self._reading() as connection:
                for table in ("owners", "jobs", "runs"):
                    connection.execute(f"SELECT 1 FROM {table} LIMIT 0")
        except StoreLostError as error:
            return self._make() or error.problem
        return None

    def checkpoint(self) -> None:
        """The server does that by itself."""

    def change_token(self) -> object:
        """A number that goes up with each write of anybody."""
        with self._reading() as connection:
            return connection.execute("SELECT value FROM meta WHERE name = 'changes'").fetchone()[0]

    def begin_epoch(self, held: int, owner_id: str | None = None) -> int:
        """Begin the next epoch, unless another scheduler lives: then this machine's clock was the wrong one."""
        with self._writing_as(owner_id) as connection:
            connection.execute(_BEGIN_EPOCH, (held + 1, held))
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

    def _leasing(self) -> AbstractContextManager[Connection]:
        return self._lease_pool.leasing()
