"""Metrics from each job's totals, and percentiles of its newest 1,000 runs: never a scan over all runs."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from jobctl.model import Bin, JobMetrics, JobTotals
from jobctl.store.connection import Connection
from jobctl.store.rows import decodes, when

_NEWEST = 1000
MOST_BINS = 12
_FAR = 8  # longest / shortest: beyond it, even steps would put nearly all into one bin
_DAYS = tuple(factor * 10**power for power in range(10) for factor in (1, 2, 5))  # all that a timedelta holds
_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200)
_ROUND = (
    *(factor * 10**power for power in range(3) for factor in (1, 2, 5)),
    *(1000 * seconds for seconds in _SECONDS),
    *(86_400_000 * days for days in _DAYS),
)
"""Round durations in milliseconds: 1, 2, 5, 10 … ms, then seconds, minutes, hours, days."""


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


def histogram(ordered_ms: Sequence[int]) -> tuple[Bin, ...]:
    """At most 12 adjacent bins of ascending milliseconds; the first and the last are not empty."""
    if not ordered_ms:
        return ()
    least, most = ordered_ms[0], ordered_ms[-1]
    bounds = _widening(least, most) if most > _FAR * max(1, least) else _even(least, most)
    places = [bisect_left(ordered_ms, one) for one in bounds]
    return tuple(
        Bin(start, end, after - before)
        for (start, end), (before, after) in zip(pairwise(bounds), pairwise(places), strict=True)
    )


def _even(least: int, most: int) -> list[int]:
    """Steps so wide that their bounds differ in the two digits that are shown."""
    step = next(one for one in _ROUND if 20 * one > most and most // one - least // one < MOST_BINS)
    return [step * one for one in range(least // step, most // step + 2)]


def _widening(least: int, most: int) -> list[int]:
    rungs = (0, *_ROUND)
    first = max(at for at, one in enumerate(rungs) if one <= least)
    last = next(at for at, one in enumerate(rungs) if one > most)
    bounds = list(rungs[first : last + 1 : -(-(last - first) // MOST_BINS)])
    return bounds if bounds[-1] > most else [*bounds, rungs[last]]


def percentile(ordered_ms: Sequence[int], percent: int) -> timedelta | None:
    """The nearest-rank percentile of ascending milliseconds: the least that ``percent`` of them do not exceed."""
    if not ordered_ms:
        return None
    return timedelta(milliseconds=ordered_ms[-(-len(ordered_ms) * percent // 100) - 1])
