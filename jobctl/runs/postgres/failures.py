"""Which of Postgres' errors mean what: one table, by SQLSTATE and never by message."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from jobctl.errors import ExitCode, StoreBusyError, StoreError, StoreLostError

_BUSY = ("55P03", "57014", "40001", "40P01")
"""A lock or statement took too long, or transactions met."""
_LOST = ("42P01", "3F000")
"""A table, or the schema, is not there any more."""
_WORDS = {
    "28": ("it refuses the login", "look at the user and password in JOBCTL_STATE"),
    "3D000": ("there is no such database", "make it, or name another in JOBCTL_STATE"),
    "42501": ("permission denied", "its user must own the schema, or may make one"),
    "42P": ("its tables are not those of jobctl", "name another schema: ?schema=name in JOBCTL_STATE"),
    "25006": ("it is read-only", "name the primary server in JOBCTL_STATE"),
    "53100": ("its disk is full", "free some space; nothing starts until it can be written"),
}


class ServerError(StoreError):
    """The server refuses."""

    exit_code = ExitCode.SERVICE


class ServerAwayError(ServerError):
    """The server does not answer now: it restarts, fails over, or has no connection free."""

    transient = True


class InDoubtError(ServerAwayError):
    """The connection was lost while committing, and whether it was committed could not be found out."""


def explained(error: psycopg.Error, place: str) -> StoreError:
    """The store's own error for one of Postgres'."""
    state = error.sqlstate or ""
    if state in _BUSY:
        return StoreBusyError(f"the run store {place} is held by another process", hint="try again")
    if state in _LOST:
        return StoreLostError(
            f"the run store {place} lost its tables", hint="jobctl run makes them anew; or restore a backup"
        )
    for prefix, (words, hint) in _WORDS.items():
        if state.startswith(prefix):
            return ServerError(f"the run store {place} cannot be used: {words}", hint=hint)
    said = str(error).strip().partition("\n")[0]  # the rest is libpq's guess at the cause
    if isinstance(error, psycopg.OperationalError):
        reason = said.rpartition(" failed: ")[2]
        hint = "check that the server runs, and the address in JOBCTL_STATE"
        return ServerAwayError(f"the run store {place} cannot be reached: {reason}", hint=hint)
    return StoreError(f"the run store {place} cannot be used: {said}")


@contextmanager
def telling(place: str) -> Iterator[None]:
    """Turn Postgres' errors inside into the store's."""
    try:
        yield
    except psycopg.Error as error:
        raise explained(error, place) from error
