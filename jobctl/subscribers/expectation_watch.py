"""Watches what is expected of jobs, and publishes when a job is late, and when it is on time again."""

import threading
from collections.abc import Iterable, Iterator
from datetime import datetime

from jobctl import thread_start
from jobctl.catalogue.expectations import Lateness, lateness
from jobctl.clock import Clock, SystemClock
from jobctl.errors import StoreError
from jobctl.events import Bus, JobLate, JobOnTime
from jobctl.model import Job
from jobctl.store.base import RunStore
from jobctl.store.records import JobRecord, is_scheduled

INTERVAL_S = 10.0


def read_lateness(
    store: RunStore, jobs: Iterable[Job], now: datetime
) -> Iterator[tuple[Job, JobRecord, Lateness | None]]:
    """Each job of which something is expected and that the run store knows, and how it is late; None: it is not."""
    watched = {job.id: job for job in jobs if job.expect is not None}
    for record in store.jobs(watched).values() if watched else ():
        job = watched[record.id]
        yield job, record, lateness(job, record, now)


class ExpectationWatch:
    """Any process that shares the run store may watch: the store decides which of them notices a change first.

    So the change is published once, also while the scheduler is frozen or dead. A thread watches from ``start`` on,
    every ``INTERVAL_S`` seconds.
    """

    def __init__(self, bus: Bus, store: RunStore, jobs: Iterable[Job], clock: Clock | None = None) -> None:
        self.jobs = list(jobs)
        self._bus = bus
        self._store = store
        self._clock = clock or SystemClock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobctl-expectations", daemon=True)

    def start(self) -> None:
        """Begin to watch.

        Raises:
            NoThreadError: the system allows no more threads.
        """
        thread_start.start(self._thread)

    def close(self) -> None:
        """Watch no longer."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(INTERVAL_S)

    def check(self) -> list[JobLate]:
        """Publish what has changed; returns the jobs that are late now.

        Raises:
            StoreError: the run store cannot be used.
        """
        now, found = self._clock.now(), []
        for job, record, late in read_lateness(self._store, self.jobs, now):
            if late is not None:
                event = JobLate(now, job.id, *late)
                found.append(event)
                if record.late_notified is None and self._store.set_late_notified(job.id, late.since):
                    self._bus.publish(event)
            elif record.late_notified is not None:
                has_changed = self._store.set_late_notified(job.id, None)
                # of a job that was stopped nothing is expected any more: that is no good news
                if has_changed and is_scheduled(job, record):
                    self._bus.publish(JobOnTime(now, job.id))
        return found

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            try:
                self.check()
            except StoreError:
                continue  # the scheduler publishes that
