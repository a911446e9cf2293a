"""Totals and states of jobs as text for Prometheus: said once for the command line, the endpoint and the file.

Scrapers take OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/); node_exporter's textfile
collector reads the older text format (https://prometheus.io/docs/instrumenting/exposition_formats/), which
names a counter otherwise and knows no unit and no end. The samples are the same.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from jobctl.files import write_whole
from jobctl.model import JobMetrics, RunStatus
from jobctl.store.records import JobRecord

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Form(Enum):
    """Which of the two."""

    OPENMETRICS = "openmetrics"
    TEXTFILE = "textfile"


class _Sample(NamedTuple):
    value: float
    job: str | None = None
    quantile: str | None = None


class _Family(NamedTuple):
    name: str
    kind: str
    help: str
    samples: list[_Sample]


def exposition(
    metrics: JobMetrics, jobs: Iterable[JobRecord], form: Form = Form.OPENMETRICS
) -> Iterator[str]:
    """Line by line. ``jobs`` are those whose state is told; ``metrics`` has the totals of all."""
    for family in (*_totals(metrics), *_states(list(jobs))):
        suffix = "_total" if family.kind == "counter" else ""
        name = family.name + (suffix if form is Form.TEXTFILE else "")
        yield f"# HELP {name} {family.help}"
        yield f"# TYPE {name} {family.kind}"
        if form is Form.OPENMETRICS and name.endswith("_seconds"):
            yield f"# UNIT {name} seconds"
        for one in family.samples:
            # a job's id needs no escape
            labels = [f'{label}="{text}"' for label, text in one._asdict().items() if isinstance(text, str)]
            yield f"{family.name}{suffix}{'{' + ','.join(labels) + '}' if labels else ''} {_number(one.value)}"
    if form is Form.OPENMETRICS:
        yield "# EOF"


def write_textfile(file: Path, metrics: JobMetrics, jobs: Iterable[JobRecord]) -> None:
    """Write them whole or not at all, for everybody to read: the collector runs as a user of its own.

    Raises:
        OSError: the file cannot be written; what was there stays.
    """
    text = "".join(f"{line}\n" for line in exposition(metrics, jobs, Form.TEXTFILE))
    write_whole(file, text.encode(), mode=0o644)


def current(jobs: Iterable[JobRecord], known: Iterable[str], now: datetime) -> Iterator[JobRecord]:
    """The jobs of a catalogue, and those that an application schedules: the others would alert for ever."""
    ids = frozenset(known)
    return (one for one in jobs if one.id in ids or (one.next_run is not None and one.next_run > now))


def _totals(metrics: JobMetrics) -> Iterator[_Family]:
    jobs = metrics.jobs
    for name, text, values in (
        ("jobctl_runs", "Runs that ended.", [one.total_executions for one in jobs]),
        ("jobctl_runs_completed", "Runs that completed.", [one.successful_jobs for one in jobs]),
        ("jobctl_runs_failed", "Runs that failed.", [one.failed_jobs for one in jobs]),
        ("jobctl_slots_skipped", "Slots that were skipped.", [one.skipped for one in jobs]),
    ):
        samples = [_Sample(value, one.id) for one, value in zip(jobs, values, strict=True)]
        yield _Family(name, "counter", text, samples)
    durations = [
        _Sample(duration.total_seconds(), one.id, quantile)
        for one in jobs
        for quantile, duration in (("0.5", one.p50), ("0.95", one.p95))
        if duration is not None
    ]
    yield _Family("jobctl_run_duration_seconds", "summary", "Durations of the newest kept runs.", durations)
    if metrics.last_cleanup is not None:
        at = [_Sample(metrics.last_cleanup.timestamp())]
        yield _Family(
            "jobctl_last_cleanup_timestamp_seconds", "gauge", "When old runs were last removed.", at
        )


def _states(jobs: list[JobRecord]) -> Iterator[_Family]:
    running = [_Sample(one.last is not None and one.last.status is RunStatus.RUNNING, one.id) for one in jobs]
    yield _Family("jobctl_job_running", "gauge", "1 while the job runs, else 0.", running)
    outcome = [_Sample(not one.failing, one.id) for one in jobs if one.failing is not None]
    yield _Family(
        "jobctl_job_last_run_success",
        "gauge",
        "1 where the last run that ended completed, 0 where it failed.",
        outcome,
    )
    for name, text, times in (
        ("last_success", "When a run of the job last completed.", [one.last_success for one in jobs]),
        (
            "next_run",
            "When the job is next due; in the past where nobody runs it.",
            [one.next_run for one in jobs],
        ),
    ):
        samples = [_Sample(at.timestamp(), one.id) for one, at in zip(jobs, times, strict=True) if at]
        yield _Family(f"jobctl_job_{name}_timestamp_seconds", "gauge", text, samples)


def _number(value: float) -> str:
    """To the millisecond, and no digit more than it needs."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
