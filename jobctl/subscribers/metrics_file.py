"""A file of metrics beside a scheduler, kept fresh for node_exporter's textfile collector."""

import threading
from collections.abc import Iterable
from pathlib import Path

from jobctl import threads
from jobctl.clock import SystemClock
from jobctl.errors import StoreError, reason_of
from jobctl.events import Bus, Event, MetricsNotWritten, SchedulerStarted
from jobctl.store.base import RunStore
from jobctl.subscribers.prometheus import current, write_textfile

EVERY_S = 15.0
_SHARE = 20
END_S = 5.0


class MetricsFile:
    """Written when the scheduler is up, each 15 seconds, and at its end; more seldom where it would take a
    twentieth of the time.

    In a thread of its own: a folder that does not answer holds up nothing else. What went wrong is told once.
    """

    def __init__(self, file: Path, store: RunStore, bus: Bus, job_ids: Iterable[str]) -> None:
        self.job_ids = job_ids
        self._file = file
        self._store = store
        self._bus = bus
        self._told = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobctl-textfile", daemon=True)
        self._unsubscribe = bus.subscribe(self._hear)

    def close(self) -> None:
        """Write it for the last time; waits 5 seconds at most."""
        self._unsubscribe()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(END_S)

    def _hear(self, event: Event) -> None:
        if isinstance(event, SchedulerStarted):
            try:
                threads.start(self._thread)
            except threads.NoThreadError as error:
                self._bus.publish(MetricsNotWritten(event.at, self._file, str(error)))

    def _run(self) -> None:
        clock = SystemClock()
        stopped = False
        while not stopped:
            stopped = self._stop.is_set()
            begun = clock.monotonic()
            self._write()
            if not stopped:
                self._stop.wait(max(EVERY_S, _SHARE * (clock.monotonic() - begun)))

    def _write(self) -> None:
        now = SystemClock().now()
        try:
            jobs = current(self._store.jobs().values(), self.job_ids, now)
            write_textfile(self._file, self._store.metrics(), jobs)
        except StoreError:
            return  # the loop tells of it
        except OSError as error:
            if not self._told:
                self._bus.publish(MetricsNotWritten(now, self._file, reason_of(error)))
            self._told = True
            return
        self._told = False
