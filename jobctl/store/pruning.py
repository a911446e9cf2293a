"""Removes old runs in short transactions."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from jobctl.store.connection import Connection
from jobctl.store.rows import RUNS_OF_JOB

Transaction = Callable[[], AbstractContextManager[Connection]]

_BATCH = 500
_KEPT = f"{RUNS_OF_JOB.format(columns='r.id', condition='true')} ORDER BY seq DESC LIMIT 1 OFFSET :others"
_LAST_RUN = "coalesce((SELECT last_run FROM jobs WHERE id = :job), -1)"
_OLDEST = RUNS_OF_JOB.format(
    columns="r.id, r.started_at",
    condition=f"r.seq < :kept AND r.status <> 'running' AND r.seq <> {_LAST_RUN}",
)


def prune(
    reading: Transaction,
    writing: Transaction,
    before: int,
    keep: int,
    before_delete: Callable[[str, str], object],
) -> list[tuple[str, str]]:
    """Remove runs that began before ``before`` (ms since 1970) and are beyond the newest ``keep`` of their job.

    The last run of each job stays, whatever was skipped since. A job's search ends at a batch with too new runs, so
    the cost does not grow with the number of runs. Returns (job id, run id) of each removed run.
    """
    removed: list[tuple[str, str]] = []
    with reading() as connection:
        # its totals include all runs that are kept
        rows = connection.execute("SELECT id FROM jobs WHERE completed + failed + skipped > ?", (keep,))
        jobs = [row[0] for row in rows]
    for job_id in jobs:
        while True:
            with reading() as connection:
                kept = connection.execute(_KEPT, {"job": job_id, "others": max(0, keep - 1)}).fetchone()
                found = connection.execute(
                    f"{_OLDEST} ORDER BY seq LIMIT {_BATCH}", {"job": job_id, "kept": kept[-1] if kept else 0}
                ).fetchall()
            old = [(seq, run_id) for run_id, started_at, seq in found if started_at < before]
            for _, run_id in old:
                before_delete(job_id, run_id)
            if old:
                # a run that has ended never changes, so they need not be selected again
                with writing() as connection:
                    connection.execute(
                        f"DELETE FROM runs WHERE seq IN ({', '.join('?' * len(old))})",
                        [seq for seq, _ in old],
                    )
                removed.extend((job_id, run_id) for _, run_id in old)
            if len(old) < _BATCH:
                break
    return removed
