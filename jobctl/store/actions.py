"""The list of what people and programs did to jobs and runs. Each function works inside the caller's transaction."""

from collections.abc import Iterable
from datetime import datetime

from jobctl.clock import to_ms
from jobctl.model import Action, ActionKind, short_id
from jobctl.store.connection import Connection
from jobctl.store.records import Claim
from jobctl.store.rows import action_of, ms_of
from jobctl.text import clauses

_COLUMNS = "kind, at, actor, job_id, run_id, reason"


def record(connection: Connection, done: Iterable[Action]) -> None:
    """Add actions."""
    connection.executemany(
        f"INSERT INTO actions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (each.kind.value, to_ms(each.at), each.actor, each.job_id, each.run_id, each.reason)
            for each in done
        ],
    )


def record_run(connection: Connection, claim: Claim) -> None:
    """Add the start of a run, unless a schedule starts it."""
    if claim.actor is not None:
        kind = ActionKind.TRIGGER if claim.rerun_of is None else ActionKind.RERUN
        repeats = None if claim.rerun_of is None else f"as in run {short_id(claim.rerun_of)}"
        reason = clauses(repeats, claim.action_reason)
        record(connection, [Action(kind, claim.at, claim.actor, claim.job_id, claim.run_id, reason)])


def newest(
    connection: Connection, job_id: str | None, since: datetime | None, limit: int | None
) -> list[Action]:
    """Actions, newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM actions WHERE job_id = coalesce(?, job_id) AND at >= ?"
        f" ORDER BY seq DESC {'' if limit is None else f'LIMIT {limit:d}'}",
        (job_id, ms_of(since) or 0),
    )
    return [action_of(row) for row in rows]
