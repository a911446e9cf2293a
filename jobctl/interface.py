"""The interface of every job manager: local, Trigger.dev or no-op."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from jobctl.model import Job, JobMetrics, JobStatus, Run, RunStatus, Target, WaitingRun


@runtime_checkable
class BackgroundJobManager(Protocol):
    """Schedules and triggers jobs. Every manager has these methods.

    Any method may raise ``UsageError`` for a bad id, schedule or target, ``StoreError`` when the run store cannot
    be used, and in Trigger.dev mode ``ServiceError`` when Trigger.dev refuses or does not answer.

    Attributes:
        idle: why this process schedules nothing; None where it does.
    """

    idle: str | None

    def add(self, jobs: Iterable[Job]) -> None:
        """Add definitions. An id that exists already is replaced; what is known of its runs stays."""

    def schedule_job(self, id: str, name: str, job: Target, interval: timedelta | float) -> None:  # noqa: A002
        """Run ``job`` every ``interval`` (a ``timedelta`` or seconds), the first time at once.

        The same id again replaces the definition and keeps what is known of its runs.
        """

    def schedule_cron_job(
        self,
        id: str,  # noqa: A002
        name: str,
        job: Target,
        cron_expression: str | Sequence[str],
    ) -> None:
        """Run ``job`` at the wall-clock times, in UTC, of a 5- or 6-field cron expression."""

    def trigger_job(
        self,
        id: str,  # noqa: A002
        *,
        arguments: Mapping[str, Any] | None = None,
        timeout: timedelta | None = None,
    ) -> Run:
        """Start one run now and return it as it started.

        Args:
            arguments: for the job's function or program, by name: values that JSON can hold, times and durations.
            timeout: of one attempt, instead of the job's own.

        Raises:
            UsageError: the job does not take these arguments; nothing was started.
            UnknownJobError: no job has this id.
            AlreadyRunningError: it has an unfinished run; says since when and where.
            NotRunError: this manager runs nothing, or what the job needs is not configured.
        """

    def rerun(self, run_id: str) -> Run:
        """Start a run with the arguments and the slot of an earlier one, and return it as it started.

        It is linked to the earlier run by ``rerun_of``, and claims no slot.

        Args:
            run_id: the whole id, or its beginning; at Trigger.dev the whole.

        Raises:
            UnknownRunError: there is no such run.
            UsageError: its arguments hold a secret, which is not kept.
            UnknownJobError: no job has its job's id any more.
            AlreadyRunningError: it has not ended, or another run of the job has not.
            NotRunError: this manager runs nothing, or what the job needs is not configured.
        """

    def wait(self, run_id: str, timeout: float | None = None) -> Run:
        """Wait for the end of a run that this manager started, and return it as recorded.

        Args:
            timeout: in seconds; None waits without limit.

        Raises:
            TimeoutError: it has not ended by then.
        """

    def trigger_job_later(
        self,
        id: str,  # noqa: A002
        at: datetime,
        *,
        arguments: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> WaitingRun:
        """Keep a run for later, over restarts; a scheduler starts it.

        Args:
            at: when it begins, aware; later where a run of the job or its group is unfinished then.
            arguments: for the job's function or program, by name.
            reason: why; kept with the action, but for Trigger.dev's runs.

        Raises:
            UsageError: ``at`` is past, or the job does not take these arguments, or they hold a secret.
            UnknownJobError: no job has this id.
            NotRunError: this manager runs nothing, or what the job needs is not configured.
        """

    def waiting_runs(self, id: str | None = None) -> Sequence[WaitingRun]:  # noqa: A002
        """The runs that are kept for later, soonest first: of one job or of all."""

    def backfill(
        self,
        id: str,  # noqa: A002
        begin: datetime,
        end: datetime,
        *,
        again: bool = False,
        arguments: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> Sequence[WaitingRun]:
        """Keep a run for each past slot of a job, oldest first; a scheduler starts one after another.

        Slots that have completed, run or wait are left out.

        Args:
            begin: the first slot is not earlier, aware.
            end: the last slot is not later, nor later than now.
            again: run slots that have completed, too.
            arguments: of each run.
            reason: why; kept with the action.

        Raises:
            UsageError: as ``trigger_job_later``, or the job has no schedule, or more than 10,000 slots in that time.
            UnknownJobError: no job has this id.
            NotRunError: this manager runs nothing, or no backfill, as Trigger.dev's.
        """

    def cancel_batch(self, batch: str, reason: str | None = None) -> int:
        """End the wait of all runs of a backfill; returns how many waited. One that runs goes on."""

    def cancel_run(self, run_id: str, reason: str | None = None, *, now: bool = False) -> bool:
        """Ask an unfinished run to end, wherever it runs; False where it has ended already, or there is none.

        ``current_run().cancelled`` becomes true in it. After its grace time it is ended with all its processes, and
        recorded as ``cancelled``; it is not retried.

        Args:
            reason: why; kept with the run.
            now: without a grace time.
        """

    def run(self, run_id: str) -> Run | None:
        """One run with its result and error, or None."""

    def runs(
        self,
        id: str | None = None,  # noqa: A002
        *,
        statuses: Iterable[RunStatus] = (),
        since: datetime | None = None,
        limit: int | None = 20,
    ) -> Sequence[Run]:
        """Runs, newest first: of one job or of all, with one of these statuses or with any."""

    def start(self) -> None:
        """Begin to schedule, in a thread. A second call, or one where nothing is scheduled here, changes nothing."""

    def run_forever(self) -> None:
        """Schedule, and block until SIGINT, SIGTERM or SIGHUP; then shut down gracefully and return.

        It keeps a script alive that does nothing else; a second signal ends the runs at once. Where nothing is
        scheduled in this process it logs the reason and returns.
        """

    def shutdown(self, grace: timedelta | None = None) -> int:
        """Start nothing new, wait ``grace`` for the runs in this process, then end them; returns how many were ended.

        The manager of ``get_job_manager`` is shut down when the process ends.
        """

    def start_job(self, id: str) -> None:  # noqa: A002
        """Put a stopped job back on its schedule. What it missed meanwhile is not caught up."""

    def start_all_jobs(self) -> None:
        """Put every stopped job back on its schedule."""

    def stop_job(self, id: str, reason: str | None = None, *, until: datetime | None = None) -> None:  # noqa: A002
        """Take a job off its schedule. A run in progress goes on; its status is kept.

        Args:
            reason: why; shown by ``jobctl status``, but for Trigger.dev's jobs.
            until: when a scheduler puts it back, aware; None: never. Trigger.dev does not know that.
        """

    def stop_all_jobs(self, reason: str | None = None, *, until: datetime | None = None) -> None:
        """Take every job off its schedule."""

    def get_job_status(self, id: str) -> JobStatus | None:  # noqa: A002
        """The current status of a job, or None where no job has this id."""

    def get_all_job_statuses(self) -> Sequence[JobStatus]:
        """The current status of every job, in the order in which they were added."""

    def get_job_metrics(self) -> JobMetrics:
        """Totals over all recorded runs."""
