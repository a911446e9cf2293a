"""Reads ``JOBCTL_STATE`` as a Postgres address. Needs no driver."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from jobctl.errors import ConfigurationError, NotRunError, install_hint
from jobctl.urls import missing_driver, read_postgres_address

SCHEMA = "jobctl"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Address(NamedTuple):
    """A parsed address.

    Attributes:
        parameters: for libpq, with the password.
        schema: that holds the tables.
        place: for people: ``host:port/name``, and the schema unless it is ``jobctl``.
    """

    parameters: Mapping[str, str]
    schema: str
    place: str


def read_address(text: str) -> Address:
    """Parse an address. Its parameter ``schema`` names another schema than ``jobctl``.

    Raises:
        ConfigurationError: it cannot be parsed. The message does not contain the text, which may hold a password.
        NotRunError: psycopg is not installed.
    """
    if problem := missing_driver():
        raise NotRunError(
            f"the run store is on Postgres, and the package psycopg {problem}", hint=install_hint("postgres")
        )
    parameters, others, place = read_postgres_address(text, "JOBCTL_STATE")
    schema = others.get("schema", SCHEMA)
    if not _NAME.fullmatch(schema):
        raise ConfigurationError(
            "the schema in JOBCTL_STATE is not a valid name",
            hint="use lower-case letters, digits and underscores",
        )
    return Address(parameters, schema, place + ("" if schema == SCHEMA else f", schema {schema}"))
