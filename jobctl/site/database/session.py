"""The site's database: connects by ``DATABASE_URL`` and runs short transactions, retried where that may help."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import URL, Connection, Engine, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from jobctl.errors import ConfigurationError, JobctlError, PermanentJobError, install_hint
from jobctl.files import with_home
from jobctl.settings.environment import Environment
from jobctl.site.database.errors import (
    MissingError,
    explained,
    is_missing,
    is_worth_a_retry,
    missing_error,
)
from jobctl.site.database.tables import missing_names, tenant
from jobctl.text import quote
from jobctl.urls import CONNECT_TIMEOUT_S, missing_driver, postgres_place, read_postgres_address

T = TypeVar("T")

STATEMENT_TIMEOUT = timedelta(seconds=60)
_LOCK_TIMEOUT = timedelta(seconds=10)
_PAUSES = (0.05, 0.5, 2.0)


class Database:
    """The site's database, for one tenant. Connects for each transaction and keeps no connection.

    Args:
        tenant_id: the tenant; None takes the oldest active one.
        statement_timeout: for one statement, on Postgres.

    Attributes:
        place: for people, without user and password.
        statements: how many statements were executed.
        statement_time: how long the database took for them, in seconds.
    """

    def __init__(
        self, url: URL, tenant_id: str | None = None, statement_timeout: timedelta = STATEMENT_TIMEOUT
    ) -> None:
        self.statements = 0
        self.statement_time = 0.0
        self.is_sqlite = _is_sqlite(url)
        self.place = _place_of(url)
        self._tenant_id = tenant_id
        self._timeout = statement_timeout
        self._has_answered = False
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
        return cls(read_database_url(address, project), environment.text("TENANT_ID"))

    @cached_property
    def tenant_id(self) -> str:
        """The tenant that the jobs work for: ``TENANT_ID``, or the oldest active one.

        Raises:
            PermanentJobError: there is none. The site adds its tenant itself; jobctl changes none.
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
        """Run a transaction that only reads; raises as ``transact`` does."""
        return self._retried(work, write=False)

    def rows(self, query: Any) -> Any:
        """All rows of a query."""
        return self.read(lambda connection: connection.execute(query).all())

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run a transaction and commit it, with three retries after a deadlock, a lock or a lost connection.

        The answer to a commit may be lost: ``work`` must be correct when it is repeated after its own commit.

        Raises:
            ServiceError: the database does not answer, or not in time.
            PermanentJobError: a retry cannot help: a wrong login, a missing table.
        """
        return self._retried(work, write=True)

    def _retried(self, work: Callable[[Connection], T], *, write: bool) -> T:
        pauses = iter(_PAUSES)
        while True:
            try:
                with self._transaction(write=write) as connection:
                    self._has_answered = True
                    return work(connection)
            except DBAPIError as error:
                retry = is_worth_a_retry(error, has_answered=self._has_answered)
                pause = next(pauses, None) if retry else None
                if pause is None:
                    raise self._explained(error) from error
                threading.Event().wait(pause)

    def round_trip(self) -> timedelta:
        """How long the database takes for the shortest query."""
        statement = text("SELECT 1")

        def measure(connection: Connection) -> float:
            began = time.perf_counter()
            connection.execute(statement)
            return time.perf_counter() - began

        return timedelta(seconds=self.read(measure))

    def demand_tables(self) -> None:
        """Check that every table and column exists that the jobs use.

        Raises:
            MissingError: names all that is missing.
        """
        names = self.read(missing_names)
        if names:
            raise missing_error(self.place, names)

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        with self._engine.connect() as plain:
            connection = plain.execution_options(jobctl_write=write)
            connection.begin()
            if not self.is_sqlite:
                # only for this transaction: behind a pooler, others use the connection next
                connection.exec_driver_sql(
                    f"SET LOCAL statement_timeout = {_ms(self._timeout)};"
                    f" SET LOCAL lock_timeout = {_ms(_LOCK_TIMEOUT)}"
                )
            event.listen(connection, "before_cursor_execute", self._before_statement)
            event.listen(connection, "after_cursor_execute", self._after_statement)
            yield connection
            connection.commit()

    def _before_statement(self, connection: Connection, *_: Any) -> None:
        connection.info["jobctl_began"] = time.perf_counter()

    def _after_statement(self, connection: Connection, *_: Any) -> None:
        self.statements += 1
        self.statement_time += time.perf_counter() - connection.info["jobctl_began"]

    def _explained(self, error: DBAPIError) -> Exception:
        if is_missing(error):
            try:
                self.demand_tables()
            except MissingError as missing:
                return missing
            except JobctlError:
                pass  # the first error says enough
        return explained(error, self.place)


def read_database_url(text: str, project: Path) -> URL:
    """Parse ``DATABASE_URL``. A relative SQLite path counts from the project's folder.

    Parameters that libpq does not know, as ``pgbouncer`` and ``schema`` of other clients, are dropped.

    Raises:
        ConfigurationError: it cannot be parsed.
        PermanentJobError: it is a Postgres address, and psycopg is not installed.
    """
    if text.partition(":")[0].lower() in {"sqlite", "file"}:
        return _sqlite_url(text, project)
    if problem := missing_driver():
        raise PermanentJobError(
            f"Postgres needs the package psycopg, which {problem}", hint=install_hint("postgres")
        )
    parameters = read_postgres_address(text, "DATABASE_URL").parameters
    # the password apart: SQLAlchemy shows a URL with its query
    query = {name: value for name, value in parameters.items() if name != "password"}
    return URL.create("postgresql+psycopg", password=parameters.get("password"), query=query)


def _sqlite_url(text: str, project: Path) -> URL:
    path = text.partition(":")[2]
    if path.startswith("//"):
        path = path[2:].partition("/")[2] if text.lower().startswith("sqlite") else path[2:]
    path = path.partition("?")[0]
    if not path:
        raise ConfigurationError("DATABASE_URL names no file", hint="write sqlite:///site.db")
    file = (project / with_home(path, "DATABASE_URL")).absolute()
    # mode rw: a mistyped path is an error, not a new file
    return URL.create("sqlite", database=f"{file.as_uri()}", query={"mode": "rw", "uri": "true"})


def _place_of(url: URL) -> str:
    if _is_sqlite(url):
        return urlsplit(url.database or "").path or "memory"
    return postgres_place({name: str(value) for name, value in url.query.items()})


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


@lru_cache(maxsize=4)
def _engine(url: URL) -> Engine:
    """Kept for all runs of a worker process: it keeps compiled statements, but no connection."""
    if not _is_sqlite(url):
        defaults = {"application_name": "jobctl", "connect_timeout": CONNECT_TIMEOUT_S}
        # a pooler gives each transaction another connection, which has none of the prepared statements
        arguments = {"prepare_threshold": None, **{n: v for n, v in defaults.items() if n not in url.query}}
        return create_engine(url, poolclass=NullPool, connect_args=arguments)
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": CONNECT_TIMEOUT_S, "uri": True})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # otherwise the driver begins transactions itself
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    """A writing transaction locks at once: one that reads first would fail beside another writer."""
    write = connection.get_execution_options().get("jobctl_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
