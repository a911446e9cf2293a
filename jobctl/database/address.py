"""``DATABASE_URL`` as a connection: which engine, where, and how it is called in messages."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from jobctl.errors import ConfigurationError, PermanentJobError
from jobctl.settings.libpq import CONNECT_TIMEOUT_S, PARAMETERS, encoded


def read_address(text: str, project: Path) -> URL:
    """The address of ``DATABASE_URL``.

    Parameters that other clients of the site know and libpq does not (``pgbouncer``, ``schema`` …) are
    left out. A relative SQLite path counts from the project's folder.

    Raises:
        ConfigurationError: it cannot be read as an address.
        PermanentJobError: it is a Postgres address, and psycopg is not installed.
    """
    scheme = text.partition(":")[0].lower()
    if scheme in {"sqlite", "file"}:
        return _sqlite(text, project)
    try:
        url = make_url(f"postgresql+psycopg://{encoded(text)}")
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "DATABASE_URL cannot be read as an address", hint="write postgresql://user:password@host/name"
        ) from error
    if not url.database:
        raise ConfigurationError(
            "DATABASE_URL names no database", hint="write postgresql://user:password@host/name"
        )
    demand_psycopg()
    query = {name: value for name, value in url.query.items() if name in PARAMETERS}
    return url.set(query=query)


def demand_psycopg() -> None:
    """That the driver for Postgres is there.

    Raises:
        PermanentJobError: it is not; says how to install it.
    """
    try:
        import psycopg
    except ImportError as error:
        raise PermanentJobError(
            "Postgres needs the package psycopg, which is not installed",
            hint='pip install "jobctl[postgres]"',
        ) from error
    del psycopg


def connect_arguments(url: URL) -> dict[str, Any]:
    """What the driver is told besides the address."""
    if is_sqlite(url):
        return {"timeout": CONNECT_TIMEOUT_S, "uri": True}
    return {
        "application_name": "jobctl",
        # a server-side pooler hands each transaction another connection, which knows no prepared statement
        "prepare_threshold": None,
        **({} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_S}),
    }


def is_sqlite(url: URL) -> bool:
    """Whether it is a file of SQLite's."""
    return url.get_backend_name() == "sqlite"


def place_of(url: URL) -> str:
    """For people: ``host:port/name`` or the file; never a user's name or password."""
    if is_sqlite(url):
        return urlsplit(url.database or "").path or "memory"
    host = url.host or str(url.query.get("host") or "localhost")
    # a password with a slash is cut in the wrong place: what stands before the last @ is never shown
    return f"{host}:{url.port or 5432}/{url.database}".rpartition("@")[2]


def _sqlite(text: str, project: Path) -> URL:
    path = text.partition(":")[2]
    if path.startswith("//"):
        path = path[2:].partition("/")[2] if text.lower().startswith("sqlite") else path[2:]
    path = path.partition("?")[0]
    if not path:
        raise ConfigurationError("DATABASE_URL names no file", hint="write sqlite:///site.db")
    # opened by its URI and for what is there alone: a mistyped path is told, not made
    file = (project / path).absolute()
    return URL.create("sqlite", database=f"{file.as_uri()}", query={"mode": "rw", "uri": "true"})
