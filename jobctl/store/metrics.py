"""Metrics from each job's totals, and percentiles of its newest 1,000 runs: never a scan over all runs."""

from collections.abc import Sequence
from datetime import timedelta

from jobctl.histogram import histogram, percentile
from jobctl.model import JobMetrics, JobTotals
from jobctl.store.connection import Connection
from jobctl.store.rows import decodes, when

_NEWEST = 1000


@decodes
def metrics(connection: Connection, job_id: str | None, order: str, index: str) -> JobMetrics:
    """Totals of all jobs, or of one.

    Args:
        order: the column of ``jobs`` that counts up with each registration.
        index: behind ``FROM runs``, the index for the newest durations of a job.
    """
    where, values = ("WHERE id = ?", (job_id,)) if job_id else ("", ())
    rows = connection.execute(
        "SELECT id, completed, failed, skipped, missed, timed, total_ms, max_ms"
        f" FROM jobs {where} ORDER BY {order}",
        values,
    ).fetchall()
    completed, failed, skipped, timed, total = (sum(row[n] for row in rows) for n in (1, 2, 3, 5, 6))
    missed = sum(row[4] for row in rows)
    cleanup = connection.execute("SELECT value FROM meta WHERE name = 'last_cleanup'").fetchone()
    return JobMetrics(
        total_executions=completed + failed,
        successful_jobs=completed,
        failed_jobs=failed,
        skipped=skipped + missed,
        average_job_duration=_average(total, timed),
        last_cleanup=when(cleanup[0]) if cleanup else None,
        jobs=tuple(_of_job(connection, row, index) for row in rows),
    )


def _of_job(connection: Connection, row: Sequence[int], index: str) -> JobTotals:
    job_id, completed, failed, skipped, missed, timed, total, longest = row
    durations = [
        found[0]
        for found in connection.execute(
            f"SELECT duration_ms FROM runs {index}"
            " WHERE job_id = ? AND duration_ms IS NOT NULL"
            f" ORDER BY seq DESC LIMIT {_NEWEST}",
            (job_id,),
        )
    ]
    durations.sort()
    return JobTotals(
        id=str(job_id),
        total_executions=completed + failed,
        successful_jobs=completed,
        failed_jobs=failed,
        skipped=skipped + missed,
        average_job_duration=_average(total, timed),
        p50=percentile(durations, 50),
        p95=percentile(durations, 95),
        max=timedelta(milliseconds=longest) if timed else None,
        histogram=histogram(durations),
    )


def _average(total_ms: int, count: int) -> timedelta | None:
    return timedelta(milliseconds=total_ms / count) if count else None
