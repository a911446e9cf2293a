"""``jobctl metrics [ID]``: totals over all runs that were ever recorded."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import argument, option
from jobctl.cli.sources import ask, told
from jobctl.cli.terminal import Bar, Column, Terminal, rows
from jobctl.cli.times import ago, ms, share, took
from jobctl.documents import metrics_document
from jobctl.durations import format_duration
from jobctl.errors import UsageError, reason_of
from jobctl.histogram import Bin
from jobctl.model import JobMetrics, JobTotals
from jobctl.settings.variables import TEXTFILE_SUFFIX
from jobctl.text import counted, quote

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jobctl.store.base import RunStore
    from jobctl.store.records import JobRecord


class Form(Enum):
    """What ``--format`` takes."""

    TABLE = "table"
    PROMETHEUS = "prometheus"


class Options(NamedTuple):
    """What is asked for."""

    job_id: Annotated[str | None, argument()] = None
    form: Annotated[Form, option("metrics", "--format")] = Form.TABLE
    output: Annotated[str | None, option("metrics", "--output")] = None
    no_header: Annotated[bool, option("metrics", "--no-header")] = False


def run(options: Options, context: Context) -> int:
    """Look and show."""
    context.tolerate_bad_settings()
    out = context.output
    if out.json and options.form is Form.PROMETHEUS:
        raise UsageError("--json and --format prometheus exclude each other")
    if options.output is not None:
        if options.form is not Form.PROMETHEUS:
            raise UsageError("--output goes with --format prometheus")
        if not options.output.endswith(TEXTFILE_SUFFIX):
            raise UsageError(
                f"--output {quote(options.output)}: node_exporter reads only files whose names end in {TEXTFILE_SUFFIX}",
                hint="for any other file: jobctl metrics --format prometheus > FILE",
            )
    job_id = options.job_id
    if job_id is not None:
        context.check_known(job_id)
    if options.form is Form.PROMETHEUS:
        return _expose(options, context)
    metrics, trouble = ask(
        context,
        there=lambda manager: manager.get_job_metrics(job_id),
        here=lambda store: store.metrics(job_id),
        nothing=JobMetrics(),
    )
    if out.json:
        out.document(metrics_document(metrics, detail=job_id is not None))
    else:
        one = metrics.jobs[0] if job_id is not None and metrics.jobs else None
        out.present(
            lambda terminal: detail(one, terminal) if one else screen(metrics, context.now(), terminal),
            lambda: piped(metrics, header=not options.no_header),
        )
    return told(trouble, out)


def _expose(options: Options, context: Context) -> int:
    """For Prometheus. Trigger.dev's own counts have no states beside them: its lists lag behind."""
    from jobctl.subscribers.prometheus import current, exposition, write_textfile

    job_id = options.job_id
    nothing: tuple[JobMetrics, list[JobRecord]] = (JobMetrics(), [])
    (metrics, records), trouble = ask(
        context,
        there=lambda manager: (manager.get_job_metrics(job_id), []),
        here=lambda store: (store.metrics(job_id), _records(store, job_id)),
        nothing=nothing,
    )
    jobs = current(records, context.catalogue.ids(), context.now())
    if options.output is None:
        context.output.lines(exposition(metrics, jobs))
        return told(trouble, context.output)
    try:
        write_textfile(Path(options.output), metrics, jobs)
    except OSError as error:
        raise UsageError(
            f"{quote(options.output)} cannot be written: {reason_of(error)}",
            hint="name a file in a folder that is there, and that this user may write to",
        ) from error
    return told(trouble, context.output)


def _records(store: "RunStore", job_id: str | None) -> "list[JobRecord]":
    if job_id is None:
        return list(store.jobs().values())
    record = store.job(job_id)
    return [record] if record else []


_TITLES = ("JOB", "RUNS", "FAILED", "SKIPPED", "SUCCESS", "AVG_MS", "P50_MS", "P95_MS", "MAX_MS")


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
