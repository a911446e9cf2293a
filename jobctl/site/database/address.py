"""``DATABASE_URL`` as a connection: which engine, where, and how it is called in messages."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import URL

from jobctl.errors import ConfigurationError, PermanentJobError, install_hint
from jobctl.settings.paths import with_home
from jobctl.urls import CONNECT_TIMEOUT_S, missing_driver, read_postgres_address
from jobctl.urls import postgres_place as place_of_server


def read_address(text: str, project: Path) -> URL:
    """The address of ``DATABASE_URL``.

    Parameters that other clients of the site know and libpq does not (``pgbouncer``, ``schema`` …) are
    left out. A relative SQLite path counts from the project's folder.

    Raises:
        ConfigurationError: it cannot be read as an address.
        PermanentJobError: it is a Postgres address, and psycopg is not installed.
    """
    if text.partition(":")[0].lower() in {"sqlite", "file"}:
        return _sqlite(text, project)
    demand_psycopg()
    parameters, _, _ = read_postgres_address(text, "DATABASE_URL")
    # the password apart: the query of a URL is shown where SQLAlchemy shows it
    query = {name: value for name, value in parameters.items() if name != "password"}
    return URL.create("postgresql+psycopg", password=parameters.get("password"), query=query)


def demand_psycopg() -> None:
    """That the driver for Postgres is there.

    Raises:
        PermanentJobError: it is not; says how to install it.
    """
    if problem := missing_driver():
        raise PermanentJobError(
            f"Postgres needs the package psycopg, which {problem}", hint=install_hint("postgres")
        )


def connect_arguments(url: URL) -> dict[str, Any]:
    """What the driver is told besides the address."""
    if is_sqlite(url):
        return {"timeout": CONNECT_TIMEOUT_S, "uri": True}
    return {
        # a server-side pooler hands each transaction another connection, which knows no prepared statement
        "prepare_threshold": None,
        **{
            name: value
            for name, value in {"application_name": "jobctl", "connect_timeout": CONNECT_TIMEOUT_S}.items()
            if name not in url.query
        },
    }


def is_sqlite(url: URL) -> bool:
    """Whether it is a file of SQLite's."""
    return url.get_backend_name() == "sqlite"


def place_of(url: URL) -> str:
    """For people: ``host:port/name`` or the file; never a user's name or password."""
    if is_sqlite(url):
        return urlsplit(url.database or "").path or "memory"
    return place_of_server({name: str(value) for name, value in url.query.items()})


def _sqlite(text: str, project: Path) -> URL:
    path = text.partition(":")[2]
    if path.startswith("//"):
        path = path[2:].partition("/")[2] if text.lower().startswith("sqlite") else path[2:]
    path = path.partition("?")[0]
    if not path:
        raise ConfigurationError("DATABASE_URL names no file", hint="write sqlite:///site.db")
    # opened by its URI and for what is there alone: a mistyped path is told, not made
    file = (project / with_home(path, "DATABASE_URL")).absolute()
    return URL.create("sqlite", database=f"{file.as_uri()}", query={"mode": "rw", "uri": "true"})
