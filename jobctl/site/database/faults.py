"""What a database says when something is wrong, as one sentence and whether trying again may help."""

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from jobctl.errors import JobctlError, PermanentJobError, ServiceError

_PASSING = {"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300"}
_MISSING = {"42P01", "42703", "3F000"}
_REASONS = (
    ("refused", "the connection was refused"),
    ("timeout expired", "it did not answer in time"),
    ("timed out", "it did not answer in time"),
    ("translate host name", "there is no such host"),
    ("Name or service not known", "there is no such host"),
    ("No such file or directory", "there is no such socket"),
    ("server closed the connection", "it closed the connection"),
    ("connection is lost", "it closed the connection"),
    ("terminating connection", "it closed the connection"),
    ("starting up", "it is starting up"),
    ("shutting down", "it is shutting down"),
    ("too many", "it has too many connections"),
    ("SSL", "the encrypted connection could not be made"),
)


_AWAY = ("refused", "starting up", "shutting down", "No such file or directory")


class MissingError(PermanentJobError):
    """The site's database lacks a table or a column that a job uses."""

    code = "schema"


def may_pass(error: DBAPIError, was_there: bool) -> bool:  # noqa: FBT001 - the one thing it depends on
    """Whether the same transaction may succeed if it is tried again soon.

    A database that ``was_there`` a moment ago and does not answer now may be starting anew.
    """
    if error.connection_invalidated or _state(error) in _PASSING:
        return True
    if was_there and isinstance(error, OperationalError) and any(mark in str(error.orig) for mark in _AWAY):
        return True
    return isinstance(error, OperationalError) and "database is locked" in str(error.orig)


def is_missing(error: DBAPIError) -> bool:
    """Whether a table or column is not there."""
    said = str(error.orig)
    return _state(error) in _MISSING or "no such table" in said or "no such column" in said


def lacking(place: str, names: Iterable[str]) -> MissingError:
    """The error that names what is not there: ``table "votes"``, ``column "users"."deleted_at"``."""
    return MissingError(
        f"the database at {place} has no {', no '.join(names)}",
        hint="jobctl changes no schema: run the site's own migrations",
    )


def told(error: DBAPIError, place: str) -> JobctlError:
    """The error for people: what, where, what to do. Nothing of the statement or its values is in it."""
    said, state = str(error.orig), _state(error)
    where = f"the database at {place}"
    if "password authentication failed" in said or state in {"28P01", "28000"}:
        return PermanentJobError(
            f"{where} refused the login of user {_quoted(said)}",
            hint="see the user and password in DATABASE_URL",
        )
    if state == "3D000" or re.search(r'database "[^"]*" does not exist', said):
        return PermanentJobError(f"{where} does not exist on that server", hint="see DATABASE_URL")
    if re.search(r'role "[^"]*" does not exist', said):
        return PermanentJobError(f"{where} knows no user {_quoted(said)}", hint="see DATABASE_URL")
    if is_missing(error):
        return lacking(place, [_missing(said)])
    if state == "42501":
        return PermanentJobError(f"{where} does not permit this: {_first_line(said)}")
    if state == "57014":
        return ServiceError(f"{where} took longer over a statement than it may", hint="is an index missing?")
    if state == "40P01":
        return ServiceError(f"{where} broke a deadlock off, again and again")
    if state == "55P03" or "database is locked" in said:
        return ServiceError(f"{where} is locked by another program")
    return _by_text(error, said, where)


def _by_text(error: DBAPIError, said: str, where: str) -> JobctlError:
    if "unable to open database file" in said:
        return PermanentJobError(f"{where} is not there, or may not be read", hint="see DATABASE_URL")
    if "not a database" in said or "malformed" in said:
        return PermanentJobError(f"{where} is damaged, or no SQLite file")
    if "readonly" in said:
        return PermanentJobError(f"{where} is read-only")
    for mark, reason in _REASONS:
        if mark in said:
            return ServiceError(f"{where} did not answer: {reason}", hint="jobctl check tries it")
    if isinstance(error, ProgrammingError):
        return PermanentJobError(f"{where} cannot do what a job asks: {_first_line(said)}")
    return ServiceError(f"{where} failed: {_first_line(said)}")


def _state(error: DBAPIError) -> Any:
    return getattr(error.orig, "sqlstate", None)


def _quoted(said: str) -> str:
    found = re.search(r'(?:user|role) "([^"]*)"', said)
    return f'"{found[1]}"' if found else "in DATABASE_URL"


def _missing(said: str) -> str:
    found = re.search(r'(relation|column|schema) "?([\w.]+)"?|no such (table|column): ([\w.]+)', said)
    if found is None:
        return "table or column that a job uses"
    kind = {"relation": "table"}.get(found[1] or "", found[1] or found[3])
    return f'{kind} "{found[2] or found[4]}"'


def _first_line(said: str) -> str:
    return said.strip().partition("\n")[0]
