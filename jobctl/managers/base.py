"""What managers share: start and end, job definitions, answers from the run store; and the manager that runs nothing."""

import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from jobctl.catalogue.catalogue import unknown_job
from jobctl.catalogue.job_order import cycle_error, cycles
from jobctl.clock import Clock, SystemClock, iso
from jobctl.errors import NotRunError, UsageError
from jobctl.files import actor_here
from jobctl.managers.rerun import repeat
from jobctl.managers.status import job_status, job_statuses
from jobctl.model import (
    Action,
    ActionKind,
    Command,
    Job,
    JobMetrics,
    JobStatus,
    Run,
    RunStatus,
    Schedule,
    Target,
    Trigger,
    WaitingRun,
)
from jobctl.schedules.crons import cron_schedule
from jobctl.schedules.every import Every
from jobctl.settings.masking import Mask, secret_texts
from jobctl.signals import Stop
from jobctl.store.base import RunStore
from jobctl.store.records import Cancellation, JobRecord, new_run_id, new_run_ids, registration
from jobctl.text import ID_HINT, clauses, counted, is_job_id, quote


class ManagerBase:
    """Start and end of a manager, and its job definitions.

    Args:
        idle: why this process schedules nothing; None where it does.

    Attributes:
        store: the run store, if it has one.
        place: where another service schedules the jobs, such as `` at Trigger.dev``; empty where jobctl does.
        on_start: called each time the scheduler starts, in the calling thread.
    """

    store: RunStore | None = None
    place: str = ""

    def __init__(self, idle: str | None, clock: Clock | None) -> None:
        self.idle = idle
        self._clock: Clock = clock or SystemClock()
        self._jobs: dict[str, Job] = {}
        self.on_start: Callable[[], None] = lambda: None
        _managers.add(self)

    # Definitions

    def add(self, jobs: Iterable[Job]) -> None:
        """Add definitions. An id that exists already is replaced; what is known of its runs stays.

        Raises:
            UsageError: jobs run after each other; none is added.
        """
        added = {job.id: job for job in jobs}
        has_after = any(job.after for job in added.values())
        if has_after and (cycle := next(cycles({**self._jobs, **added}), None)):
            raise cycle_error(cycle)
        self._jobs.update(added)

    def schedule_job(self, id: str, name: str, job: Target, interval: timedelta | float) -> None:  # noqa: A002
        """Run ``job`` every ``interval`` (a ``timedelta`` or seconds), the first time at once."""
        self._define(define(id, name, job, Every(interval)))

    def schedule_cron_job(
        self,
        id: str,  # noqa: A002
        name: str,
        job: Target,
        cron_expression: str | Sequence[str],
    ) -> None:
        """Run ``job`` at the wall-clock times, in UTC, of a 5- or 6-field cron expression, or of several."""
        self._define(define(id, name, job, cron_schedule(cron_expression)))

    def _define(self, job: Job) -> None:
        self.add([job])

    def _job(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise unknown_job(job_id, self._jobs)
        return job

    # Start and end

    def start(self) -> None:
        """Begin to schedule. A second call, or one where nothing is scheduled here, changes nothing."""

    def shutdown(self, grace: timedelta | None = None) -> int:
        """Start nothing new, and end the runs in this process.

        Args:
            grace: how long runs may take to end by themselves.

        Returns:
            How many runs were ended by force.
        """
        del grace
        return 0

    def end_now(self) -> None:
        """End every run at once; ``shutdown`` then returns soon. Safe in a signal handler."""

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Wait for the end of the scheduler; False where it still runs after ``timeout`` seconds."""
        del timeout
        return True

    def after_fork(self) -> None:
        """In a forked child: release what belongs to the parent."""

    def run_forever(self) -> None:
        """Schedule, and block until SIGINT, SIGTERM or SIGHUP; then shut down gracefully and return.

        A second signal ends the runs at once. The signal handlers that were set before are restored. Outside
        the main thread, where no signal arrives, it returns after ``shutdown``. Where nothing is scheduled in
        this process it logs the reason and returns.

        Raises:
            StoreError: the scheduler has ended because of its run store.
        """
        if self.idle is not None:
            logging.getLogger("jobctl").warning("there is nothing to run here: %s", self.idle)
            return
        if threading.current_thread() is not threading.main_thread():
            self.start()
            self.wait_ended()
            return
        with Stop(again=self.end_now) as stop:
            try:
                self.start()
                while not stop.wait(1.0) and not self.wait_ended(0):
                    continue
            finally:
                self.shutdown()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        import asyncio

        self.on_start()  # in this thread, which may be the main one
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.shutdown)


_managers: weakref.WeakSet[ManagerBase] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for manager in list(_managers):
        manager.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


class StoreBackedManager(ManagerBase):
    """A manager that reads and writes everything but definitions in the run store."""

    store: RunStore

    def __init__(
        self, store: RunStore, clock: Clock | None, idle: str | None, mask: Mask | None = None
    ) -> None:
        super().__init__(idle, clock)
        self.store = store
        self._mask = mask or Mask()

    def start_job(self, id: str) -> None:  # noqa: A002
        """Put a stopped job back on its schedule. What it missed meanwhile is not caught up."""
        self._start([self._job(id).id])

    def start_all_jobs(self) -> None:
        """Put every stopped job back on its schedule."""
        self._start(list(self._jobs))

    def stop_job(self, id: str, reason: str | None = None, *, until: datetime | None = None) -> None:  # noqa: A002
        """Take a job off its schedule; it stays off after a restart. A run in progress goes on.

        Args:
            reason: why; shown by ``jobctl status``.
            until: when a scheduler puts it back, aware; None: never.
        """
        if until is not None:
            demand_zone(until)
        self._stop([self._job(id).id], reason, until)

    def stop_all_jobs(self, reason: str | None = None, *, until: datetime | None = None) -> None:
        """Take every job off its schedule."""
        if until is not None:
            demand_zone(until)
        self._stop(list(self._jobs), reason, until)

    def cancel_run(
        self, run_id: str, reason: str | None = None, *, now: bool = False, by: str | None = None
    ) -> bool:
        """Ask an unfinished run to end, wherever it runs; False where it has ended already.

        Args:
            reason: why; kept with the run.
            now: without a grace time.
            by: who asks; None is the user of this process.
        """
        return self.store.cancel(Cancellation(run_id, by or actor_here(), reason, now), self._clock.now())

    def trigger_job_later(
        self,
        id: str,  # noqa: A002
        at: datetime,
        *,
        arguments: Mapping[str, Any] | None = None,
        reason: str | None = None,
        actor: str | None = None,
    ) -> WaitingRun:
        """Keep a run for later, over restarts; a scheduler of this run store starts it.

        Args:
            at: when it begins, aware; later where a run of the job or its group is unfinished then.
            arguments: for the job's function or program, by name.
            reason: why; kept with the action.
            actor: who asks; None is the user of this process.

        Raises:
            UsageError: ``at`` is past, or the job does not take these arguments, or they hold a secret.
            UnknownJobError: no job has this id.
            NotRunError: this manager runs nothing, or what the job needs is not configured.
        """
        job, now = self._runnable(id), self._clock.now()
        demand_later(at, now)
        given = self._arguments_to_keep(job, arguments)
        run = WaitingRun(
            new_run_id(), id, at, Trigger.MANUAL, arguments=given, actor=actor or actor_here(), reason=reason
        )
        why = clauses(f"begins at {iso(at)}", reason)
        self._keep([run], Action(ActionKind.TRIGGER, now, run.actor or "", id, run.id, why))
        return run

    def backfill(
        self,
        id: str,  # noqa: A002
        begin: datetime,
        end: datetime,
        *,
        again: bool = False,
        arguments: Mapping[str, Any] | None = None,
        reason: str | None = None,
        actor: str | None = None,
        dry_run: bool = False,
    ) -> Sequence[WaitingRun]:
        """Keep a run for each past slot of a job, oldest first; a scheduler starts one after another.

        Slots that have completed, run or wait are left out. The runs have the same ``batch``, by which
        ``cancel_batch`` cancels those that are left.

        Args:
            begin: the first slot is not earlier, aware.
            end: the last slot is not later, nor later than now.
            again: run slots that have completed, too.
            arguments: of each run.
            reason: why; kept with the action.
            actor: who asks; None is the user of this process.
            dry_run: keep nothing; only return what would be kept.

        Raises:
            UsageError: as ``trigger_job_later``, or the job has no schedule, or more than 10,000 slots in that time.
            UnknownJobError: no job has this id.
            NotRunError: this manager runs nothing, or what the job needs is not configured.
        """
        from jobctl.managers.backfill import plan

        job, now = self._runnable(id), self._clock.now()
        demand_zone(begin, end)
        if not begin < end:
            raise UsageError(f"{iso(begin)} is not before {iso(end)}")
        given = self._arguments_to_keep(job, arguments)
        slots = plan(job, self.store, begin, min(end, now), again=again)
        actor, batch = actor or actor_here(), new_run_id()
        runs = [
            WaitingRun(
                run_id,
                id,
                now,
                Trigger.BACKFILL,
                slot,
                arguments=given,
                rerun_of=before,
                actor=actor,
                reason=reason,
                batch=batch,
            )
            for run_id, (slot, before) in zip(new_run_ids(len(slots)), slots, strict=True)
        ]
        if runs and not dry_run:
            span = f"{counted(len(runs), 'slot')} from {iso(slots[0].slot)} to {iso(slots[-1].slot)}"
            why = clauses(span, reason)
            self._keep(runs, Action(ActionKind.BACKFILL, now, actor, id, batch, why))
        return runs

    def _runnable(self, job_id: str) -> Job:
        from jobctl.scheduler.run_supervisor import check_runnable

        job = self._job(job_id)
        check_runnable(job)
        return job

    def _checked_arguments(self, job: Job, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments as JSON values; the caller has checked them."""
        del job
        return arguments

    def _arguments_to_keep(self, job: Job, arguments: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if not arguments:
            return None
        checked = self._checked_arguments(job, arguments)
        demand_no_secret(job, checked, self._mask)
        return checked

    def _keep(self, runs: Sequence[WaitingRun], action: Action) -> None:
        self._register([action.job_id])
        self.store.keep(runs, action)

    def cancel_batch(self, batch: str, reason: str | None = None, *, actor: str | None = None) -> int:
        """End the wait of all runs of a backfill; returns how many waited. One that runs goes on."""
        return self.store.cancel_batch(batch, self._clock.now(), actor or actor_here(), reason)

    def waiting_runs(self, id: str | None = None) -> Sequence[WaitingRun]:  # noqa: A002
        """The runs that are kept for later, soonest first: of one job or of all."""
        return self.store.waiting(id)

    def actions(
        self,
        id: str | None = None,  # noqa: A002
        *,
        since: datetime | None = None,
        limit: int | None = 20,
    ) -> Sequence[Action]:
        """What people and programs did to one job or all, newest first: the actions of the last 30 days are kept."""
        return self.store.actions(id, since=since, limit=limit)

    def run(self, run_id: str) -> Run | None:
        """The run with this id or unique prefix, with its result and error."""
        return self.store.run(run_id)

    def runs(
        self,
        id: str | None = None,  # noqa: A002
        *,
        statuses: Iterable[RunStatus] = (),
        since: datetime | None = None,
        limit: int | None = 20,
    ) -> Sequence[Run]:
        """Runs, newest first: of one job or of all, with one of these statuses or with any."""
        return self.store.runs(id, statuses=statuses, since=since, limit=limit)

    def get_job_status(self, id: str) -> JobStatus | None:  # noqa: A002
        """The current status of a job, or None where no job has this id."""
        job = self._jobs.get(id)
        return job_status(job, self.store.job(id), self._clock.now()) if job else None

    def get_all_job_statuses(self) -> Sequence[JobStatus]:
        """The current status of every job, in the order in which they were added."""
        return self.statuses_of(self._jobs.values())

    def statuses_of(self, jobs: Iterable[Job]) -> list[JobStatus]:
        """The current status of some jobs."""
        return job_statuses(jobs, self.store.jobs(), self._clock.now())

    def get_job_metrics(self) -> JobMetrics:
        """Totals over all runs that were ever recorded in the store."""
        return self.store.metrics()

    def _register(self, ids: Iterable[str]) -> Mapping[str, JobRecord]:
        """The jobs' records in the run store, created where there are none yet."""
        return self.store.register([registration(self._jobs[job_id]) for job_id in ids], self._clock.now())

    def _start(self, ids: Sequence[str]) -> None:
        self._register(ids)
        self.store.start(ids, self._clock.now(), actor_here())

    def _stop(self, ids: Sequence[str], reason: str | None, until: datetime | None) -> None:
        self._register(ids)
        self.store.stop(ids, self._clock.now(), reason, until, actor_here())


def demand_zone(*times: datetime) -> None:
    """Check times that a caller gives.

    Raises:
        UsageError: one has no time zone.
    """
    for time in times:
        if time.utcoffset() is None:
            raise UsageError(
                f"{time.isoformat()} has no time zone", hint="give an aware time, such as datetime.now(UTC)"
            )


def demand_later(at: datetime, now: datetime) -> None:
    """Check the time of a later run.

    Raises:
        UsageError: it is past, or has no time zone.
    """
    demand_zone(at)
    if at <= now:
        raise UsageError(f"{iso(at)} is past", hint="give a later time, or run it now")


def demand_no_secret(job: Job, arguments: Mapping[str, Any], mask: Mask) -> None:
    """Check arguments that are kept until a run begins, and add the secrets of the job's definition to the mask.

    Raises:
        UsageError: they hold a secret.
    """
    mask.add(secret_texts({**job.arguments, **job.environment}))
    if mask.value(dict(arguments)) != dict(arguments):
        raise UsageError(
            f"the arguments of {job.id} hold a secret, which is not kept until the run begins",
            hint="let the job read it from a variable",
        )


def define(job_id: str, name: str, target: Target, schedule: Schedule) -> Job:
    """The definition of a job that the application schedules in its code.

    A function that a worker process can import by name is replaced by that name, so that it runs
    there; any other runs in a thread of this process.

    Raises:
        UsageError: a bad id, or a target that is no function, import path or command.
    """
    if isinstance(target, str):
        module, colon, function = target.partition(":")
        if not (colon and module and function):
            raise UsageError(f"{quote(target)} is not an import path", hint="write package.module:function")
    elif callable(target):
        from jobctl.execution.job_threads import importable

        target = importable(target) or target
    elif not isinstance(target, Command):
        raise UsageError(f"a job is a function or an import path, not {type(target).__name__}")
    if not is_job_id(job_id):
        raise UsageError(f"{quote(job_id)} is not a job id", hint=ID_HINT)
    return Job(job_id, name or job_id, schedule, target)


class NoOpJobManager(StoreBackedManager):
    """Accepts definitions, so that an application starts as usual, and runs none of them.

    Args:
        store: what was recorded before is still shown.
        reason: why nothing runs; part of the error of ``trigger_job``.
        hint: what to do about it.
    """

    def __init__(
        self, store: RunStore, reason: str, *, hint: str | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__(store, clock, idle=reason)
        self.reason = reason
        self.hint = hint

    def trigger_job(
        self,
        id: str,  # noqa: A002
        *,
        arguments: Mapping[str, Any] | None = None,
        timeout: timedelta | None = None,
    ) -> Run:
        """Never runs anything.

        Raises:
            NotRunError: always; no run is skipped silently.
        """
        del arguments, timeout
        raise NotRunError(f"{id} was not run: {self.reason}", hint=self.hint)

    def rerun(self, run_id: str) -> Run:
        """Never runs anything.

        Raises:
            NotRunError: the run could be repeated elsewhere.
        """
        return self.trigger_job(repeat(run_id, self.run).before.job_id)

    def _runnable(self, job_id: str) -> Job:
        raise NotRunError(f"{job_id} was not run: {self.reason}", hint=self.hint)

    def wait(self, run_id: str, timeout: float | None = None) -> Run:
        """The run as recorded, if it has ended: nothing runs here.

        Raises:
            TimeoutError: it has not ended.
        """
        del timeout
        run = self.store.run(run_id)
        if run is None or run.finished_at is None:
            raise TimeoutError(f"run {run_id} has not ended")
        return run
