"""The run store on Postgres: its tables are created, or migrated, by one process at a time."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

from jobctl.clock import SystemClock
from jobctl.errors import StoreError, StoreLostError
from jobctl.store import claims
from jobctl.store.base import RunStore
from jobctl.store.connection import Connection
from jobctl.store.postgres_pool import InDoubtError, Pool, Session, json_objects
from jobctl.store.records import Claim, ClaimOutcome, Owner
from jobctl.store.stored_logs import StoredLogs
from jobctl.urls import read_store_address

_NEXT_GENERATION = """
UPDATE meta SET value = ? WHERE name = 'epoch' AND value = ?
  AND 2 > (SELECT count(*) FROM owners WHERE kind <> 'trigger' AND ended IS NULL)
"""
_BEGIN_FREE = """
WITH batch AS (
  SELECT * FROM json_to_recordset(CAST(? AS json)) AS batch (
    run_id TEXT, job_id TEXT, trigger TEXT, slot BIGINT, generation BIGINT, fixed BOOLEAN, at BIGINT, grouped TEXT,
    arguments TEXT, next_run BIGINT, missed BIGINT, cursor BIGINT
  )
), current AS (
  SELECT m.value FROM meta m JOIN owners o ON o.id = ? AND o.ended IS NULL WHERE m.name = 'epoch'
), begun AS (
  INSERT INTO runs
    (id, job_id, status, trigger, scheduled_for, epoch, started_at, owner, host, grouped, arguments)
  SELECT b.run_id, b.job_id, 'running', b.trigger, b.slot,
    CASE WHEN b.fixed THEN 0 ELSE greatest(b.generation, current.value) END, b.at, ?, ?, b.grouped,
    b.arguments
  FROM batch b JOIN current ON true JOIN jobs j ON j.id = b.job_id
  WHERE j.stopped IS NULL AND j.cursor IS NOT DISTINCT FROM b.cursor
  ON CONFLICT DO NOTHING RETURNING id, seq
)
UPDATE jobs SET
  cursor = b.slot, cursor_epoch = greatest(b.generation, current.value), next_run = coalesce(b.next_run, jobs.next_run),
  last_run = begun.seq, missed = jobs.missed + b.missed
FROM begun JOIN batch b ON b.run_id = begun.id JOIN current ON true
WHERE jobs.id = b.job_id RETURNING b.run_id
"""


class PostgresRunStore(RunStore):
    """Runs, job state, owners and cached results in a schema of their own.

    Args:
        pool: to a schema with the tables (see ``open_address``).
        lease_pool: a connection for heartbeats only, so that nothing else delays them.
        log_pool: a connection for logs only, so that they delay nothing else.
        make: creates the tables again; returns a sentence about tables that it set aside, or None.
    """

    shared = True
    registration_order = "seq"
    # the planner would read all runs for the last ones of many jobs; OFFSET keeps it from that
    last_run_join = "LEFT JOIN LATERAL (SELECT * FROM runs WHERE seq = j.last_run OFFSET 0) r ON true"

    def __init__(self, pool: Pool, lease_pool: Pool, log_pool: Pool, make: Callable[[], str | None]) -> None:
        self._pool = pool
        self._lease_pool = lease_pool
        self._log_pool = log_pool
        self.stored_logs = StoredLogs(pool.reading, log_pool.leasing)
        self._make = make
        self._in_doubt: list[str] = []

    @property
    def place(self) -> str:
        """``host:port/name``."""
        return self._pool.place

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        self._lease_pool.close()
        self._log_pool.close()

    def restore(self) -> str | None:
        """Create the tables again where they were dropped."""
        try:
            with self._reading() as connection:
                for table in ("owners", "jobs", "runs"):
                    connection.execute(f"SELECT 1 FROM {table} LIMIT 0")
        except StoreLostError as error:
            return self._make() or error.problem
        return None

    def change_token(self) -> object:
        """A number that grows with each write of any process."""
        with self._reading() as connection:
            return connection.execute("SELECT value FROM meta WHERE name = 'changes'").fetchone()[0]

    def next_clock_generation(self, known: int, owner_id: str | None = None) -> int:
        """Also does nothing while another scheduler lives: then this machine's clock was the wrong one."""
        with self._writing_as(owner_id) as connection:
            connection.execute(_NEXT_GENERATION, (known + 1, known))
        return self.clock_generation()

    def claim(self, owner: Owner, wanted: Sequence[Claim]) -> Sequence[ClaimOutcome]:
        """As declared; first it undoes claims whose commit is in doubt.

        Many schedulers may want the same slots, and one transaction at a time may write: those who come too late see
        it before they begin one.
        """
        if self._in_doubt:
            with self._writing() as connection:
                claims.fail_lost_runs(connection, SystemClock().now(), run_ids=self._in_doubt)
            self._in_doubt.clear()
        refused = self.refused(wanted) if len(wanted) > 1 else {}
        left = [claim for claim in wanted if claim.run_id not in refused]
        try:
            begun = iter(super().claim(owner, left) if left else ())
        except InDoubtError:
            self._in_doubt.extend(claim.run_id for claim in left)
            raise
        return [refused.get(claim.run_id) or next(begun) for claim in wanted]

    def _begin_together(
        self, connection: Connection, owner: Owner, rows: Sequence[claims.SlotRow]
    ) -> AbstractSet[str]:
        """In one statement, which starts those that are free: others may want the same slots."""
        batch = json_objects(claims.SlotRow._fields, rows)
        begun = connection.execute(_BEGIN_FREE, [batch, owner.id, owner.id, owner.host])
        return {row[0] for row in begun}

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._pool.reading()

    def _writing(self) -> AbstractContextManager[Connection]:
        return self._pool.writing()

    def _leasing(self) -> AbstractContextManager[Connection]:
        return self._lease_pool.leasing()


_MIGRATIONS = sorted(Path(__file__).with_name("schema").joinpath("postgres").glob("*.sql"))
VERSION = len(_MIGRATIONS)
"""The version of the tables: the number of SQL scripts."""
TABLES = (
    "meta",
    "owners",
    "jobs",
    "runs",
    "cache",
    "counters",
    "waiting",
    "actions",
    "notifications",
    "logs",
)
LEASE_TIMEOUT = timedelta(seconds=5)
"""How long a heartbeat may wait for the server, so that several fit into a lease."""
_LOG_TIMEOUT = timedelta(seconds=10)


def open_address(text: str, busy_timeout: timedelta, *, create: bool) -> PostgresRunStore | None:
    """Open the store at an address; without ``create``, None where there is none.

    Raises:
        ConfigurationError: the address cannot be read.
        NotRunError: psycopg is not installed.
        StoreError: the server does not respond or refuses, or the tables are not those of jobctl.
    """
    address = read_store_address(text)
    pool = Pool(address, busy_timeout)
    try:
        with pool.reading() as session:
            found = _version(session, address.schema)
            whole = found != VERSION or _is_whole(session, address.schema)
        if found is None and not create:
            pool.close()
            return None
        if found is not None and found > VERSION:
            raise StoreError(
                f"the run store {address.place} was made by a newer jobctl (version {found} of its tables)",
                hint="install that version, or name another schema: ?schema=name in JOBCTL_STATE",
            )
        warning = None
        if found != VERSION or (create and not whole):
            warning = _bring_up_to_date(pool, address.schema)
    except BaseException:
        pool.close()
        raise
    lease_pool = Pool(address, LEASE_TIMEOUT, size=1)
    log_pool = Pool(address, _LOG_TIMEOUT, size=1)
    store = PostgresRunStore(pool, lease_pool, log_pool, make=lambda: _bring_up_to_date(pool, address.schema))
    store.warning = warning
    return store


def _bring_up_to_date(pool: Pool, schema: str) -> str | None:
    """Create or migrate the tables; returns a sentence where some were missing and the rest was set aside."""
    with pool.making() as session:
        aside = _set_aside(session, schema)
        _migrate(session, schema)
    if aside is None:
        return None
    return f"some tables of the run store {pool.place} were missing; the rest was set aside as schema {aside}"


def _is_whole(session: Session, schema: str) -> bool:
    names = [f'"{schema}".{table}' for table in TABLES]
    marks = ", ".join("to_regclass(?)" for _ in names)
    return None not in session.execute(f"SELECT {marks}", names).fetchone()


def _set_aside(session: Session, schema: str) -> str | None:
    """Rename a schema of this version that lacks tables, so that nothing in it is lost."""
    if _version(session, schema) != VERSION or _is_whole(session, schema):
        return None
    name = f"{schema[:40]}_damaged_{SystemClock().now():%Y%m%d%H%M%S}"
    session.execute(f'ALTER SCHEMA "{schema}" RENAME TO "{name}"')
    return name


def _version(session: Session, schema: str) -> int | None:
    if session.execute("SELECT to_regclass(?)", (f'"{schema}".meta',)).fetchone()[0] is None:
        return None
    row = session.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    return int(row[0]) if row else None


def _migrate(session: Session, schema: str) -> None:
    """Run the missing scripts. The transaction's lock makes a second process wait, and find nothing to do."""
    if session.execute("SELECT to_regnamespace(?)", (f'"{schema}"',)).fetchone()[0] is None:
        session.execute(f'CREATE SCHEMA "{schema}"')
    found = _version(session, schema) or 0
    for script in _MIGRATIONS[found:]:
        session.execute(script.read_text("utf-8"))
    session.execute("DELETE FROM meta WHERE name = 'version'")
    session.execute("INSERT INTO meta (name, value) VALUES ('version', ?)", (VERSION,))
