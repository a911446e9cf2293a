"""What ``metrics`` shows: totals, a line a job, or OpenMetrics text."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from jobctl.cli.views.look import Look
from jobctl.cli.views.table import Cell, Column, rows, table
from jobctl.cli.views.times import ago, took
from jobctl.documents import COUNTERS
from jobctl.durations import milliseconds
from jobctl.model import JobMetrics, JobTotals

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
    completed, failed, skipped = metrics.successful_jobs, metrics.failed_jobs, metrics.skipped
    yield (
        f"{metrics.total_executions:,} runs: {completed:,} completed, {failed:,} failed"
        + (f", {skipped:,} slots skipped" if skipped else "")
        + f"      success {share(metrics.success_rate)}      avg {took(metrics.average_job_duration)}"
    )
    if metrics.last_cleanup:
        yield f"last cleanup {ago(metrics.last_cleanup, now)}"
    if not metrics.jobs:
        return
    yield ""
    numbers = ("RUNS", "FAILED", "SUCCESS", "AVG", "P50", "P95", "MAX")
    titles = [Column("JOB"), *(Column(one, right=True) for one in numbers)]
    yield from table(titles, [_cells(one) for one in metrics.jobs], look)


def openmetrics(metrics: JobMetrics) -> Iterator[str]:
    """OpenMetrics 1.0 text: counters and gauges named ``jobctl_…`` with the label ``job``."""
    for name, (text, value) in COUNTERS.items():
        yield f"# TYPE {name} counter"
        yield f"# HELP {name} {text}"
        for one in metrics.jobs:
            yield f'{name}_total{{job="{_label(one.id)}"}} {value(one)}'
    yield "# TYPE jobctl_run_duration_seconds summary"
    yield "# UNIT jobctl_run_duration_seconds seconds"
    yield "# HELP jobctl_run_duration_seconds Durations of the newest kept runs."
    for one in metrics.jobs:
        for quantile, duration in (("0.5", one.p50), ("0.95", one.p95)):
            if duration is not None:
                labels = f'job="{_label(one.id)}",quantile="{quantile}"'
                yield f"jobctl_run_duration_seconds{{{labels}}} {_seconds(duration)}"
    if metrics.last_cleanup is not None:
        yield "# TYPE jobctl_last_cleanup_timestamp_seconds gauge"
        yield "# UNIT jobctl_last_cleanup_timestamp_seconds seconds"
        yield "# HELP jobctl_last_cleanup_timestamp_seconds When old runs were last removed."
        yield f"jobctl_last_cleanup_timestamp_seconds {metrics.last_cleanup.timestamp():.3f}"
    yield "# EOF"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}"


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
    durations = [milliseconds(each) for each in (one.average_job_duration, one.p50, one.p95, one.max)]
    return [
        one.id,
        str(one.total_executions),
        str(one.failed_jobs),
        str(one.skipped),
        "" if rate is None else f"{rate:.4f}",
        *("" if each is None else str(each) for each in durations),
    ]
