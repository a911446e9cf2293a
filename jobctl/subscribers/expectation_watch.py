"""Watches what is expected of jobs, and publishes when a job is late, and when it is on time again."""

import threading
from collections.abc import Iterable

from jobctl import thread_start
from jobctl.catalogue.expectations import is_expected, lateness
from jobctl.clock import Clock, SystemClock
from jobctl.errors import StoreError
from jobctl.events import Bus, JobLate, JobOnTime
from jobctl.model import Job
from jobctl.store.base import RunStore

INTERVAL_S = 10.0


def late_jobs(store: RunStore, jobs: Iterable[Job], clock: Clock) -> list[JobLate]:
    """The jobs that are late now."""
    watched = {job.id: job for job in jobs if job.expect is not None}
    records = store.jobs(watched) if watched else {}
    now = clock.now()
    found = []
    for job_id, job in watched.items():
        late = lateness(job, records.get(job_id), now)
        if late is not None:
            found.append(JobLate(now, job_id, *late))
    return found


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
        late = late_jobs(self._store, self.jobs, self._clock)
        watched = {job.id: job for job in self.jobs if job.expect is not None}
        known = self._store.jobs(watched) if watched else {}
        for event in late:
            is_new = event.job_id in known and known[event.job_id].late_notified is None
            if is_new and self._store.set_late_notified(event.job_id, event.since):
                self._bus.publish(event)
        late_ids = {event.job_id for event in late}
        for job_id, record in known.items():
            if record.late_notified is None or job_id in late_ids:
                continue
            # of a job that was stopped nothing is expected any more: that is no good news
            if self._store.set_late_notified(job_id, None) and is_expected(watched[job_id], record):
                self._bus.publish(JobOnTime(self._clock.now(), job_id))
        return late

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            try:
                self.check()
            except StoreError:
                continue  # the scheduler publishes that
