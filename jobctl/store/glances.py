"""What a list of thousands of jobs needs of each: a few columns, in a fraction of the time of whole records."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from jobctl.clock import from_ms, to_ms
from jobctl.model import RunStatus
from jobctl.store.connection import Connection
from jobctl.store.rows import decodes

_JOBS = """
SELECT j.id, j.name, j.schedule, j.next_run, j.stopped, j.last_run, r.status, r.started_at, r.duration_ms
FROM jobs j
"""
_ENDED = """
SELECT id, status, started_at, duration_ms FROM runs {index}
WHERE job_id = ? AND duration_ms IS NOT NULL ORDER BY seq DESC LIMIT ?
"""
_SKIPPED = """
SELECT id, started_at, error FROM runs
WHERE job_id = ? AND duration_ms IS NULL AND status <> 'running' AND status = 'skipped' AND started_at >= ?
ORDER BY seq DESC LIMIT ?
"""
"""The condition begins as that of an index: of all runs, few are skipped."""
_RUNNING = "SELECT id, job_id, started_at FROM runs WHERE status = 'running'"


JobGlance = tuple[str, str, str, int | None, int | None, int | None, str | None, int | None, int | None]
"""A job and its last run: the columns of ``_JOBS``, with times in milliseconds since 1970. A plain tuple: there are thousands."""


class RunGlance(NamedTuple):
    """A run, without what it says."""

    id: str
    status: RunStatus
    started_at: datetime
    duration: timedelta | None


class SkippedGlance(NamedTuple):
    """A run that was skipped, and why."""

    id: str
    at: datetime
    error: str | None


@decodes
def jobs(connection: Connection, last_run_join: str) -> list[JobGlance]:
    """Every job that was ever registered.

    Args:
        last_run_join: see ``RunStore``.
    """
    return list(connection.execute(_JOBS + last_run_join))


@decodes
def latest_runs(
    connection: Connection, job_ids: Iterable[str], most: int, index: str
) -> dict[str, list[RunGlance]]:
    """The newest executions of each job, oldest first; the one in progress is the last.

    Args:
        most: for each job.
        index: behind ``FROM runs``, the index for the newest durations of a job.
    """
    running = {row[1]: row for row in connection.execute(_RUNNING)}
    found: dict[str, list[RunGlance]] = {}
    for job_id in job_ids:
        ended = connection.execute(_ENDED.format(index=index), (job_id, most))
        runs = [
            RunGlance(run_id, RunStatus(status), from_ms(started), timedelta(milliseconds=ms))
            for run_id, status, started, ms in ended
        ]
        if (now := running.get(job_id)) is not None:
            runs = [RunGlance(now[0], RunStatus.RUNNING, from_ms(now[2]), None), *runs[: most - 1]]
        found[job_id] = runs[::-1]
    return found


@decodes
def skipped_runs(
    connection: Connection, job_ids: Iterable[str], since: datetime, most: int
) -> dict[str, list[SkippedGlance]]:
    """The skipped runs of each job since then, newest first; ``most`` for each."""
    return {
        job_id: [
            SkippedGlance(run_id, from_ms(at), error)
            for run_id, at, error in connection.execute(_SKIPPED, (job_id, to_ms(since), most))
        ]
        for job_id in job_ids
    }
