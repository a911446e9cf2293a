"""Which jobs are off their schedules. Each function works inside the caller's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from jobctl.clock import iso, to_ms
from jobctl.model import Action, ActionKind
from jobctl.store import actions, waiting
from jobctl.store.connection import Connection
from jobctl.store.rows import ms_of, when
from jobctl.text import clauses

_START = """
UPDATE jobs SET
  stopped = NULL, stop_reason = NULL, stopped_until = NULL, anchor = CASE WHEN cursor IS NULL THEN {at} ELSE anchor END,
  cursor = CASE WHEN cursor < {at} THEN {at} ELSE cursor END
"""
_START_NOW = _START.format(at=":now") + "WHERE id = :job AND stopped IS NOT NULL"
_START_DUE = _START.format(at="stopped_until") + "WHERE stopped_until <= ?"


def stop(
    connection: Connection,
    job_ids: Sequence[str],
    at: datetime,
    *,
    reason: str | None,
    until: datetime | None,
    actor: str | None,
) -> None:
    """See ``RunStore.stop``."""
    waiting.give_up_slots(connection, job_ids)
    connection.executemany(
        "UPDATE jobs SET stopped = coalesce(stopped, ?), stop_reason = ?, stopped_until = ?,"
        " next_run = NULL WHERE id = ?",
        [(to_ms(at), reason, ms_of(until), job_id) for job_id in job_ids],
    )
    if actor is not None:
        why = clauses(f"until {iso(until)}" if until else None, reason)
        actions.record(
            connection, [Action(ActionKind.STOP, at, actor, job_id, reason=why) for job_id in job_ids]
        )


def start(connection: Connection, job_ids: Iterable[str], at: datetime, actor: str | None) -> None:
    """See ``RunStore.start``."""
    known = stopped(connection)
    chosen = [job_id for job_id in job_ids if job_id in known]
    connection.executemany(_START_NOW, [{"now": to_ms(at), "job": job_id} for job_id in chosen])
    if actor is not None:
        actions.record(connection, [Action(ActionKind.START, at, actor, job_id) for job_id in chosen])


def stopped(connection: Connection) -> Mapping[str, datetime | None]:
    """The jobs that are off their schedules: until when; None: for good."""
    rows = connection.execute("SELECT id, stopped_until FROM jobs WHERE stopped IS NOT NULL")
    return {job_id: when(until) for job_id, until in rows}


def is_one_due(connection: Connection, at: datetime) -> bool:
    """Whether a pause has ended."""
    due = connection.execute("SELECT 1 FROM jobs WHERE stopped_until <= ? LIMIT 1", (to_ms(at),))
    return bool(due.fetchall())


def start_due(connection: Connection, at: datetime) -> None:
    """See ``RunStore.start_due``."""
    connection.execute(_START_DUE, (to_ms(at),))
