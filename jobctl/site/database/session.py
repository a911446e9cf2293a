"""A job's way into the site's database: transactions that are tried again where that may help."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from jobctl.errors import ConfigurationError, JobctlError, PermanentJobError
from jobctl.settings.environment import Environment
from jobctl.site.database.address import connect_arguments, is_sqlite, place_of, read_address
from jobctl.site.database.faults import MissingError, is_missing, lacking, may_pass, told
from jobctl.site.database.tables import missing, tenant
from jobctl.text import quote

T = TypeVar("T")

STATEMENT_TIMEOUT = timedelta(seconds=60)
LOCK_TIMEOUT = timedelta(seconds=10)
_PAUSES = (0.05, 0.5, 2.0)


class Database:
    """The site's database, for one tenant. Connects when it is first asked, and holds nothing between.

    Args:
        url: where it is.
        tenant_id: for whom; None is the oldest active tenant.
        statement_timeout: how long Postgres may take over one statement.

    Attributes:
        is_sqlite: whether it is a file of SQLite's.
        statements: how many of a job's statements were executed.
        statement_time: how long the database took over them, in seconds.
    """

    def __init__(
        self, url: URL, tenant_id: str | None = None, statement_timeout: timedelta = STATEMENT_TIMEOUT
    ) -> None:
        self.statements = 0
        self.statement_time = 0.0
        self.place = place_of(url)
        self._tenant_id = tenant_id
        self._timeout = statement_timeout
        self.is_sqlite = is_sqlite(url)
        self._was_there = False
        self._engine = _engine(url)

    @classmethod
    def open(cls, environment: Environment, project: Path) -> "Database":
        """The database that the settings name.

        Raises:
            ConfigurationError: ``DATABASE_URL`` is not set, or cannot be read.
            PermanentJobError: its driver is not installed.
        """
        address = environment.database("DATABASE_URL")
        if address is None:
            raise ConfigurationError("DATABASE_URL is not set")
        return cls(read_address(address, project), environment.text("TENANT_ID"))

    @cached_property
    def tenant_id(self) -> str:
        """For whom the jobs work: ``TENANT_ID``, or the oldest active tenant.

        Raises:
            PermanentJobError: there is none. The site would make one; jobctl changes no tenants.
        """
        wanted = tenant.c.id == self._tenant_id if self._tenant_id else tenant.c.status == "active"
        query = select(tenant.c.id).where(wanted).order_by(tenant.c.created_at, tenant.c.id).limit(1)
        found = self.read(lambda connection: connection.execute(query).scalar())
        if found is None and self._tenant_id:
            raise PermanentJobError(
                f"the database at {self.place} has no tenant {quote(self._tenant_id)}",
                hint="set TENANT_ID to an id of the table tenant; the site adds the row when it starts",
            )
        if found is None:
            raise PermanentJobError(
                f"the database at {self.place} has no active tenant", hint="set TENANT_ID, or make one active"
            )
        return str(found)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Look at something, as ``transact`` does, but in nobody's way."""
        return self._tried(work, write=False)

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Do something in one transaction and commit it.

        It is done again where a deadlock, a lock or a lost connection ended it: at most three times. So
        ``work`` must be right to do again after its own commit, should the answer to that be lost.

        Raises:
            ServiceError: the database does not answer, or not in time.
            PermanentJobError: it never will do this: a wrong login, a missing table.
        """
        return self._tried(work, write=True)

    def _tried(self, work: Callable[[Connection], T], *, write: bool) -> T:
        pauses = iter(_PAUSES)
        while True:
            try:
                with self._transaction(write=write) as connection:
                    self._was_there = True
                    return work(connection)
            except DBAPIError as error:
                pause = next(pauses, None) if may_pass(error, self._was_there) else None
                if pause is None:
                    raise self._told(error) from error
                threading.Event().wait(pause)

    def round_trip(self) -> timedelta:
        """How long the database takes to answer the shortest question."""
        statement = text("SELECT 1")

        def ask(connection: Connection) -> float:
            began = time.perf_counter()
            connection.execute(statement)
            return time.perf_counter() - began

        return timedelta(seconds=self.read(ask))

    def missing(self) -> list[str]:
        """The tables and columns that the jobs use and that are not there."""
        return self.read(missing)

    def demand_tables(self) -> None:
        """That everything is there that the jobs use.

        Raises:
            MissingError: something is not; names all of it.
        """
        found = self.missing()
        if found:
            raise lacking(self.place, found)

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        with self._engine.connect() as plain:
            connection = plain.execution_options(jobctl_write=write)
            connection.begin()
            if not self.is_sqlite:
                # for this transaction alone: behind a pooler the connection belongs to somebody else next
                connection.exec_driver_sql(
                    f"SET LOCAL statement_timeout = {_ms(self._timeout)};"
                    f" SET LOCAL lock_timeout = {_ms(LOCK_TIMEOUT)}"
                )
            event.listen(connection, "before_cursor_execute", self._before)
            event.listen(connection, "after_cursor_execute", self._after)
            yield connection
            connection.commit()

    def _before(self, connection: Connection, *_: Any) -> None:
        connection.info["jobctl_began"] = time.perf_counter()

    def _after(self, connection: Connection, *_: Any) -> None:
        self.statements += 1
        self.statement_time += time.perf_counter() - connection.info["jobctl_began"]

    def _told(self, error: DBAPIError) -> Exception:
        if is_missing(error):
            try:
                self.demand_tables()
            except JobctlError as missed:
                if isinstance(missed, MissingError):
                    return missed
        return told(error, self.place)


@lru_cache(maxsize=4)
def _engine(url: URL) -> Engine:
    """One for all runs of a worker process, which keeps its compiled statements but no connection."""
    engine = create_engine(url, poolclass=NullPool, connect_args=connect_arguments(url))
    if is_sqlite(url):
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # else the driver begins transactions when it likes
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    """For writing at once: a read that turns into a write would fail beside another writer."""
    write = connection.get_execution_options().get("jobctl_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
