"""What every manager keeps, so that one can take another's place: local, trigger-dev or no-op."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, runtime_checkable

from jobctl.model import JobMetrics, JobStatus, Run, Target


@runtime_checkable
class BackgroundJobManager(Protocol):
    """What schedules and triggers jobs. Every manager keeps this, whatever is behind it.

    Errors that any method may raise: ``UsageError`` for a bad id, schedule or target,
    ``StoreError`` where the run store cannot be used.
    """

    def schedule_job(self, id: str, name: str, job: Target, interval: timedelta | float) -> None:  # noqa: A002
        """Run ``job`` every ``interval`` (a ``timedelta`` or seconds), the first time at once.

        The same id again replaces the definition and keeps what is known of its runs.
        """

    def schedule_cron_job(self, id: str, name: str, job: Target, cron_expression: str) -> None:  # noqa: A002
        """Run ``job`` at the wall-clock times, in UTC, of a 5- or 6-field cron expression."""

    def trigger_job(self, id: str) -> Run:  # noqa: A002
        """Start one run now and return it as it started.

        Raises:
            UnknownJobError: no job has this id.
            AlreadyRunningError: it has an unfinished run; says since when and where.
            NotRunError: this manager runs nothing; says why.
        """

    def start(self) -> None:
        """Begin to schedule, in a thread. A second call, or one where nothing is scheduled here, changes nothing."""

    def run_forever(self) -> None:
        """Schedule, and block until SIGINT, SIGTERM or SIGHUP; then shut down gracefully and return.

        It keeps a script alive that does nothing else; a second signal ends what runs at once. Where nothing is
        scheduled in this process it logs the reason and returns.
        """

    def shutdown(self, grace: timedelta | None = None) -> int:
        """Start nothing new, give what runs here ``grace`` to end, then end it; returns how many had to be.

        Called by itself when the process ends, where the manager is ``get_job_manager``'s.
        """

    def stop_job(self, id: str) -> None:  # noqa: A002
        """Take a job off its schedule. A run in progress goes on; its status is kept."""

    def stop_all_jobs(self) -> None:
        """Take every job off its schedule."""

    def get_job_status(self, id: str) -> JobStatus | None:  # noqa: A002
        """One job as it stands now, or None where no job has this id."""

    def get_all_job_statuses(self) -> Sequence[JobStatus]:
        """Every job as it stands now, in the order in which they were defined."""

    def get_job_metrics(self) -> JobMetrics:
        """Totals over all runs that were ever recorded."""
