"""What ``metrics`` shows: totals and a line a job, or one job with how its durations spread."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobctl.cli.terminal import Bar, Column, Terminal, rows
from jobctl.cli.views.times import ago, ms, took
from jobctl.durations import format_duration
from jobctl.histogram import Bin
from jobctl.model import JobMetrics, JobTotals
from jobctl.text import counted

if TYPE_CHECKING:
    from rich.console import RenderableType

_TITLES = ("JOB", "RUNS", "FAILED", "SKIPPED", "SUCCESS", "AVG_MS", "P50_MS", "P95_MS", "MAX_MS")


def share(rate: float | None) -> str:
    """``98.5 %``, or a dash where nothing ran; never 100 % while something failed."""
    if rate is None:
        return "-"
    return f"{int(rate * 1000) / 10:.1f} %"


def piped(metrics: JobMetrics, *, header: bool) -> Iterable[str]:
    """One job a line, tabs between, durations in milliseconds, rates from 0 to 1."""
    return rows(_TITLES, (_record(one) for one in metrics.jobs), header=header)


def screen(metrics: JobMetrics, now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    """Totals, then a table."""
    yield f"{_counts(metrics)}; avg {took(metrics.average_job_duration)}"
    if metrics.last_cleanup:
        yield f"last cleanup {ago(metrics.last_cleanup, now)}"
    if not metrics.jobs:
        return
    yield ""
    numbers = ("RUNS", "FAILED", "SUCCESS", "AVG", "P50", "P95", "MAX")
    columns = [Column("JOB"), *(Column(one, right=True) for one in numbers), Column("RATE")]
    yield terminal.table(columns, [_cells(one, terminal) for one in metrics.jobs], keep=4)


def detail(job: JobTotals, terminal: Terminal) -> "Iterator[RenderableType]":
    """One job: totals, percentiles, and how its durations spread."""
    yield terminal.heading(job.id)
    yield _counts(job)
    durations = {"avg": job.average_job_duration, "p50": job.p50, "p95": job.p95, "max": job.max}
    yield ", ".join(f"{name} {took(duration)}" for name, duration in durations.items())
    if not job.histogram:
        return
    yield ""
    newest = counted(sum(one.count for one in job.histogram), "run")
    yield f"how long the newest {newest} took:"
    yield _bars(job.histogram, terminal)


def _counts(totals: JobMetrics | JobTotals) -> str:
    parts = [f"{totals.successful_jobs:,} completed", f"{totals.failed_jobs:,} failed"]
    if totals.skipped:
        parts.append(f"{counted(totals.skipped, 'slot')} skipped")
    runs = f"{counted(totals.total_executions, 'run')}: {', '.join(parts)}"
    return f"{runs}; success {share(totals.success_rate)}"


def _bars(bins: Sequence[Bin], terminal: Terminal) -> "RenderableType":
    """The numbers say all; a bar beside them shows it."""
    most = max(one.count for one in bins)
    cells: list[list[Any]] = [
        [
            *(format_duration(timedelta(milliseconds=one)) for one in (each.from_ms, each.to_ms)),
            f"{each.count:,}",
            Bar(each.count, most, "cyan", unicode=terminal.unicode),
        ]
        for each in bins
    ]
    return terminal.table(
        [*(Column(one, right=True) for one in ("FROM", "BELOW", "RUNS")), Column("")], cells, keep=4
    )


def _cells(one: JobTotals, terminal: Terminal) -> list[Any]:
    return [
        one.id,
        f"{one.total_executions:,}",
        terminal.text(f"{one.failed_jobs:,}", "red" if one.failed_jobs else ""),
        share(one.success_rate),
        *(took(duration) for duration in (one.average_job_duration, one.p50, one.p95, one.max)),
        Bar(one.success_rate or 0, 1, "green", unicode=terminal.unicode),
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
