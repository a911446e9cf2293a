"""``jobctl metrics [ID]``: totals over all runs that were ever recorded."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from jobctl.cli.context import Context, read_runs, report_service_error
from jobctl.cli.options import NoHeader, OptionalJobId
from jobctl.cli.terminal import Bar, Column, Terminal, rows
from jobctl.cli.times import ms, share, took
from jobctl.durations import ago, format_duration
from jobctl.errors import UsageError, reason_of
from jobctl.json_documents import metrics_document
from jobctl.model import JobMetrics, JobTotals
from jobctl.settings.variables import TEXTFILE_SUFFIX
from jobctl.text import counted, quote

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jobctl.model import Bin
    from jobctl.store.base import RunStore
    from jobctl.store.records import JobRecord


def run(
    context: Context,
    job_id: OptionalJobId = None,
    *,
    format: Annotated[  # noqa: A002
        Literal["table", "prometheus"], typer.Option("--format", help="A table, or OpenMetrics text.")
    ] = "table",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write it to this .prom file, for node_exporter's textfile collector.",
        ),
    ] = None,
    no_header: NoHeader = False,
) -> int:
    """Show totals, success rates and durations.

    Examples:
        jobctl metrics
        jobctl metrics repository-sync
        jobctl metrics --format prometheus --output /var/lib/node_exporter/jobctl.prom
    """
    context.tolerate_bad_settings()
    out = context.output
    if out.json and format == "prometheus":
        raise UsageError("--json and --format prometheus exclude each other")
    if output is not None:
        if format != "prometheus":
            raise UsageError("--output goes with --format prometheus")
        if not output.endswith(TEXTFILE_SUFFIX):
            raise UsageError(
                f"--output {quote(output)}: node_exporter reads only files whose names end in {TEXTFILE_SUFFIX}",
                hint="for any other file: jobctl metrics --format prometheus > FILE",
            )
    if job_id is not None:
        context.check_known(job_id)
    if format == "prometheus":
        return _expose(job_id, output, context)
    metrics, service_error = read_runs(
        context,
        remote=lambda manager: manager.get_job_metrics(job_id),
        local=lambda store: store.metrics(job_id),
        default=JobMetrics(),
    )
    if out.json:
        out.document(metrics_document(metrics, detail=job_id is not None))
    else:
        one = metrics.jobs[0] if job_id is not None and metrics.jobs else None
        out.present(
            lambda terminal: detail(one, terminal) if one else screen(metrics, context.now(), terminal),
            lambda: piped(metrics, header=not no_header),
        )
    return report_service_error(service_error, out)


def _expose(job_id: str | None, output: str | None, context: Context) -> int:
    """Print or write metrics for Prometheus. In Trigger.dev mode they have no states of jobs, since its lists lag."""
    from jobctl.subscribers.prometheus import current, exposition, write_textfile

    nothing: tuple[JobMetrics, list[JobRecord]] = (JobMetrics(), [])
    (metrics, records), service_error = read_runs(
        context,
        remote=lambda manager: (manager.get_job_metrics(job_id), []),
        local=lambda store: (store.metrics(job_id), _records(store, job_id)),
        default=nothing,
    )
    jobs = current(records, context.catalogue.jobs, context.now())
    if output is None:
        context.output.lines(exposition(metrics, jobs))
        return report_service_error(service_error, context.output)
    try:
        write_textfile(Path(output), metrics, jobs)
    except OSError as error:
        raise UsageError(
            f"{quote(output)} cannot be written: {reason_of(error)}",
            hint="name a file in an existing folder that this user may write to",
        ) from error
    return report_service_error(service_error, context.output)


def _records(store: "RunStore", job_id: str | None) -> "list[JobRecord]":
    if job_id is None:
        return list(store.jobs().values())
    record = store.job(job_id)
    return [record] if record else []


_TITLES = ("JOB", "RUNS", "FAILED", "SKIPPED", "SUCCESS", "AVG_MS", "P50_MS", "P95_MS", "MAX_MS")


def piped(metrics: JobMetrics, *, header: bool) -> Iterable[str]:
    """A line per job, separated by tabs: durations in milliseconds, rates from 0 to 1."""
    return rows(_TITLES, (_record(job) for job in metrics.jobs), header=header)


def screen(metrics: JobMetrics, now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    """Totals, then a table."""
    yield f"{_counts(metrics)}; avg {took(metrics.average_job_duration)}"
    if metrics.last_cleanup:
        yield f"last cleanup {ago(metrics.last_cleanup, now)}"
    if not metrics.jobs:
        return
    yield ""
    numbers = ("RUNS", "FAILED", "SUCCESS", "AVG", "P50", "P95", "MAX")
    columns = [Column("JOB"), *(Column(title, right=True) for title in numbers), Column("RATE")]
    yield terminal.table(columns, [_cells(job, terminal) for job in metrics.jobs], keep=4)


def detail(job: JobTotals, terminal: Terminal) -> "Iterator[RenderableType]":
    """A job with totals, percentiles and a histogram of its durations."""
    yield terminal.heading(job.id)
    yield _counts(job)
    durations = {"avg": job.average_job_duration, "p50": job.p50, "p95": job.p95, "max": job.max}
    yield ", ".join(f"{name} {took(duration)}" for name, duration in durations.items())
    if not job.histogram:
        return
    yield ""
    newest = counted(sum(bin_.count for bin_ in job.histogram), "run")
    yield f"how long the newest {newest} took:"
    yield _bars(job.histogram, terminal)


def _counts(totals: JobMetrics | JobTotals) -> str:
    parts = [f"{totals.successful_jobs:,} completed", f"{totals.failed_jobs:,} failed"]
    if totals.skipped:
        parts.append(f"{counted(totals.skipped, 'slot')} skipped")
    runs = f"{counted(totals.total_executions, 'run')}: {', '.join(parts)}"
    return f"{runs}; success {share(totals.success_rate)}"


def _bars(bins: "Sequence[Bin]", terminal: Terminal) -> "RenderableType":
    """The histogram: numbers with a bar for each."""
    most = max(bin_.count for bin_ in bins)
    cells: list[list[Any]] = [
        [
            *(format_duration(timedelta(milliseconds=limit)) for limit in (each.from_ms, each.to_ms)),
            f"{each.count:,}",
            Bar(each.count, most, "cyan", unicode=terminal.unicode),
        ]
        for each in bins
    ]
    return terminal.table(
        [*(Column(title, right=True) for title in ("FROM", "BELOW", "RUNS")), Column("")], cells, keep=4
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
