"""Starting and ending runs: the two statements that everything rests on, in batches."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from jobctl.clock import to_ms, whole
from jobctl.durations import milliseconds
from jobctl.errors import FencedError, UnknownToStoreError, UsageError
from jobctl.model import Reason, Run, RunStatus
from jobctl.store.connection import Connection
from jobctl.store.records import (
    Claim,
    Claimed,
    ClaimOutcome,
    Ending,
    Missed,
    Overlap,
    Owner,
    Passed,
    SlotTaken,
    Stopped,
)
from jobctl.store.rows import RUN, ms_of, readable, run_of, when

_INSERT = """
INSERT INTO runs
  (id, job_id, status, reason, trigger, scheduled_for, epoch, started_at, finished_at, owner, host,
   grouped, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING RETURNING seq
"""
_MOVE = """
UPDATE jobs SET
  cursor = coalesce(:slot, cursor), cursor_epoch = CASE WHEN :slot IS NULL THEN cursor_epoch ELSE :epoch END,
  next_run = coalesce(:next_run, next_run), last_run = coalesce(:seq, last_run),
  skipped = skipped + :skipped, missed = missed + :missed
WHERE id = :job
"""
_FINISH = """
UPDATE runs SET
  status = ?, reason = ?, started_at = ?, finished_at = ?, duration_ms = ?, error = ?, result = ?,
  pid = coalesce(?, pid), attempt = ?
WHERE id = ? AND status = 'running' RETURNING job_id
"""
_LOSE = """
UPDATE runs SET
  status = 'failed', reason = 'lost', finished_at = ?, error = 'the process that ran it exited without reporting a result'
WHERE id = ? AND status = 'running' RETURNING job_id
"""
_COUNT = """
UPDATE jobs SET
  completed = completed + :completed, failed = failed + :failed,
  failing = :failed, last_success = coalesce(:success, last_success),
  timed = timed + CASE WHEN :ms IS NULL THEN 0 ELSE 1 END, total_ms = total_ms + coalesce(:ms, 0),
  max_ms = CASE WHEN :ms > max_ms THEN :ms ELSE max_ms END
WHERE id = :job
"""


def is_registered(connection: Connection, owner_id: str) -> bool:
    """Whether the process is registered and was not declared dead."""
    found = connection.execute("SELECT 1 FROM owners WHERE id = ? AND ended IS NULL", (owner_id,))
    return found.fetchone() is not None


def fence(connection: Connection, owner_id: str) -> None:
    """Refuse what follows in this transaction to a process that others may have declared dead.

    Raises:
        FencedError: it is not registered, or no longer.
    """
    if not is_registered(connection, owner_id):
        raise FencedError("the run store does not count this process as alive any more")


def claim_all(connection: Connection, owner: Owner, wanted: Sequence[Claim]) -> list[ClaimOutcome]:
    """Try to start runs, inside the caller's transaction. The unique indexes decide, not this code."""
    fence(connection, owner.id)
    current = clock_generation(connection)
    return [_claim(connection, owner, one, max(one.clock_generation, current)) for one in wanted]


def _claim(connection: Connection, owner: Owner, one: Claim, epoch: int) -> ClaimOutcome:
    found = connection.execute(
        "SELECT cursor, cursor_epoch, stopped FROM jobs WHERE id = ?", (one.job_id,)
    ).fetchone()
    if found is None:
        raise UnknownToStoreError(f'the run store does not know the job "{one.job_id}"')
    cursor, cursor_epoch, stopped = found
    since = when(stopped)
    if since is not None and not one.force:
        return Stopped(since)
    slot = ms_of(one.slot)
    if slot is not None and _is_behind(slot, cursor, cursor_epoch, epoch):
        return SlotTaken(when(cursor))
    seq = _insert(connection, owner, one, epoch)
    if seq is not None:
        missed = _missed(one, cursor)
        _move(connection, one, epoch, seq=seq, missed=missed)
        return Claimed(_begun(owner, one), when(cursor), missed)
    row = _in_the_way(connection, one)
    running = None if row is None else run_of(row)
    if (slot is None or one.queue) and running is not None:
        return Overlap(running, None, when(cursor))
    if running is None and connection.execute("SELECT 1 FROM runs WHERE id = ?", (one.run_id,)).fetchone():
        raise UsageError(f'the run store has a run "{one.run_id}" already', hint="make a new id for each run")
    why = f"run {running.short_id} of {running.job_id} was in its way" if running is not None else None
    if running is None or _insert(connection, owner, one, epoch, skipped=why) is None:
        _move(connection, one, epoch)
        return SlotTaken(when(slot))
    missed = _missed(one, cursor)
    _move(connection, one, epoch, skipped=1, missed=missed)
    begun = _begun(owner, one)
    skipped = replace(
        begun, status=RunStatus.SKIPPED, reason=Reason.OVERLAP, finished_at=begun.started_at, error=why
    )
    return Overlap(running, skipped, when(cursor), missed)


def pass_slots(connection: Connection, job_id: str, until: datetime, missed: Missed) -> Passed | None:
    """Give up a slot, inside the caller's transaction, unless somebody has dealt with it."""
    epoch = clock_generation(connection)
    found = connection.execute("SELECT cursor, cursor_epoch FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if found is None or _is_behind(to_ms(until), found[0], found[1], epoch):
        return None
    passed = Passed(missed(when(found[0])) + 1, when(found[0]))
    values = {"slot": to_ms(until), "epoch": epoch, "next_run": None, "seq": None, "skipped": 0}
    connection.execute(_MOVE, {**values, "missed": passed.missed, "job": job_id})
    return passed


def clock_generation(connection: Connection) -> int:
    """The current clock generation."""
    return _first(connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone())


@readable
def _first(row: Any) -> int:
    return int(row[0])


@readable
def _is_behind(slot: int, cursor: int | None, cursor_epoch: int, epoch: int) -> bool:
    """Whether a slot lies at or before the cursor of its epoch: it is dealt with."""
    return cursor is not None and cursor_epoch >= epoch and slot <= cursor


def _missed(one: Claim, cursor: int | None) -> int:
    return 0 if one.slot is None else one.missed(when(cursor))


def _in_the_way(connection: Connection, one: Claim) -> Any:
    """The unfinished run of the job, or of its group."""
    statement = f"SELECT {RUN} FROM runs r WHERE status = 'running' AND"
    found = connection.execute(f"{statement} job_id = ?", (one.job_id,)).fetchone()
    if found is None and one.group is not None:
        found = connection.execute(f"{statement} grouped = ?", (one.group,)).fetchone()
    return found


def _move(
    connection: Connection,
    one: Claim,
    epoch: int,
    *,
    seq: int | None = None,
    skipped: int = 0,
    missed: int = 0,
) -> None:
    """The job's record after an answer."""
    values = {"slot": ms_of(one.slot), "epoch": epoch, "next_run": ms_of(one.next_run)}
    counts = {"skipped": skipped, "missed": missed}
    connection.execute(_MOVE, {**values, **counts, "seq": seq, "job": one.job_id})


def _insert(
    connection: Connection, owner: Owner, one: Claim, epoch: int, *, skipped: str | None = None
) -> int | None:
    """A run that begins, or with ``skipped``, which says why, does not."""
    at = to_ms(one.at)
    row = (
        one.run_id,
        one.job_id,
        (RunStatus.SKIPPED if skipped else RunStatus.RUNNING).value,
        Reason.OVERLAP.value if skipped else None,
        one.trigger.value,
        ms_of(one.slot),
        None if one.slot is None else 0 if one.fixed else epoch,
        at,
        at if skipped else None,
        owner.id,
        owner.host,
        one.group,
        skipped,
    )
    done = connection.execute(_INSERT, row).fetchone()
    return _first(done) if done else None


def _begun(owner: Owner, one: Claim) -> Run:
    slot = None if one.slot is None else whole(one.slot)
    at = whole(one.at)
    return Run(
        one.run_id, one.job_id, RunStatus.RUNNING, one.trigger, at, scheduled_for=slot, host=owner.host
    )


def finish(connection: Connection, ending: Ending) -> bool:
    """Record an end and count it, inside the caller's transaction."""
    result = ending.result
    if result is not None:
        import json

        result = json.dumps(result)
    duration = milliseconds(ending.duration)
    row = connection.execute(
        _FINISH,
        (
            ending.status.value,
            ending.reason.value if ending.reason else None,
            to_ms(ending.started_at),
            to_ms(ending.finished_at),
            duration,
            ending.error,
            result,
            ending.pid,
            ending.attempt,
            ending.run_id,
        ),
    ).fetchone()
    if row is None:
        return False
    success = ending.finished_at if ending.status is RunStatus.COMPLETED else None
    _count(connection, row[0], success=success, ms=duration)
    return True


def _count(connection: Connection, job_id: str, *, success: datetime | None, ms: int | None = None) -> None:
    """One run more has ended: with ``success``, at that instant, or without."""
    done = success is not None
    values = {
        "job": job_id,
        "completed": int(done),
        "failed": int(not done),
        "success": ms_of(success),
        "ms": ms,
    }
    connection.execute(_COUNT, values)


def unfinished_of(connection: Connection, owner_id: str) -> list[str]:
    """The runs of an owner that have not ended."""
    found = connection.execute("SELECT id FROM runs WHERE owner = ? AND status = 'running'", (owner_id,))
    return [row[0] for row in found.fetchall()]


def lose(connection: Connection, at: datetime, run_ids: Sequence[str]) -> Sequence[Run]:
    """Those of some runs that are unfinished become ``lost``; how long they took is not known."""
    lost: list[Run] = []
    for run_id in run_ids:
        row = connection.execute(_LOSE, (to_ms(at), run_id)).fetchone()
        if row is not None:
            _count(connection, row[0], success=None)
            found = connection.execute(f"SELECT {RUN} FROM runs r WHERE id = ?", (run_id,)).fetchone()
            lost.append(run_of(found))
    return lost
