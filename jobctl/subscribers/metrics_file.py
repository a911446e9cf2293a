"""The metrics file of a scheduler, for node_exporter's textfile collector."""

import threading
from collections.abc import Iterable
from pathlib import Path

from jobctl import thread_start
from jobctl.clock import SystemClock
from jobctl.errors import StoreError, reason_of
from jobctl.events import Bus, Event, MetricsNotWritten, SchedulerStarted
from jobctl.store.base import RunStore
from jobctl.subscribers.prometheus import current, write_textfile

INTERVAL_S = 15.0
_PAUSE_FACTOR = 20
"""The pause is at least this many times as long as the last write."""
CLOSE_S = 5.0


class MetricsFile:
    """Written by a thread when the scheduler has started, every 15 seconds, and when it is closed.

    Of consecutive failures the first is published.
    """

    def __init__(self, file: Path, store: RunStore, bus: Bus, job_ids: Iterable[str]) -> None:
        self.job_ids = job_ids
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
            jobs = current(self._store.jobs().values(), self.job_ids, now)
            write_textfile(self._file, self._store.metrics(), jobs)
        except StoreError:
            return  # the scheduler publishes that
        except OSError as error:
            if not self._failed:
                self._bus.publish(MetricsNotWritten(now, self._file, reason_of(error)))
            self._failed = True
        else:
            self._failed = False
