"""The local manager: jobs run on this machine, in worker processes, on their schedules or when triggered."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.arguments import as_json
from jobctl.catalogue.discovery import Functions
from jobctl.clock import Clock
from jobctl.events import Bus, RunFinished, SchedulerStarted
from jobctl.files import actor_here
from jobctl.managers.base import StoreBackedManager
from jobctl.managers.rerun import repeat
from jobctl.model import Action, Job, Reason, Run, RunStatus, Trigger, WaitingRun
from jobctl.settings.masking import Mask, secret_texts
from jobctl.store.base import RunStore
from jobctl.store.logs import DEFAULT_LIMIT, FOLDER

if TYPE_CHECKING:
    from jobctl.execution.log_shipping import LogShipper
    from jobctl.scheduler.maintenance import Maintenance
    from jobctl.scheduler.scheduler import Scheduler

DEFAULT_WORKERS = 4
DEFAULT_GRACE = timedelta(seconds=30)


class LocalJobManager(StoreBackedManager):
    """Schedules and runs jobs here. Any number of processes that share its store share the slots.

    Nothing starts before ``start()``, or the first ``trigger_job``. Use it as a context manager,
    sync or async, to have it shut down at the end. A function that no worker process can import by
    name runs in a thread of this process; ``jobctl.execution.job_threads`` says what that cannot promise.

    In a forked child it has the same definitions, but schedules none and runs nothing of its parent's, until the
    child itself starts it, schedules or triggers a job.

    Args:
        store: the run store.
        project: the folder that jobs run in and import from.
        state: the folder for run logs.
        environment: the environment of worker processes.
        most_logs: bytes of one job's logs; the oldest are deleted.
        ships_logs: copy logs into the run store, where that is on Postgres.
        mask: removes secrets from logs, errors and results; those of the jobs' own variables are added to it.
        kind: what this process registers as: ``scheduler``, ``trigger`` or ``application``.
        workers: how many worker processes may run at once; they start when needed.
        grace: how long runs have to end by themselves at ``shutdown``.
        autostart: ``schedule_job`` and ``schedule_cron_job`` start it.
        idle: why this process schedules nothing; ``start`` does nothing then.

    Attributes:
        bus: publishes the events of the scheduler and its runs.
        on_turn: called in each turn of the scheduler's loop, each second at least; set it before ``start``.
    """

    def __init__(
        self,
        store: RunStore,
        *,
        project: Path,
        state: Path,
        environment: Mapping[str, str],
        most_logs: int = DEFAULT_LIMIT,
        ships_logs: bool = False,
        mask: Mask | None = None,
        kind: str = "application",
        workers: int = DEFAULT_WORKERS,
        grace: timedelta = DEFAULT_GRACE,
        clock: Clock | None = None,
        autostart: bool = False,
        idle: str | None = None,
    ) -> None:
        super().__init__(store, clock, idle, mask)
        self.bus = Bus()
        self.kind = kind
        self.on_turn: Callable[[], None] = lambda: None
        self._project = project
        self._state = state
        self._environment = environment
        self._most_logs = most_logs
        self._ships_logs = ships_logs
        self._functions = Functions(project, environment, self._mask)
        self._workers = workers
        self._grace = grace
        self._autostart = autostart
        self._lock = threading.RLock()
        self._ending = threading.Lock()
        self._scheduler: Scheduler | None = None
        self._maintenance: Maintenance | None = None
        self._shipper: LogShipper | None = None
        self._scheduling = False

    # Definitions

    def add(self, jobs: Iterable[Job]) -> None:
        """Add definitions. An id that exists already is replaced; what is known of its runs stays."""
        added = list(jobs)
        for job in added:
            self._mask.add(secret_texts({**job.arguments, **job.environment}))
        with self._lock:
            super().add(added)
            if self._scheduling:
                self._schedule(added)

    def remove(self, ids: Iterable[str]) -> None:
        """Remove definitions. A run in progress goes on to its end; what is known of past runs stays."""
        with self._lock:
            removed = [job_id for job_id in ids if self._jobs.pop(job_id, None) is not None]
            scheduler = self._scheduler
            if removed and scheduler is not None and self._scheduling:
                scheduler.call(lambda: scheduler.unschedule(removed, for_good=True))

    # Runs

    def trigger_job(
        self,
        id: str,  # noqa: A002
        *,
        arguments: Mapping[str, Any] | None = None,
        timeout: timedelta | None = None,
        trigger: Trigger = Trigger.MANUAL,
        slot: datetime | None = None,
        claims_slot: bool = False,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """Start one run now, whatever the schedule, and return it as it started.

        Args:
            arguments: for the job's function or program, by name: values that JSON can hold, times and durations.
                They are checked against the function first; its module is imported in another process for that,
                where it is named by its import path.
            timeout: of one attempt, instead of the job's own.
            trigger: recorded with the run.
            slot: the due time that it runs for, where another service keeps the times.
            claims_slot: claim the slot, so that it is run once.
            actor: who asks; None is the user of this process.
            reason: why; kept with the action.

        Raises:
            UsageError: the job does not take these arguments; nothing was started.
            UnknownJobError: no job has this id.
            AlreadyRunningError: it has an unfinished run; says since when and where.
            SlotTakenError: the slot to claim has had its run.
            NotRunError: what it needs is not configured; says which variable.
            StoreError: the run cannot be recorded, so it was not started.
        """
        job = self._runnable_job(id)
        checked = {} if arguments is None else self._functions.check(job, as_json(arguments))
        scheduler = self._running_scheduler_of(job)
        return scheduler.call(
            lambda: scheduler.trigger(
                job,
                trigger,
                checked,
                timeout,
                slot=slot,
                claims_slot=claims_slot,
                actor=None if trigger is Trigger.SCHEDULE else actor or actor_here(),
                reason=reason,
            )
        )

    def skip_excluded(self, job_id: str, slot: datetime) -> Run:
        """Record that a slot is not run, since its date is excluded; for a service that keeps the times.

        Raises:
            SlotTakenError: the slot has its run already.
            StoreError: it cannot be recorded.
        """
        job = self._job(job_id)
        scheduler = self._running_scheduler_of(job)
        return scheduler.call(lambda: scheduler.skip_excluded(job, slot))

    def _checked_arguments(self, job: Job, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._functions.check(job, as_json(arguments))

    def _keep(self, runs: Sequence[WaitingRun], action: Action) -> None:
        super()._keep(runs, action)
        scheduler = self._scheduler
        if scheduler is not None and self._scheduling:
            scheduler.call(scheduler.read_first_waiting)

    def rerun(
        self,
        run_id: str,
        *,
        trigger: Trigger = Trigger.MANUAL,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """Start a run with the arguments and the slot of an earlier one, and return it as it started.

        Args:
            run_id: the id, or a unique prefix.
            trigger: recorded with the run.
            actor: who asks; None is the user of this process.
            reason: why; kept with the action.

        Raises:
            UnknownRunError: there is no such run.
            UsageError: its arguments hold a secret, which is not kept.
            UnknownJobError: no job has its job's id any more.
            AlreadyRunningError: it has not ended, or another run of the job has not.
            NotRunError: what the job needs is not configured; says which variable.
            StoreError: the run cannot be recorded, so it was not started.
        """
        before, arguments, slot = repeat(run_id, self.run)
        job = self._runnable_job(before.job_id)
        scheduler = self._running_scheduler_of(job)
        return scheduler.call(
            lambda: scheduler.trigger(
                job,
                trigger,
                arguments,
                None,
                slot=slot,
                rerun_of=before.id,
                actor=actor or actor_here(),
                reason=reason,
            )
        )

    def wait(self, run_id: str, timeout: float | None = None) -> Run:
        """Wait for the end of a run that this manager started, and return it as recorded.

        Args:
            timeout: in seconds; None waits without limit.

        Raises:
            TimeoutError: it has not ended by then.
        """
        scheduler = self._scheduler
        run = scheduler.finished.wait(run_id, 0) if scheduler else None
        if run is None and not (scheduler is not None and scheduler.has(run_id)):
            kept = self.store.run(run_id)
            run = kept if kept is not None and kept.status is not RunStatus.RUNNING else None
        if run is None and scheduler is not None:
            run = scheduler.finished.wait(run_id, timeout)
            if run is None and scheduler.error is not None:
                raise scheduler.error
        if run is None:
            raise TimeoutError(f"run {run_id} has not ended")
        return run

    def ship_log(self, run_id: str, timeout: float) -> None:
        """Wait until what an ended run has printed is in the run store, if logs are kept there.

        Args:
            timeout: in seconds.
        """
        shipper = self._shipper
        if shipper is not None:
            shipper.flush(run_id, timeout)

    def end_run(self, run_id: str) -> None:
        """End a run that this manager started, as timed out, without further attempts; ``wait`` returns its end."""
        scheduler = self._scheduler
        if scheduler is not None:
            scheduler.call(lambda: scheduler.end_run(run_id))

    def renew_workers(self) -> None:
        """Import the code of all runs that begin from now on anew. A run in progress goes on."""
        self._functions.forget()
        scheduler = self._scheduler
        if scheduler is not None:
            scheduler.call(scheduler.renew_workers)

    # Start and end

    def start(self) -> None:
        """Begin to schedule, in a thread of its own. A second call changes nothing.

        Raises:
            StoreError: the run store cannot be used.
            JobctlError: the system allows no more threads or open files.
        """
        if self.idle is not None:
            return
        with self._lock:
            if self._scheduling:
                return
            self._scheduling = True
            try:
                self._schedule(list(self._jobs.values()))
            except BaseException:
                self._scheduling = False
                raise
            self.bus.publish(SchedulerStarted(self._clock.now(), len(self._jobs), self._workers))

    def shutdown(self, grace: timedelta | None = None) -> int:
        """Start nothing new, wait for the runs, then end them with their children.

        From any thread; where several call it, each waits for the end.

        Args:
            grace: how long to wait, instead of the manager's own.

        Returns:
            How many runs were ended by force.
        """
        with self._ending:
            with self._lock:
                scheduler, maintenance, shipper = self._scheduler, self._maintenance, self._shipper
                self._scheduling = False
            if scheduler is None:
                return 0
            if maintenance is not None:
                maintenance.stop()
            scheduler.stop(self._grace if grace is None else grace)
            scheduler.ended.wait()
            if shipper is not None:
                shipper.close()
            with self._lock:
                self._scheduler = self._maintenance = self._shipper = None
            if scheduler.error is not None:
                raise scheduler.error
            return scheduler.interrupted

    def end_now(self) -> None:
        """End every run at once; ``shutdown`` then returns soon. Safe in a signal handler."""
        scheduler = self._scheduler
        if scheduler is not None:
            scheduler.end_now()

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Wait for the scheduler's end, by ``shutdown`` or an error; False after ``timeout`` seconds."""
        scheduler = self._scheduler
        return scheduler is None or scheduler.ended.wait(timeout)

    def after_fork(self) -> None:
        """In a forked child: the scheduler and its workers are the parent's, and so are the locks, held or not."""
        self._lock = threading.RLock()
        self._ending = threading.Lock()
        scheduler, self._scheduler, self._maintenance = self._scheduler, None, None
        self._shipper = None
        self._scheduling = False
        if scheduler is not None:
            scheduler.after_fork()

    # Internal

    def _define(self, job: Job) -> None:
        self.add([job])
        if self._autostart:
            self.start()

    def _start(self, ids: Sequence[str]) -> None:
        super()._start(ids)
        with self._lock:
            if self._scheduling:
                self._schedule([self._job(job_id) for job_id in ids])

    def _stop(self, ids: Sequence[str], reason: str | None, until: datetime | None) -> None:
        super()._stop(ids, reason, until)
        scheduler = self._scheduler
        if scheduler is not None and self._scheduling:
            scheduler.call(lambda: scheduler.unschedule(ids, for_good=False))

    def _schedule(self, jobs: Sequence[Job]) -> None:
        scheduler = self._running_scheduler()
        scheduler.call(lambda: scheduler.schedule(jobs))

    def _runnable_job(self, job_id: str) -> Job:
        from jobctl.scheduler.run_supervisor import check_runnable

        job = self._job(job_id)
        check_runnable(job)
        return job

    def _running_scheduler_of(self, job: Job) -> "Scheduler":
        """The scheduler, which can start runs of the job: the run store knows it."""
        self._register([job.id])
        return self._running_scheduler()

    def _running_scheduler(self) -> "Scheduler":
        from jobctl.scheduler.run_supervisor import explain_start_error

        with self._lock:
            if self._scheduler is None:
                with explain_start_error():
                    self._scheduler, self._maintenance = self._start_scheduler()
                self.on_start()
            return self._scheduler

    def _start_scheduler(self) -> "tuple[Scheduler, Maintenance]":
        from jobctl.execution.job_threads import LocalPool
        from jobctl.execution.log_shipping import make_shipper
        from jobctl.scheduler.lease import Lease
        from jobctl.scheduler.liveness import fail_lost_runs_once
        from jobctl.scheduler.maintenance import Maintenance
        from jobctl.scheduler.scheduler import Scheduler

        for run in fail_lost_runs_once(self.store, self._state, self._clock):
            self.bus.publish(RunFinished(run))
        lease: Lease
        shipper = (
            make_shipper(self.store, self._state, self._most_logs, self._clock) if self._ships_logs else None
        )
        pool = LocalPool(
            workers=self._workers,
            project=self._project,
            environment=self._environment,
            logs=self._state / FOLDER,
            most_logs=self._most_logs,
            shipper=shipper,
            mask=self._mask,
            clock=self._clock,
            permitted=lambda: lease.holds,
        )
        lease = Lease(
            self.store,
            self.kind,
            self._state,
            self._clock,
            extend_runs=pool.extend,
            end_runs=lambda: pool.end_all(Reason.LOST),
        )
        scheduler = Scheduler(self.store, lease, pool, self.bus, self._clock)
        scheduler.on_turn = self.on_turn
        maintenance = Maintenance(
            self.store, lease, self._state, self._clock, bus=self.bus, scheduler=scheduler
        )
        try:
            pool.renew(lease.sign_on().id)
            scheduler.start()
            lease.start()
            maintenance.start()
        except BaseException:
            scheduler.abandon()
            raise
        if shipper is not None:
            shipper.start()
        self._shipper = shipper
        return scheduler, maintenance
