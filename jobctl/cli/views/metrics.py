"""What ``metrics`` shows: totals and a line a job, or one job with how its durations spread."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from jobctl.cli.views.chart import bar
from jobctl.cli.views.look import Look
from jobctl.cli.views.table import GAP, LEAST_ID, Cell, Column, rows, table
from jobctl.cli.views.times import ago, ms, took
from jobctl.durations import format_duration
from jobctl.histogram import Bin
from jobctl.model import JobMetrics, JobTotals
from jobctl.text import counted

_TITLES = ("JOB", "RUNS", "FAILED", "SKIPPED", "SUCCESS", "AVG_MS", "P50_MS", "P95_MS", "MAX_MS")


def share(rate: float | None) -> str:
    """``98.5 %``, or a dash where nothing ran; never 100 % while something failed."""
    if rate is None:
        return "-"
    return f"{int(rate * 1000) / 10:.1f} %"


def piped(metrics: JobMetrics, *, header: bool) -> Iterable[str]:
    """One job a line, tabs between, durations in milliseconds, rates from 0 to 1."""
    return rows(_TITLES, (_record(one) for one in metrics.jobs), header=header)


def screen(metrics: JobMetrics, now: datetime, look: Look) -> Iterator[str]:
    """Totals, then a table."""
    yield from look.spread([*_counts(metrics), f"avg {took(metrics.average_job_duration)}"])
    if metrics.last_cleanup:
        yield f"last cleanup {ago(metrics.last_cleanup, now)}"
    if not metrics.jobs:
        return
    yield ""
    numbers = ("RUNS", "FAILED", "SUCCESS", "AVG", "P50", "P95", "MAX")
    titles = [Column("JOB", least=LEAST_ID), *(Column(one, right=True) for one in numbers)]
    yield from table(titles, [_cells(one) for one in metrics.jobs], look)


def detail(job: JobTotals, look: Look) -> Iterator[str]:
    """One job: totals, percentiles, and how its durations spread."""
    yield from (look.paint(line, "bold") for line in look.wrap(job.id))
    yield from look.spread(_counts(job))
    durations = {"avg": job.average_job_duration, "p50": job.p50, "p95": job.p95, "max": job.max}
    yield from look.spread(f"{name} {took(duration)}" for name, duration in durations.items())
    if not job.histogram:
        return
    yield ""
    newest = counted(sum(one.count for one in job.histogram), "run")
    yield f"how long the newest {newest} took:"
    yield from _bars(job.histogram, look)


def _counts(totals: JobMetrics | JobTotals) -> list[str]:
    parts = [f"{totals.successful_jobs:,} completed", f"{totals.failed_jobs:,} failed"]
    if totals.skipped:
        parts.append(f"{counted(totals.skipped, 'slot')} skipped")
    runs = f"{counted(totals.total_executions, 'run')}: {', '.join(parts)}"
    return [runs, f"success {share(totals.success_rate)}"]


def _bars(bins: Sequence[Bin], look: Look) -> list[str]:
    """The numbers say all; a bar beside them shows it."""
    records = [
        [
            *(format_duration(timedelta(milliseconds=one)) for one in (each.from_ms, each.to_ms)),
            str(each.count),
        ]
        for each in bins
    ]
    titles = ("FROM", "BELOW", "RUNS")
    taken = sum(max(map(len, column)) + GAP for column in zip(titles, *records, strict=True))
    most = max(one.count for one in bins)
    rows = [
        [*map(Cell, record), Cell(bar(each.count, most, look.width - taken, look), "cyan")]
        for record, each in zip(records, bins, strict=True)
    ]
    return table([*(Column(one, right=True) for one in titles), Column("")], rows, look)


def _cells(one: JobTotals) -> list[Cell]:
    return [
        Cell(one.id),
        Cell(str(one.total_executions)),
        Cell(str(one.failed_jobs), "red" if one.failed_jobs else None),
        Cell(share(one.success_rate)),
        *(Cell(took(duration)) for duration in (one.average_job_duration, one.p50, one.p95, one.max)),
    ]


def _record(one: JobTotals) -> list[str]:
    rate = one.success_rate
    return [
        one.id,
        str(one.total_executions),
        str(one.failed_jobs),
        str(one.skipped),
        "" if rate is None else f"{rate:.4f}",
        *map(ms, (one.average_job_duration, one.p50, one.p95, one.max)),
    ]
