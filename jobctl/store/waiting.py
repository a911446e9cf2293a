"""Runs that are kept for later: at a given time, by a backfill, or slots that are caught up.

Each function works inside the caller's transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from jobctl.clock import from_ms, to_ms
from jobctl.model import Trigger, WaitingRun
from jobctl.store.connection import Connection
from jobctl.store.records import Cancellation, Claim, new_run_ids
from jobctl.store.rows import WAITING, json_text, ms_of, waiting_of

_ADD = """
INSERT INTO waiting (id, job_id, begins_at, trigger, slot, arguments, rerun_of, actor, reason, batch)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_CANCELLED = """
INSERT INTO runs
  (id, job_id, status, reason, trigger, started_at, finished_at, host, error, arguments, rerun_of, actor, batch)
VALUES (?, ?, 'cancelled', 'cancelled', ?, ?, ?, '', ?, ?, ?, ?, ?)
"""
_ORDER = "ORDER BY w.begins_at, w.seq"
_SLOTS = (
    f"SELECT id, slot FROM waiting WHERE job_id = ? AND trigger = '{Trigger.SCHEDULE}' ORDER BY slot DESC"
)


def add(connection: Connection, runs: Sequence[WaitingRun]) -> None:
    """Keep runs for later."""
    connection.executemany(_ADD, [_row(run) for run in runs])


def _row(run: WaitingRun) -> tuple[Any, ...]:
    row = (run.id, run.job_id, to_ms(run.begins_at), run.trigger.value, ms_of(run.slot))
    return (*row, json_text(run.arguments), run.rerun_of, run.actor, run.reason, run.batch)


def add_slots(connection: Connection, claim: Claim, slots: Sequence[datetime]) -> None:
    """Keep the slots of a job, to be run from now on, one after another."""
    add(
        connection,
        [
            WaitingRun(run_id, claim.job_id, claim.at, claim.trigger, slot, claim.arguments)
            for run_id, slot in zip(new_run_ids(len(slots)), slots, strict=True)
        ],
    )


def drop_slots(connection: Connection, job_id: str, limit: int = 0) -> list[datetime]:
    """Give up slots of a job, but for the newest ``limit``; returns them."""
    found = connection.execute(_SLOTS, (job_id,)).fetchall()[limit:]
    for run_id, _ in found:
        drop(connection, run_id)
    return [from_ms(slot) for _, slot in found]


def give_up_slots(connection: Connection, job_ids: Iterable[str]) -> None:
    """Count the slots of jobs that wait to be caught up as missed."""
    connection.executemany(
        "UPDATE jobs SET missed = missed + ? WHERE id = ?",
        [(len(drop_slots(connection, job_id)), job_id) for job_id in job_ids],
    )


def is_kept(connection: Connection, run_id: str) -> bool:
    """Whether a run waits."""
    return connection.execute("SELECT 1 FROM waiting WHERE id = ?", (run_id,)).fetchone() is not None


def drop(connection: Connection, run_id: str) -> None:
    """Keep a run no longer."""
    connection.execute("DELETE FROM waiting WHERE id = ?", (run_id,))


def drop_batch(connection: Connection, batch: str) -> None:
    """Keep no run of a backfill any longer."""
    connection.execute("DELETE FROM waiting WHERE batch = ?", (batch,))


def cancel(connection: Connection, cancellation: Cancellation, at: datetime) -> str | None:
    """Record a run that waits as cancelled; returns the id of its job, or None where it does not wait."""
    row = connection.execute(
        f"SELECT {WAITING} FROM waiting w WHERE w.id = ?", (cancellation.run_id,)
    ).fetchone()
    if row is None:
        return None
    run = waiting_of(row)
    drop(connection, run.id)
    values = (
        run.id,
        run.job_id,
        run.trigger.value,
        to_ms(at),
        to_ms(at),
        f"{cancellation.text}, before it began",
    )
    connection.execute(_CANCELLED, (*values, json_text(run.arguments), run.rerun_of, run.actor, run.batch))
    return run.job_id


def first_time(connection: Connection) -> int | None:
    """When the first run begins, in ms since 1970 UTC; None where none waits."""
    found: int | None = connection.execute("SELECT min(begins_at) FROM waiting").fetchone()[0]
    return found


def due(connection: Connection, at: datetime, jobs: Mapping[str, str | None], most: int) -> list[WaitingRun]:
    """See ``RunStore.due_waiting``."""
    now = to_ms(at)
    going = connection.execute("SELECT job_id, grouped FROM runs WHERE status = 'running'").fetchall()
    busy = {job_id for job_id, _ in going}
    busy_groups = {group for _, group in going if group is not None}
    waiting = connection.execute(
        "SELECT job_id FROM waiting WHERE begins_at <= ? GROUP BY job_id ORDER BY min(begins_at), min(seq)",
        (now,),
    ).fetchall()
    found: list[WaitingRun] = []
    for (job_id,) in waiting:
        if len(found) >= most:
            break
        if job_id not in jobs or job_id in busy or (group := jobs[job_id]) in busy_groups:
            continue
        if group is not None:
            busy_groups.add(group)
        row = None
        # a backfill delays no other run of its job for long; two queries, since each has an index
        for condition in ("w.batch IS NULL", "true"):
            first = f"SELECT {WAITING} FROM waiting w WHERE w.job_id = ? AND w.begins_at <= ? AND {condition}"
            row = row or connection.execute(f"{first} {_ORDER} LIMIT 1", (job_id, now)).fetchone()
        if row is not None:
            found.append(waiting_of(row))
    return found


def bring_slots_forward(connection: Connection, at: datetime) -> None:
    """Let past slots that would begin later than ``at`` begin then."""
    connection.execute(
        "UPDATE waiting SET begins_at = ? WHERE begins_at > ? AND slot IS NOT NULL", (to_ms(at), to_ms(at))
    )


def listed(
    connection: Connection,
    *,
    job_id: str | None = None,
    batch: str | None = None,
    prefix: str | None = None,
    limit: int | None = None,
) -> list[WaitingRun]:
    """Runs that wait, soonest first: all, of a job, or those whose id, or that of their backfill, begins so."""
    conditions = ["true"]
    values: list[str] = []
    if job_id is not None:
        conditions.append("w.job_id = ?")
        values.append(job_id)
    for column, begin in (("w.batch", batch), ("w.id", prefix)):
        if begin is not None:
            conditions.append(f"{column} >= ? AND {column} < ?")
            values += [begin, f"{begin}g"]
    most = "" if limit is None else f"LIMIT {limit:d}"
    rows = connection.execute(
        f"SELECT {WAITING} FROM waiting w WHERE {' AND '.join(conditions)} {_ORDER} {most}", values
    )
    return [waiting_of(row) for row in rows]


def counts(connection: Connection, job_id: str | None = None) -> dict[str, tuple[int, int]]:
    """For each job, or one, with runs that wait: how many, and when the first begins, in ms since 1970 UTC."""
    condition, values = ("", ()) if job_id is None else ("WHERE job_id = ?", (job_id,))
    selected = f"SELECT job_id, count(*), min(begins_at) FROM waiting {condition} GROUP BY job_id"
    rows = connection.execute(selected, values)
    return {row[0]: (row[1], row[2]) for row in rows}
