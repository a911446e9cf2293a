"""Starting and ending runs: the two statements that everything rests on, in batches."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from jobctl.clock import from_ms, to_ms
from jobctl.durations import milliseconds
from jobctl.errors import UsageError
from jobctl.model import Reason, Run, RunStatus
from jobctl.runs.sqlite.rows import RUN, ms_of, run_of, when
from jobctl.runs.store import Answer, Claim, Claimed, Ending, Overlap, Owner, SlotTaken, Stopped

_INSERT = """
INSERT OR IGNORE INTO runs
  (id, job_id, status, reason, trigger, scheduled_for, epoch, started_at, finished_at, duration_ms, owner, host)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ENROL = """
INSERT INTO owners (id, kind, host, pid, start, boot, since, beat) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET ended = NULL, killed = 0 WHERE ended IS NOT NULL
"""
_MOVE = """
UPDATE jobs SET
  cursor = coalesce(?2, cursor), cursor_epoch = iif(?2 IS NULL, cursor_epoch, ?3),
  next_run = coalesce(?4, next_run), last_run = coalesce(?5, last_run), skipped = skipped + ?6
WHERE id = ?1
"""
_FINISH = """
UPDATE runs SET
  status = ?2, reason = ?3, started_at = ?4, finished_at = ?5, duration_ms = ?6, error = ?7, result = ?8,
  pid = coalesce(?9, pid), attempt = ?10
WHERE id = ?1 AND status = 'running' RETURNING job_id
"""
_COUNT = """
UPDATE jobs SET
  completed = completed + ?2, failed = failed + ?3, timed = timed + (?4 IS NOT NULL),
  total_ms = total_ms + coalesce(?4, 0), max_ms = max(max_ms, coalesce(?4, 0))
WHERE id = ?1
"""


def enrol(connection: sqlite3.Connection, owner: Owner) -> None:
    """Know the owner, and that it lives: one that was held for dead, or forgotten, may wake up and claim."""
    row = (owner.id, owner.kind, owner.host, owner.pid, owner.start, owner.boot)
    connection.execute(_ENROL, (*row, to_ms(owner.since), to_ms(owner.beat)))


def claim_all(connection: sqlite3.Connection, owner: Owner, wanted: Sequence[Claim]) -> list[Answer]:
    """Try to start runs, inside the caller's transaction. The unique indexes decide, not this code."""
    enrol(connection, owner)
    current = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()[0]
    return [_claim(connection, owner, one, max(one.epoch, current)) for one in wanted]


def _claim(connection: sqlite3.Connection, owner: Owner, one: Claim, epoch: int) -> Answer:
    found = connection.execute(
        "SELECT cursor, cursor_epoch, stopped FROM jobs WHERE id = ?", (one.job_id,)
    ).fetchone()
    if found is None:
        raise UsageError(f'the run store knows no job "{one.job_id}"', hint="register it first")
    cursor, cursor_epoch, stopped = found
    if stopped is not None and not one.force:
        return Stopped(from_ms(stopped))
    slot = ms_of(one.slot)
    if slot is not None and cursor is not None and cursor_epoch >= epoch and slot <= cursor:
        return SlotTaken(from_ms(cursor))
    next_run = ms_of(one.next_run)
    seq = _insert(connection, owner, one, epoch, RunStatus.RUNNING)
    if seq is not None:
        connection.execute(_MOVE, (one.job_id, slot, epoch, next_run, seq, 0))
        return Claimed(_begun(owner, one), when(cursor))
    running = connection.execute(
        f"SELECT {RUN} FROM runs r WHERE job_id = ? AND status = 'running'", (one.job_id,)
    ).fetchone()
    if slot is None and running is not None:
        return Overlap(run_of(running), None, when(cursor))
    if running is None and connection.execute("SELECT 1 FROM runs WHERE id = ?", (one.run_id,)).fetchone():
        raise UsageError(f'the run store has a run "{one.run_id}" already', hint="make a new id for each run")
    if running is None or _insert(connection, owner, one, epoch, RunStatus.SKIPPED) is None:
        connection.execute(_MOVE, (one.job_id, slot, epoch, next_run, None, 0))
        return SlotTaken(when(slot))
    connection.execute(_MOVE, (one.job_id, slot, epoch, next_run, None, 1))
    begun = _begun(owner, one)
    skipped = replace(begun, status=RunStatus.SKIPPED, reason=Reason.OVERLAP, finished_at=begun.started_at)
    return Overlap(run_of(running), skipped, when(cursor))


def _insert(
    connection: sqlite3.Connection, owner: Owner, one: Claim, epoch: int, status: RunStatus
) -> int | None:
    at = to_ms(one.at)
    skipped = status is RunStatus.SKIPPED
    row = (
        one.run_id,
        one.job_id,
        status.value,
        Reason.OVERLAP.value if skipped else None,
        one.trigger.value,
        ms_of(one.slot),
        None if one.slot is None else 0 if one.fixed else epoch,
        at,
        at if skipped else None,
        None,
        owner.id,
        owner.host,
    )
    done = connection.execute(_INSERT, row)
    return done.lastrowid if done.rowcount else None


def _begun(owner: Owner, one: Claim) -> Run:
    at = from_ms(to_ms(one.at))
    slot = None if one.slot is None else from_ms(to_ms(one.slot))
    return Run(
        one.run_id, one.job_id, RunStatus.RUNNING, one.trigger, at, scheduled_for=slot, host=owner.host
    )


def finish(connection: sqlite3.Connection, ending: Ending) -> bool:
    """Record an end and count it, inside the caller's transaction."""
    result = ending.result
    if result is not None:
        import json

        result = json.dumps(result)
    duration = milliseconds(ending.duration)
    row = connection.execute(
        _FINISH,
        (
            ending.run_id,
            ending.status.value,
            ending.reason.value if ending.reason else None,
            to_ms(ending.started_at),
            to_ms(ending.finished_at),
            duration,
            ending.error,
            result,
            ending.pid,
            ending.attempt,
        ),
    ).fetchone()
    if row is None:
        return False
    completed = ending.status is RunStatus.COMPLETED
    connection.execute(_COUNT, (row[0], completed, not completed, duration))
    return True


def lose(connection: sqlite3.Connection, owner_id: str, at: datetime) -> Sequence[Run]:
    """Every unfinished run of an owner becomes ``lost``; how long it took is not known."""
    rows = connection.execute(
        "UPDATE runs SET status = 'failed', reason = 'lost', finished_at = ?,"
        " error = 'the process that ran it ended without a word'"
        " WHERE owner = ? AND status = 'running' RETURNING id, job_id",
        (to_ms(at), owner_id),
    ).fetchall()
    for _, job_id in rows:
        connection.execute(_COUNT, (job_id, 0, 1, None))
    marks = ", ".join("?" * len(rows))
    found = connection.execute(f"SELECT {RUN} FROM runs r WHERE id IN ({marks})", [row[0] for row in rows])
    return [run_of(row) for row in found]
