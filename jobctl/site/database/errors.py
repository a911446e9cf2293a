"""Turns errors of the database into sentences, and says which transactions are worth a retry."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from jobctl import sqlstate
from jobctl.errors import JobctlError, PermanentJobError, ServiceError

_RETRIED = {
    sqlstate.SERIALIZATION_FAILURE, sqlstate.DEADLOCK, sqlstate.LOCK_TIMEOUT, *sqlstate.UNAVAILABLE,
}  # fmt: skip
_MISSING = {sqlstate.UNDEFINED_TABLE, sqlstate.UNDEFINED_COLUMN, sqlstate.UNDEFINED_SCHEMA}
_AWAY = ("refused", "starting up", "shutting down", "No such file or directory")


class _Rule(NamedTuple):
    """What an error means, by the beginning of its SQLSTATE or by a pattern in its message."""

    state: str | None
    pattern: str | None
    error: type[JobctlError]
    sentence: str
    hint: str | None = None


def _away(pattern: str, reason: str) -> _Rule:
    return _Rule(None, pattern, ServiceError, f"did not answer: {reason}", "jobctl check database shows more")


_SETTING = "see DATABASE_URL"
_RULES = (
    _Rule(
        sqlstate.LOGIN_REFUSED,
        "password authentication failed",
        PermanentJobError,
        "refused the login of user {user}",
        "see the user and password in DATABASE_URL",
    ),
    _Rule(
        sqlstate.UNDEFINED_DATABASE,
        'database "[^"]*" does not exist',
        PermanentJobError,
        "does not exist on that server",
        _SETTING,
    ),
    _Rule(None, 'role "[^"]*" does not exist', PermanentJobError, "knows no user {user}", _SETTING),
    _Rule(sqlstate.NO_PRIVILEGE, None, PermanentJobError, "does not permit this: {detail}"),
    _Rule(
        sqlstate.STATEMENT_TIMEOUT,
        None,
        ServiceError,
        "exceeded the time limit of a statement",
        "is an index missing?",
    ),
    _Rule(sqlstate.DEADLOCK, None, ServiceError, "had a deadlock in every attempt"),
    _Rule(sqlstate.LOCK_TIMEOUT, "database is locked", ServiceError, "is locked by another program"),
    _Rule(
        None, "unable to open database file", PermanentJobError, "does not exist, or cannot be read", _SETTING
    ),
    _Rule(None, "not a database|malformed", PermanentJobError, "is damaged, or not an SQLite file"),
    _Rule(None, "readonly", PermanentJobError, "is read-only"),
    _away("refused", "the connection was refused"),
    _away("timeout expired|timed out", "it did not answer in time"),
    _away("translate host name|Name or service not known", "there is no such host"),
    _away("No such file or directory", "there is no such socket"),
    _away(
        "server closed the connection|connection is lost|terminating connection", "it closed the connection"
    ),
    _away("starting up", "it is starting up"),
    _away("shutting down", "it is shutting down"),
    _away("too many", "it has too many connections"),
    _away("SSL", "the encrypted connection could not be made"),
)


class MissingError(PermanentJobError):
    """The site's database lacks a table or a column that a job uses."""

    code = "schema"


def is_worth_a_retry(error: DBAPIError, *, has_answered: bool) -> bool:
    """Whether the same transaction may succeed if it is retried soon.

    Args:
        has_answered: whether the database answered before; then it may be restarting.
    """
    if error.connection_invalidated or _state(error) in _RETRIED:
        return True
    message = str(error.orig)
    return isinstance(error, OperationalError) and (
        "database is locked" in message or (has_answered and any(words in message for words in _AWAY))
    )


def is_missing(error: DBAPIError) -> bool:
    """Whether a table or column does not exist."""
    message = str(error.orig)
    return _state(error) in _MISSING or "no such table" in message or "no such column" in message


def missing_error(place: str, names: Iterable[str]) -> MissingError:
    """The error that names what is missing: ``table "votes"``, ``column "users"."deleted_at"``."""
    return MissingError(
        f"the database at {place} has no {', no '.join(names)}",
        hint="jobctl changes no schema: run the site's own migrations",
    )


def explained(error: DBAPIError, place: str) -> JobctlError:
    """The error for people: what, where, what to do. It never quotes the statement or its values."""
    message, state = str(error.orig), _state(error)
    if is_missing(error):
        return missing_error(place, [_missing_name(message)])
    where, detail = f"the database at {place}", message.strip().partition("\n")[0]
    for rule in _RULES:
        by_state = rule.state is not None and state.startswith(rule.state)
        if by_state or (rule.pattern is not None and re.search(rule.pattern, message)):
            sentence = rule.sentence.format(user=_user(message), detail=detail)
            return rule.error(f"{where} {sentence}", hint=rule.hint)
    if isinstance(error, ProgrammingError):
        return PermanentJobError(f"{where} cannot do what a job asks: {detail}")
    return ServiceError(f"{where} failed: {detail}")


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _user(message: str) -> str:
    found = re.search(r'(?:user|role) "([^"]*)"', message)
    return f'"{found[1]}"' if found else "in DATABASE_URL"


def _missing_name(message: str) -> str:
    found = re.search(r'(relation|column|schema) "?([\w.]+)"?|no such (table|column): ([\w.]+)', message)
    if found is None:
        return "table or column that a job uses"
    kind = {"relation": "table"}.get(found[1] or "", found[1] or found[3])
    return f'{kind} "{found[2] or found[4]}"'
