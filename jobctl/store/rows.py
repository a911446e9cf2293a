"""Values from rows of the database."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from jobctl.clock import from_ms, to_ms
from jobctl.errors import StoreDamagedError
from jobctl.model import (
    Action,
    ActionKind,
    Progress,
    Reason,
    Run,
    RunStatus,
    SentNotification,
    Trigger,
    WaitingRun,
)
from jobctl.store.records import CachedResult, JobRecord, Owner

RUN = (
    "r.id, r.job_id, r.status, r.trigger, r.started_at, r.reason, r.scheduled_for, r.finished_at,"
    " r.duration_ms, r.error, r.result, r.host, r.pid, r.attempt, r.retry_at, r.arguments, r.progress, r.rerun_of,"
    " r.actor, r.batch"
)
OWNER = "o.id, o.kind, o.host, o.pid, o.start, o.boot, o.since, o.ended, o.killed, o.heartbeats, o.leased, o.observed"
JOB = (
    "j.id, j.name, j.schedule, j.timezone, j.anchor, j.cursor, j.next_run, j.stopped, j.stop_reason, j.missed,"
    " j.last_success, j.failing, j.told, j.stopped_until, j.late"
)
WAITING = (
    "w.id, w.job_id, w.begins_at, w.trigger, w.slot, w.arguments, w.rerun_of, w.actor, w.reason, w.batch"
)
PREVIOUS_SLOT = """
SELECT max(slot) FROM (
  SELECT * FROM (
    SELECT scheduled_for AS slot FROM runs WHERE job_id = :job AND duration_ms IS NOT NULL AND status = 'completed'
      AND batch IS NULL AND scheduled_for < :slot ORDER BY seq DESC LIMIT 1) AS newest
  UNION ALL
  SELECT max(scheduled_for) FROM runs WHERE job_id = :job AND batch IS NOT NULL AND status = 'completed'
    AND scheduled_for < :slot) AS slots
"""
"""The newest slot before ``:slot`` whose run has completed: of a backfill older slots are run later."""
RUNS_OF_JOB = " UNION ALL ".join(
    f"SELECT {{columns}}, r.seq FROM runs r WHERE r.job_id = :job AND {indexed} AND {{condition}}"
    for indexed in (
        "r.duration_ms IS NOT NULL",
        "r.duration_ms IS NULL AND r.status <> 'running'",
        "r.status = 'running'",
    )
)
"""The runs of a job; each part has an index of its own, so that a run that begins changes few of them."""
_RUN_WIDTH = RUN.count(",") + 1
_JOB_WIDTH = JOB.count(",") + 1
_Values = ParamSpec("_Values")
_Read = TypeVar("_Read")


def decodes(read: Callable[_Values, _Read]) -> Callable[_Values, _Read]:
    """Raises ``StoreDamagedError`` where a stored value cannot be decoded."""

    @wraps(read)
    def decoding(*args: _Values.args, **kwargs: _Values.kwargs) -> _Read:
        try:
            return read(*args, **kwargs)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise StoreDamagedError(
                "the run store is damaged: it holds values that cannot be read",
                hint="move it away, and jobctl makes a new one",
            ) from error

    return decoding


@decodes
def when(ms: int | None) -> datetime | None:
    """A time that may be missing, from milliseconds since 1970 UTC."""
    return None if ms is None else from_ms(ms)


def ms_of(instant: datetime | None) -> int | None:
    """Milliseconds since 1970 UTC of a time that may be missing."""
    return None if instant is None else to_ms(instant)


@decodes
def run_of(row: Any) -> Run:
    """A run, from the columns ``RUN``."""
    result, arguments, progress = row[10], row[15], row[16]
    if result is not None or arguments is not None or progress is not None:
        import json

        result = None if result is None else json.loads(result)
        arguments = None if arguments is None else dict(json.loads(arguments))
        progress = None if progress is None else Progress.read(json.loads(progress))
    return Run(
        id=row[0],
        job_id=row[1],
        status=RunStatus(row[2]),
        trigger=Trigger(row[3]),
        started_at=from_ms(row[4]),
        reason=Reason(row[5]) if row[5] else None,
        scheduled_for=when(row[6]),
        finished_at=when(row[7]),
        duration=None if row[8] is None else timedelta(milliseconds=row[8]),
        error=row[9],
        result=result,
        host=row[11],
        pid=row[12],
        attempt=row[13],
        retry_at=when(row[14]),
        arguments=arguments,
        progress=progress,
        rerun_of=row[17],
        actor=row[18],
        batch=row[19],
    )


@decodes
def waiting_of(row: Any) -> WaitingRun:
    """A run that waits, from the columns ``WAITING``."""
    run_id, job_id, begins_at, trigger, slot, arguments, rerun_of, actor, reason, batch = row
    if arguments is not None:
        import json

        arguments = dict(json.loads(arguments))
    return WaitingRun(
        run_id,
        job_id,
        from_ms(begins_at),
        Trigger(trigger),
        when(slot),
        arguments,
        rerun_of,
        actor,
        reason,
        batch,
    )


@decodes
def action_of(row: Any) -> Action:
    """An action, from its row."""
    kind, at, actor, job_id, run_id, reason = row
    return Action(ActionKind(kind), from_ms(at), actor, job_id, run_id, reason)


@decodes
def notification_of(row: Any) -> SentNotification:
    """A notification, from its row."""
    at, job_id, run_id, event, channel, receiver, error = row
    return SentNotification(from_ms(at), job_id, event, channel, receiver, run_id, error)


def json_text(value: Any) -> str | None:
    """A JSON value as it is stored; None as it is."""
    if value is None:
        return None
    import json

    return json.dumps(value)


def progress_text(progress: Progress) -> str:
    """A progress as it is stored."""
    import json

    return json.dumps([progress.done, progress.total, progress.note])


@decodes
def owner_of(row: Any) -> Owner:
    """A process, from the columns ``OWNER``."""
    owner_id, kind, host, pid, start, boot, since, ended, killed, heartbeats, leased, observed = row
    return Owner(
        owner_id,
        kind,
        host,
        int(pid),
        start,
        boot,
        from_ms(since),
        when(ended),
        bool(killed),
        heartbeats,
        bool(leased),
        observed,
    )


@decodes
def record_of(row: Any, waiting: tuple[int, int] | None = None) -> JobRecord:
    """A job's record, from the columns ``JOB`` followed by ``RUN`` of its last run.

    Args:
        waiting: how many runs of it wait, and when the first of them begins, in ms since 1970.
    """
    if not isinstance(row[0], str):  # SQLite allows NULL in a primary key
        raise TypeError("a job has no id")
    last = row[_JOB_WIDTH : _JOB_WIDTH + _RUN_WIDTH]
    return JobRecord(
        id=row[0],
        name=row[1],
        schedule=row[2],
        timezone=row[3],
        anchor=from_ms(row[4]),
        cursor=when(row[5]),
        next_run=when(row[6]),
        stopped=when(row[7]),
        stop_reason=row[8],
        missed=row[9],
        last_success=when(row[10]),
        failing=None if row[11] is None else bool(row[11]),
        failure_notified=bool(row[12]),
        stopped_until=when(row[13]),
        late_notified=when(row[14]),
        waiting=waiting[0] if waiting else 0,
        waits_until=from_ms(waiting[1]) if waiting else None,
        last=run_of(last) if last[0] is not None else None,
    )


@decodes
def cached_of(row: Any) -> CachedResult:
    """A cached result, from its row."""
    import json

    key, value, at, end = row
    return CachedResult(key, json.loads(value), from_ms(at), from_ms(end))
