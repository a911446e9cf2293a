"""What a store of version 1 held, and what is to be found after its migration."""

from datetime import UTC, datetime, timedelta

from jobctl.model import Reason, Run, RunStatus, Trigger
from jobctl.store.base import RunStore

ROWS_OF_VERSION_1 = """
INSERT INTO owners (id, kind, host, pid, start, boot, since, beat)
VALUES ('owner-1', 'scheduler', 'here', 4711, '77', 'boot', 1000, 0);
INSERT INTO jobs (id, name, schedule, timezone, anchor, cursor, next_run, last_run, completed, failed, skipped)
VALUES ('job', 'Job', 'every 1m', 'UTC', 1000, 61000, 181000, 3, 1, 1, 0);
INSERT INTO runs
  (id, job_id, status, reason, trigger, scheduled_for, epoch, started_at, finished_at, duration_ms, error, result, owner, host)
VALUES
  ('00000000aaaaaaaa', 'job', 'completed', NULL, 'schedule', 1000, 1, 1000, 2000, 1000, NULL, '[1]', 'owner-1', 'here'),
  ('00000000bbbbbbbb', 'job', 'failed', 'error', 'manual', NULL, NULL, 3000, 4000, 1000, 'no', NULL, 'owner-1', 'here'),
  ('00000000cccccccc', 'job', 'running', NULL, 'schedule', 61000, 1, 61000, NULL, NULL, NULL, NULL, 'owner-1', 'here');
"""


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def assert_rows_of_version_1(store: RunStore) -> None:
    """Everything is there, and what later versions added is filled in from it."""
    second = timedelta(seconds=1)
    completed = Run(
        "00000000aaaaaaaa",
        "job",
        RunStatus.COMPLETED,
        Trigger.SCHEDULE,
        _at(1),
        scheduled_for=_at(1),
        finished_at=_at(2),
        duration=second,
        result=[1],
        host="here",
    )
    failed = Run(
        "00000000bbbbbbbb",
        "job",
        RunStatus.FAILED,
        Trigger.MANUAL,
        _at(3),
        Reason.ERROR,
        finished_at=_at(4),
        duration=second,
        error="no",
        host="here",
    )
    running = Run(
        "00000000cccccccc",
        "job",
        RunStatus.RUNNING,
        Trigger.SCHEDULE,
        _at(61),
        scheduled_for=_at(61),
        host="here",
    )
    assert store.runs() == [running, failed, completed]
    record = store.job("job")
    assert record is not None
    assert (record.cursor, record.last, record.last_success) == (_at(61), running, _at(2))
    assert (record.failing, record.stopped, record.waiting) == (True, None, 0)
    ((unfinished, owner),) = store.unfinished()
    assert (unfinished, owner.id, owner.heartbeats, owner.leased) == (running, "owner-1", 0, False)
    assert (store.waiting(), store.actions(), store.notifications("job")) == ([], [], [])
    assert store.fail_lost_runs("owner-1", _at(70)) == [store.run(running.id)]
