"""The manager of disabled mode: it runs nothing, says so, and still answers what is known."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from jobctl.catalogue.catalogue import unknown_job
from jobctl.clock import Clock, SystemClock
from jobctl.errors import NotRunError
from jobctl.managers.base import Lifecycle, define, registration
from jobctl.managers.status import job_status, job_statuses
from jobctl.model import Job, JobMetrics, JobStatus, Run, Target
from jobctl.schedules import Cron, Every
from jobctl.store.base import RunStore


class NoOpJobManager(Lifecycle):
    """Takes definitions, so that an application starts as ever, and runs none of them.

    Args:
        store: what was recorded before is still shown.
        reason: why nothing runs; the sentence that ``trigger_job`` fails with.
        hint: what to do about it.
    """

    def __init__(
        self, store: RunStore, reason: str, *, hint: str | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__(idle=reason)
        self.store = store
        self.reason = reason
        self.hint = hint
        self._clock = clock or SystemClock()
        self._jobs: dict[str, Job] = {}

    def add(self, jobs: Iterable[Job]) -> None:
        """Take definitions; none is scheduled."""
        self._jobs.update((job.id, job) for job in jobs)

    def schedule_job(self, id: str, name: str, job: Target, interval: timedelta | float) -> None:  # noqa: A002
        """Check the definition and keep it; it is not scheduled."""
        self.add([define(id, name, job, Every(interval))])

    def schedule_cron_job(self, id: str, name: str, job: Target, cron_expression: str) -> None:  # noqa: A002
        """Check the definition and keep it; it is not scheduled."""
        self.add([define(id, name, job, Cron(cron_expression))])

    def trigger_job(self, id: str) -> Run:  # noqa: A002
        """Never runs anything.

        Raises:
            NotRunError: always; nothing is ever skipped in silence.
        """
        raise NotRunError(f"{id} was not run: {self.reason}", hint=self.hint)

    def stop_job(self, id: str) -> None:  # noqa: A002
        """Take a job off its schedule for the time when scheduling is enabled again."""
        if id not in self._jobs:
            raise unknown_job(id, self._jobs)
        self._stop([self._jobs[id]])

    def stop_all_jobs(self) -> None:
        """Take all known jobs off their schedules."""
        self._stop(self._jobs.values())

    def get_job_status(self, id: str) -> JobStatus | None:  # noqa: A002
        """What was last recorded of the job; it has no next run."""
        found = self._jobs.get(id)
        return job_status(found, self.store.job(id), self._clock.now()) if found else None

    def get_all_job_statuses(self) -> Sequence[JobStatus]:
        """What was last recorded of every job."""
        return job_statuses(self._jobs.values(), self.store.jobs(), self._clock.now())

    def get_job_metrics(self) -> JobMetrics:
        """Totals of what was run before."""
        return self.store.metrics()

    def _stop(self, jobs: Iterable[Job]) -> None:
        now = self._clock.now()
        known = self.store.register([registration(job) for job in jobs], now)
        self.store.stop(list(known), now)
