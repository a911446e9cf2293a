"""``JOBCTL_STATE`` as a Postgres address."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from jobctl.errors import ConfigurationError, NotRunError
from jobctl.settings.libpq import PARAMETERS, encoded, is_address

SCHEMA = "jobctl"
_HINT = "write postgresql://user:password@host/name"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Address(NamedTuple):
    """Where the store is.

    Attributes:
        text: for libpq; holds the password.
        schema: the schema that holds the tables.
        place: for people: ``host:port/name``, and the schema where it is not ``jobctl``.
    """

    text: str
    schema: str
    place: str


def read_address(text: str) -> Address:
    """Read it; ``?schema=name`` names another schema than ``jobctl``.

    Raises:
        ConfigurationError: it cannot be read. The text itself, which may hold a password, is not told.
        NotRunError: psycopg is not installed.
    """
    if not is_address(text):
        raise ConfigurationError("the run store is neither in a folder nor on Postgres", hint=_HINT)
    try:
        url = urlsplit(f"postgresql://{encoded(text)}")
        port = url.port or 5432
    except ValueError as error:
        raise ConfigurationError("JOBCTL_STATE cannot be read as an address", hint=_HINT) from error
    name = url.path.removeprefix("/")
    if not name or url.fragment:
        raise ConfigurationError("JOBCTL_STATE names no database", hint=_HINT)
    query = dict(parse_qsl(url.query))
    schema = query.pop("schema", SCHEMA)
    if not _NAME.fullmatch(schema):
        raise ConfigurationError(
            "the schema in JOBCTL_STATE is no name", hint="use lower-case letters, digits and _"
        )
    _demand_driver()
    kept = urlencode({key: value for key, value in query.items() if key in PARAMETERS})
    host = url.hostname or query.get("host", "localhost")
    place = f"{host}:{port}/{name}" + ("" if schema == SCHEMA else f", schema {schema}")
    return Address(url._replace(query=kept).geturl(), schema, place)


def _demand_driver() -> None:
    try:
        import psycopg
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        problem = "is not installed" if missing else "finds no libpq, the client library"
        raise NotRunError(
            f"the run store is on Postgres, and the package psycopg {problem}",
            hint='pip install "jobctl[postgres]"',
        ) from error
    del psycopg
