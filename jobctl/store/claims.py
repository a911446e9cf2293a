"""Starting and ending runs: the statements that keep a slot from running twice (promise 1 of docs/reliability.md).

A batch is written together first, in two statements, on the assumption that no other process has interfered. Where a
row shows that one has, the batch is undone and taken one by one, which finds out who was first. Each function works
inside the caller's transaction.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from jobctl.clock import to_ms
from jobctl.durations import milliseconds
from jobctl.errors import FencedError, UnknownToStoreError, UsageError
from jobctl.model import Reason, Run, RunStatus
from jobctl.store import actions, waiting
from jobctl.store.batch_statement import BatchStatement
from jobctl.store.connection import Connection
from jobctl.store.records import (
    Claim,
    Claimed,
    ClaimOutcome,
    CursorMoved,
    Ending,
    Enqueued,
    Misfires,
    Overlap,
    Owner,
    SlotsOutcome,
    SlotTaken,
    Stopped,
)
from jobctl.store.rows import RUN, decodes, json_text, ms_of, run_of, when

_INSERT = """
INSERT INTO runs
  (id, job_id, status, reason, trigger, scheduled_for, epoch, started_at, finished_at, owner, host,
   grouped, error, arguments, rerun_of, actor, batch)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING RETURNING seq
"""
_SKIP = BatchStatement(
    """
    INSERT INTO runs
      (id, job_id, status, reason, trigger, scheduled_for, epoch, started_at, finished_at, owner, host, grouped,
       error, arguments)
    VALUES (:id, :job_id, 'skipped', 'overlap', :trigger, :slot, :epoch, :at, :at, :owner, :host, :grouped,
       :error, :arguments)
    ON CONFLICT DO NOTHING
    """,
    "id job_id trigger slot epoch at owner host grouped error arguments",
)
_PASS = BatchStatement(
    """
    UPDATE jobs SET
      cursor = :slot, cursor_epoch = :generation, next_run = coalesce(:next_run, jobs.next_run),
      skipped = jobs.skipped + 1, missed = jobs.missed + :missed
    {rows} WHERE jobs.id = :job_id
    """,
    "slot generation next_run missed job_id",
)
_RECORDS = f"""
SELECT j.id, j.cursor, j.cursor_epoch, j.stopped, m.value, {RUN} FROM jobs j
JOIN meta m ON m.name = 'epoch' LEFT JOIN runs r ON r.job_id = j.id AND r.status = 'running'
"""
_BEGIN = BatchStatement(
    """
    INSERT INTO runs
      (id, job_id, status, trigger, scheduled_for, epoch, started_at, owner, host, grouped, arguments)
    VALUES (:id, :job_id, 'running', :trigger, :slot, :generation, :at, :owner, :host, :grouped, :arguments)
    ON CONFLICT DO NOTHING
    """,
    "id job_id trigger slot generation at owner host grouped arguments",
)
_MOVE_CURSORS = BatchStatement(
    """
    UPDATE jobs SET
      cursor = :slot, cursor_epoch = :generation, next_run = coalesce(:next_run, jobs.next_run),
      last_run = (SELECT seq FROM runs WHERE id = :run_id), missed = jobs.missed + :missed
    {rows} WHERE jobs.id = :job_id AND coalesce(jobs.cursor, -1) = coalesce(:cursor, -1) AND jobs.stopped IS NULL
    """,
    "slot generation next_run run_id missed job_id cursor",
)
_MOVE_CURSOR = """
UPDATE jobs SET
  cursor = coalesce(:slot, cursor),
  cursor_epoch = CASE WHEN :slot IS NULL THEN cursor_epoch ELSE :generation END,
  next_run = coalesce(:next_run, next_run), last_run = coalesce(:seq, last_run),
  skipped = skipped + :skipped, missed = missed + :missed
WHERE id = :job
"""
_FINISH = BatchStatement(
    """
    UPDATE runs SET
      status = :status, reason = :reason, started_at = :started_at, finished_at = :finished_at,
      duration_ms = :duration, error = :error, result = :result, pid = coalesce(:pid, runs.pid), attempt = :attempt
    {rows} WHERE runs.id = :run_id AND runs.status = 'running'
    """,
    "status reason started_at finished_at duration error result pid attempt run_id",
)
_LOSE = """
UPDATE runs SET
  status = 'failed', reason = 'lost', finished_at = ?, error = 'the process that ran it exited without reporting a result'
WHERE id = ? AND status = 'running' RETURNING job_id
"""
_COUNT = BatchStatement(
    """
    UPDATE jobs SET
      completed = jobs.completed + :completed, failed = jobs.failed + :failed,
      failing = CASE WHEN :completed + :failed = 0 THEN jobs.failing ELSE :failed END,
      last_success = coalesce(:success, jobs.last_success),
      timed = jobs.timed + CASE WHEN :duration IS NULL THEN 0 ELSE 1 END,
      total_ms = jobs.total_ms + coalesce(:duration, 0),
      max_ms = CASE WHEN :duration > jobs.max_ms THEN :duration ELSE jobs.max_ms END
    {rows} WHERE jobs.id = :job_id
    """,
    "completed failed success duration job_id",
)


def is_registered(connection: Connection, owner_id: str) -> bool:
    """Whether the process is registered and was not declared dead."""
    found = connection.execute("SELECT 1 FROM owners WHERE id = ? AND ended IS NULL", (owner_id,))
    return found.fetchone() is not None


@decodes
def clock_generation(connection: Connection) -> int:
    """The current clock generation."""
    return int(connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()[0])


@decodes
def fence(connection: Connection, owner_id: str) -> int:
    """Refuse the transaction of a process that was declared dead; for another, return the current clock generation.

    Raises:
        FencedError: it is not registered, or no longer.
    """
    found = connection.execute(
        "SELECT m.value FROM meta m JOIN owners o ON o.id = ? AND o.ended IS NULL WHERE m.name = 'epoch'",
        (owner_id,),
    ).fetchone()
    if found is None:
        raise FencedError("the run store has declared this process dead")
    return int(found[0])


BeginTogether = Callable[[Connection, Owner, Sequence["SlotRow"]], AbstractSet[str]]
"""Starts runs of free slots, as far as it can together; returns their ids."""


class SlotRow(NamedTuple):
    """A claim of a slot beyond its job's known cursor, in the values of the database."""

    run_id: str
    job_id: str
    trigger: str
    slot: int
    generation: int
    fixed: bool
    at: int
    grouped: str | None
    arguments: str | None
    next_run: int | None
    missed: int
    cursor: int | None


def claim_all(
    connection: Connection, owner: Owner, wanted: Sequence[Claim], begin: BeginTogether
) -> list[ClaimOutcome]:
    """Try to start runs: together by ``begin``, then one by one what is left. The unique indexes decide, not this code."""
    begun = _begin(connection, owner, wanted, begin)
    if len(begun) == len(wanted):
        return [Claimed(claim, owner.host) for claim in wanted]
    current = fence(connection, owner.id)
    left = [claim for claim in wanted if claim.run_id not in begun]
    outcomes, free, blocked = sort_out(connection, left)
    if len(free) < len(wanted):
        begun = begun | _begin(connection, owner, free, begin)
    outcomes.update(_skip_together(connection, owner, blocked, current))
    return [
        Claimed(claim, owner.host)
        if claim.run_id in begun
        else outcomes.get(claim.run_id)
        or _claim(connection, owner, claim, max(claim.clock_generation, current))
        for claim in wanted
    ]


def _begin(
    connection: Connection, owner: Owner, wanted: Sequence[Claim], begin: BeginTogether
) -> AbstractSet[str]:
    """The ids of the runs that ``begin`` started.

    None where a claim is not of a slot beyond a known cursor, or where the order of the claims matters.
    """
    jobs = [claim.job_id for claim in wanted]
    groups = [claim.group for claim in wanted if claim.group is not None]
    if len(jobs) < 2 or len(jobs) + len(groups) > len({*jobs}) + len({*groups}):
        return set()
    rows = []
    for claim in wanted:
        slot, misfires = claim.slot, claim.misfires
        if slot is None or misfires is None or claim.force:
            return set()
        due, cursor = to_ms(slot), ms_of(misfires.cursor)
        if cursor is not None and cursor >= due:
            return set()
        rows.append(
            SlotRow(
                claim.run_id,
                claim.job_id,
                claim.trigger.value,
                due,
                claim.clock_generation,
                claim.fixed,
                to_ms(claim.at),
                claim.group,
                json_text(claim.arguments),
                ms_of(claim.next_run),
                misfires.count,
                cursor,
            )
        )
    return begin(connection, owner, rows)


def begin_together(connection: Connection, owner: Owner, rows: Sequence[SlotRow]) -> AbstractSet[str]:
    """Start all runs, in two statements; none where one of them cannot start."""
    current = fence(connection, owner.id)
    begun, moved = [], []
    for row in rows:
        run_id, job_id, trigger, slot, known, fixed, at, grouped, arguments, next_run, missed, cursor = row
        generation = max(known, current)
        epoch = 0 if fixed else generation
        begun.append((run_id, job_id, trigger, slot, epoch, at, owner.id, owner.host, grouped, arguments))
        moved.append((slot, generation, next_run, run_id, missed, job_id, cursor))
    done = connection.change_all((_BEGIN, begun), (_MOVE_CURSORS, moved))
    return {row.run_id for row in rows} if done else set()


def sort_out(
    connection: Connection, wanted: Sequence[Claim]
) -> tuple[dict[str, ClaimOutcome], list[Claim], list[tuple[Claim, Run]]]:
    """By one query: the claims that the records of their jobs refuse, by run id; those that nothing seems to block; and
    those that an unfinished run of their job blocks, with it.

    A refusal holds without a lock too: later the record would refuse it as well. Where a job is wanted twice, all
    depends on the order, and nothing is sorted out.
    """
    refused: dict[str, ClaimOutcome] = {}
    free: list[Claim] = []
    blocked: list[tuple[Claim, Run]] = []
    if len({claim.job_id for claim in wanted}) < max(2, len(wanted)):
        return refused, free, blocked
    rows = connection.execute(
        f"{_RECORDS} WHERE j.id IN ({', '.join('?' * len(wanted))})", [claim.job_id for claim in wanted]
    )
    found = {row[0]: row[1:] for row in rows}
    for claim in wanted:
        if claim.job_id not in found:
            continue
        cursor, cursor_generation, stopped, current, *run = found[claim.job_id]
        refusal = _refusal(claim, cursor, cursor_generation, stopped, current)
        if refusal is not None:
            refused[claim.run_id] = refusal
        elif run[0] is not None:
            blocked.append((claim, run_of(run)))
        elif claim.group is None:
            free.append(claim)
    return refused, free, blocked


def _skip_together(
    connection: Connection, owner: Owner, blocked: Sequence[tuple[Claim, Run]], current: int
) -> dict[str, ClaimOutcome]:
    """Record, in two statements, the slots that unfinished runs block; nothing where one of them is recorded already."""
    outcomes: dict[str, ClaimOutcome] = {}
    skipped, passed = [], []
    for claim, running in blocked:
        slot = ms_of(claim.slot)
        if slot is None or claim.queue or claim.waits:
            outcomes[claim.run_id] = Overlap(running, None)
            continue
        generation = max(claim.clock_generation, current)
        epoch = 0 if claim.fixed else generation
        why = _why_skipped(running)
        at, arguments = to_ms(claim.at), json_text(claim.arguments)
        run = (claim.run_id, claim.job_id, claim.trigger.value, slot, epoch, at, owner.id, owner.host)
        skipped.append((*run, claim.group, why, arguments))
        missed = claim.misfires.count if claim.misfires else 0
        passed.append((slot, generation, ms_of(claim.next_run), missed, claim.job_id))
        outcomes[claim.run_id] = Overlap(running, _skipped(owner, claim, why))
    if skipped and not connection.change_all((_SKIP, skipped), (_PASS, passed)):
        return {}
    return outcomes


def _why_skipped(running: Run) -> str:
    return f"run {running.short_id} of {running.job_id} was unfinished"


def _skipped(owner: Owner, claim: Claim, why: str | None, reason: Reason = Reason.OVERLAP) -> Run:
    begun = Claimed(claim, owner.host).run
    return replace(begun, status=RunStatus.SKIPPED, reason=reason, finished_at=begun.started_at, error=why)


def skip_excluded(
    connection: Connection, owner: Owner, wanted: Sequence[tuple[Claim, str]]
) -> list[Run | None]:
    """See ``RunStore.skip_excluded``."""
    current = fence(connection, owner.id)
    skipped: list[Run | None] = []
    for claim, why in wanted:
        generation = max(claim.clock_generation, current)
        is_new = (
            _insert(connection, owner, claim, generation, skipped=why, reason=Reason.EXCLUDED) is not None
        )
        if is_new:
            connection.execute("UPDATE jobs SET skipped = skipped + 1 WHERE id = ?", (claim.job_id,))
        skipped.append(_skipped(owner, claim, why, Reason.EXCLUDED) if is_new else None)
    return skipped


def _claim(connection: Connection, owner: Owner, claim: Claim, generation: int) -> ClaimOutcome:
    refusal = _refusal_of_record(connection, claim, generation)
    if refusal is not None:
        return refusal
    if claim.waits:
        return _claim_waiting(connection, owner, claim, generation)
    slot = claim.slot
    missed = claim.misfires.count if claim.misfires else 0
    seq = _insert(connection, owner, claim, generation)
    if seq is not None:
        _move_cursor(connection, claim, generation, seq=seq, missed=missed)
        actions.record_run(connection, claim)
        return Claimed(claim, owner.host)
    running = _in_the_way(connection, claim)
    if (slot is None or claim.queue) and running is not None:
        return Overlap(running, None)
    if running is None and connection.execute("SELECT 1 FROM runs WHERE id = ?", (claim.run_id,)).fetchone():
        raise UsageError(
            f'the run store has a run "{claim.run_id}" already', hint="make a new id for each run"
        )
    why = None if running is None else _why_skipped(running)
    if running is None or _insert(connection, owner, claim, generation, skipped=why) is None:
        _move_cursor(connection, claim, generation)
        return SlotTaken(when(ms_of(slot)))
    _move_cursor(connection, claim, generation, skipped=1, missed=missed)
    return Overlap(running, _skipped(owner, claim, why))


def _claim_waiting(
    connection: Connection, owner: Owner, claim: Claim, generation: int
) -> Claimed | Overlap | SlotTaken:
    """Start a run that was kept for later; ``SlotTaken`` where another process has started or cancelled it.

    It is also dropped where its slot was run meanwhile.
    """
    if not waiting.is_kept(connection, claim.run_id):
        return SlotTaken(None)
    seq = _insert(connection, owner, claim, generation)
    if seq is None and (running := _in_the_way(connection, claim)) is not None:
        return Overlap(running, None)
    waiting.drop(connection, claim.run_id)
    if seq is None:
        return SlotTaken(claim.slot)
    connection.execute("UPDATE jobs SET last_run = ? WHERE id = ?", (seq, claim.job_id))
    return Claimed(claim, owner.host)


def enqueue_slots(
    connection: Connection, claim: Claim, slots: Sequence[datetime], limit: int
) -> SlotsOutcome:
    """See ``RunStore.enqueue_slots``."""
    generation = max(claim.clock_generation, clock_generation(connection))
    refusal = _refusal_of_record(connection, claim, generation)
    if refusal is not None:
        return refusal
    waiting.add_slots(connection, claim, slots)
    dropped = waiting.drop_slots(connection, claim.job_id, limit)
    missed = len(dropped) + (claim.misfires.count if claim.misfires else 0)
    _move_cursor(connection, claim, generation, missed=missed)
    return Enqueued(dropped)


def _refusal_of_record(
    connection: Connection, claim: Claim, generation: int
) -> Stopped | SlotTaken | CursorMoved | None:
    """Why the record of its job refuses a claim, or None; ``UnknownToStoreError`` where the job has none."""
    found = connection.execute(
        "SELECT cursor, cursor_epoch, stopped FROM jobs WHERE id = ?", (claim.job_id,)
    ).fetchone()
    if found is None:
        raise UnknownToStoreError(f'the run store does not know the job "{claim.job_id}"')
    cursor, cursor_generation, stopped = found
    return _refusal(claim, cursor, cursor_generation, stopped, generation)


def _refusal(
    claim: Claim, cursor: int | None, cursor_generation: int, stopped: int | None, current: int
) -> Stopped | SlotTaken | CursorMoved | None:
    """Why the record of its job refuses a claim, or None."""
    since = when(stopped)
    if since is not None and not claim.force:
        return Stopped(since)
    if claim.waits:
        return None
    slot = ms_of(claim.slot)
    if slot is not None and _is_behind(slot, cursor, cursor_generation, max(claim.clock_generation, current)):
        return SlotTaken(when(cursor))
    if claim.misfires is not None and ms_of(claim.misfires.cursor) != cursor:
        return CursorMoved(when(cursor))
    return None


def pass_slots(
    connection: Connection, job_id: str, until: datetime, misfires: Misfires | None
) -> SlotTaken | CursorMoved | None:
    """Give up a slot and count the misfires, unless that was done before or the cursor is another one."""
    generation = clock_generation(connection)
    found = connection.execute("SELECT cursor, cursor_epoch FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if found is None or _is_behind(to_ms(until), found[0], found[1], generation):
        return SlotTaken(when(found[0]) if found else None)
    if misfires is not None and ms_of(misfires.cursor) != found[0]:
        return CursorMoved(when(found[0]))
    missed = misfires.count + 1 if misfires else 0
    values = {"slot": to_ms(until), "generation": generation, "next_run": None, "seq": None, "skipped": 0}
    connection.execute(_MOVE_CURSOR, {**values, "missed": missed, "job": job_id})
    return None


@decodes
def _is_behind(slot: int, cursor: int | None, cursor_generation: int, generation: int) -> bool:
    """Whether a slot lies at or before the cursor of its clock generation: it was run, skipped or given up."""
    return cursor is not None and cursor_generation >= generation and slot <= cursor


def _in_the_way(connection: Connection, claim: Claim) -> Run | None:
    """The unfinished run of the job, or of its group."""
    statement = f"SELECT {RUN} FROM runs r WHERE status = 'running' AND"
    row = connection.execute(f"{statement} job_id = ?", (claim.job_id,)).fetchone()
    if row is None and claim.group is not None:
        row = connection.execute(f"{statement} grouped = ?", (claim.group,)).fetchone()
    return None if row is None else run_of(row)


def _move_cursor(
    connection: Connection,
    claim: Claim,
    generation: int,
    *,
    seq: int | None = None,
    skipped: int = 0,
    missed: int = 0,
) -> None:
    """Update the job's record after a claim. A manual run moves no cursor."""
    values = {"slot": ms_of(claim.slot), "generation": generation, "next_run": ms_of(claim.next_run)}
    counts = {"skipped": skipped, "missed": missed}
    connection.execute(_MOVE_CURSOR, {**values, **counts, "seq": seq, "job": claim.job_id})


@decodes
def _insert(
    connection: Connection,
    owner: Owner,
    claim: Claim,
    generation: int,
    *,
    skipped: str | None = None,
    reason: Reason = Reason.OVERLAP,
) -> int | None:
    """Insert a run that starts, or one that is skipped, with ``skipped`` as the explanation; None where an index refuses."""
    at = to_ms(claim.at)
    row = (
        claim.run_id,
        claim.job_id,
        (RunStatus.SKIPPED if skipped else RunStatus.RUNNING).value,
        reason.value if skipped else None,
        claim.trigger.value,
        ms_of(claim.slot),
        None if claim.slot is None else 0 if claim.fixed else generation,
        at,
        at if skipped else None,
        owner.id,
        owner.host,
        claim.group,
        skipped,
        json_text(claim.arguments),
        claim.rerun_of,
        claim.actor,
        claim.batch,
    )
    done = connection.execute(_INSERT, row).fetchone()
    return int(done[0]) if done else None


def finish_all(connection: Connection, endings: Sequence[Ending]) -> list[bool]:
    """Record ends and count them; False for a run that had ended already."""
    finished, counts = [], []
    for ending in endings:
        duration = milliseconds(ending.duration)
        at = to_ms(ending.finished_at)
        completed = int(ending.status is RunStatus.COMPLETED)
        failed = int(ending.status is RunStatus.FAILED)
        finished.append(
            (
                ending.status.value,
                ending.reason.value if ending.reason else None,
                to_ms(ending.started_at),
                at,
                duration,
                ending.error,
                json_text(ending.result),
                ending.pid,
                ending.attempt,
                ending.run_id,
            )
        )
        counts.append(
            (
                completed,
                failed,
                at if completed else None,
                duration if completed or failed else None,
                ending.job_id,
            )
        )
    if connection.change_all((_FINISH, finished), (_COUNT, counts)):
        return [True] * len(endings)
    if len(endings) == 1:
        return [False]
    return [
        connection.change_all((_FINISH, [row]), (_COUNT, [count]))
        for row, count in zip(finished, counts, strict=True)
    ]


def fail_lost_runs(
    connection: Connection, at: datetime, *, owner_id: str | None = None, run_ids: Sequence[Any] = ()
) -> list[Run]:
    """Mark unfinished runs as failed, reason ``lost``: all of an owner, or those with the given ids. Returns them."""
    if owner_id is not None:
        found = connection.execute("SELECT id FROM runs WHERE owner = ? AND status = 'running'", (owner_id,))
        run_ids = [row[0] for row in found.fetchall()]
    lost: list[Run] = []
    for run_id in run_ids:
        row = connection.execute(_LOSE, (to_ms(at), run_id)).fetchone()
        if row is not None:
            connection.change(_COUNT, [(0, 1, None, None, row[0])])
            found = connection.execute(f"SELECT {RUN} FROM runs r WHERE id = ?", (run_id,))
            lost.append(run_of(found.fetchone()))
    return lost
