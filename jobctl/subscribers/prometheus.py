"""Metrics of runs in Prometheus' text format: exposed, and kept in a file."""

import threading
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from jobctl import thread_start
from jobctl.catalogue.expectations import lateness
from jobctl.clock import SystemClock
from jobctl.errors import StoreError, reason_of
from jobctl.events import Bus, Event, MetricsNotWritten, SchedulerStarted
from jobctl.files import write_whole
from jobctl.model import Job, JobMetrics, RunStatus
from jobctl.store.base import RunStore
from jobctl.store.records import JobRecord

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class JobState(NamedTuple):
    """A job of the exposition. ``is_late``: whether it is; None where nothing is expected of it."""

    record: JobRecord
    is_late: bool | None = None


class _Sample(NamedTuple):
    value: float
    job: str | None = None
    quantile: str | None = None


class _Family(NamedTuple):
    name: str
    kind: str
    help: str
    samples: list[_Sample]


def exposition(metrics: JobMetrics, jobs: Iterable[JobState], *, for_textfile: bool = False) -> Iterator[str]:
    """The lines: totals of all jobs from ``metrics``, and the states of ``jobs``; in OpenMetrics or for a textfile."""
    for family in (*_totals(metrics), *_states(list(jobs))):
        suffix = "_total" if family.kind == "counter" else ""
        name = family.name + (suffix if for_textfile else "")
        yield f"# HELP {name} {family.help}"
        yield f"# TYPE {name} {family.kind}"
        if not for_textfile and name.endswith("_seconds"):
            yield f"# UNIT {name} seconds"
        for sample in family.samples:
            # a job's id needs no escape
            labels = [
                f'{label}="{text}"' for label, text in sample._asdict().items() if isinstance(text, str)
            ]
            yield f"{family.name}{suffix}{'{' + ','.join(labels) + '}' if labels else ''} {_number(sample.value)}"
    if not for_textfile:
        yield "# EOF"


def write_textfile(file: Path, metrics: JobMetrics, jobs: Iterable[JobState]) -> None:
    """Write the file completely or not at all. Every user may read it: the collector runs as a user of its own.

    Raises:
        OSError: the file cannot be written; its content has not changed.
    """
    text = "".join(f"{line}\n" for line in exposition(metrics, jobs, for_textfile=True))
    write_whole(file, text.encode(), mode=0o644)


def current(records: Iterable[JobRecord], jobs: Iterable[Job], now: datetime) -> Iterator[JobState]:
    """The jobs of the catalogue, and those that an application schedules: all others would cause alerts forever."""
    known = {job.id: job for job in jobs}
    for record in records:
        job = known.get(record.id)
        if job is not None:
            yield JobState(record, None if job.expect is None else lateness(job, record, now) is not None)
        elif record.next_run is not None and record.next_run > now:
            yield JobState(record)


def _totals(metrics: JobMetrics) -> Iterator[_Family]:
    jobs = metrics.jobs
    for name, text, values in (
        ("jobctl_runs", "Runs that ended.", [job.total_executions for job in jobs]),
        ("jobctl_runs_completed", "Runs that completed.", [job.successful_jobs for job in jobs]),
        ("jobctl_runs_failed", "Runs that failed.", [job.failed_jobs for job in jobs]),
        ("jobctl_slots_skipped", "Slots that were skipped.", [job.skipped for job in jobs]),
    ):
        samples = [_Sample(value, job.id) for job, value in zip(jobs, values, strict=True)]
        yield _Family(name, "counter", text, samples)
    durations = [
        _Sample(duration.total_seconds(), job.id, quantile)
        for job in jobs
        for quantile, duration in (("0.5", job.p50), ("0.95", job.p95))
        if duration is not None
    ]
    yield _Family("jobctl_run_duration_seconds", "summary", "Durations of the newest kept runs.", durations)
    if metrics.last_cleanup is not None:
        at = [_Sample(metrics.last_cleanup.timestamp())]
        yield _Family(
            "jobctl_last_cleanup_timestamp_seconds", "gauge", "When old runs were last removed.", at
        )


def _states(states: list[JobState]) -> Iterator[_Family]:
    jobs = [state.record for state in states]
    late = [_Sample(state.is_late, state.record.id) for state in states if state.is_late is not None]
    yield _Family("jobctl_job_late", "gauge", "1 while an expectation of the job is not met, else 0.", late)
    running = [_Sample(job.last is not None and job.last.status is RunStatus.RUNNING, job.id) for job in jobs]
    yield _Family("jobctl_job_running", "gauge", "1 while the job runs, else 0.", running)
    outcome = [_Sample(not job.failing, job.id) for job in jobs if job.failing is not None]
    yield _Family(
        "jobctl_job_last_run_success",
        "gauge",
        "1 if the last run that ended completed, 0 if it failed.",
        outcome,
    )
    for name, text, times in (
        ("last_success", "When a run of the job last completed.", [job.last_success for job in jobs]),
        (
            "next_run",
            "When the job is next due; in the past if no scheduler runs it.",
            [job.next_run for job in jobs],
        ),
    ):
        samples = [_Sample(at.timestamp(), job.id) for job, at in zip(jobs, times, strict=True) if at]
        yield _Family(f"jobctl_job_{name}_timestamp_seconds", "gauge", text, samples)


def _number(value: float) -> str:
    """At most three decimals, without trailing zeros."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


INTERVAL_S = 15.0
_PAUSE_FACTOR = 20
"""The pause is at least this many times as long as the last write."""
CLOSE_S = 5.0


class MetricsFile:
    """Written by a thread when the scheduler has started, every 15 seconds, and when it is closed.

    Of consecutive failures the first is published.
    """

    def __init__(self, file: Path, store: RunStore, bus: Bus, jobs: Iterable[Job]) -> None:
        self.jobs = jobs
        self._file = file
        self._store = store
        self._bus = bus
        self._failed = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobctl-metrics-file", daemon=True)
        self._unsubscribe = bus.subscribe(self._on_event)

    def close(self) -> None:
        """Write it a last time; waits at most 5 seconds."""
        self._unsubscribe()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, SchedulerStarted):
            try:
                thread_start.start(self._thread)
            except thread_start.NoThreadError as error:
                self._bus.publish(MetricsNotWritten(event.at, self._file, str(error)))

    def _run(self) -> None:
        clock = SystemClock()
        stopped = False
        while not stopped:
            stopped = self._stop.is_set()
            started = clock.monotonic()
            self._write()
            if not stopped:
                self._stop.wait(max(INTERVAL_S, _PAUSE_FACTOR * (clock.monotonic() - started)))

    def _write(self) -> None:
        now = SystemClock().now()
        try:
            jobs = current(self._store.jobs().values(), self.jobs, now)
            write_textfile(self._file, self._store.metrics(), jobs)
        except StoreError:
            return  # the scheduler publishes that
        except OSError as error:
            if not self._failed:
                self._bus.publish(MetricsNotWritten(now, self._file, reason_of(error)))
            self._failed = True
        else:
            self._failed = False
