"""One run outside any schedule: claimed, executed by one worker, and waited for in the calling thread."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl import thread_start
from jobctl.clock import Clock
from jobctl.errors import StoreError, UnknownToStoreError
from jobctl.events import Bus, RunFinished
from jobctl.execution.log_shipping import make_shipper
from jobctl.execution.pool import WorkerPool
from jobctl.model import Job, Reason, Run, Trigger
from jobctl.scheduler.lease import Lease
from jobctl.scheduler.liveness import fail_lost_runs_once
from jobctl.scheduler.recorder import Recorder
from jobctl.scheduler.run_supervisor import RunSupervisor, check_runnable, explain_start_error
from jobctl.schedules import Excluding
from jobctl.settings.masking import Mask, secret_texts
from jobctl.store.base import RunStore
from jobctl.store.logs import FOLDER
from jobctl.store.records import registration

if TYPE_CHECKING:
    from jobctl.scheduler.maintenance import Maintenance

RECORD_S = 40.0
"""How long to try to record an end, in seconds."""
RECORD_AFTER_STOP_S = 10.0
_TICK_S = 0.2
_MAINTENANCE_AFTER_S = 1.0  # most runs end before that, and need none


class SingleRun:
    """Runs one job for a command, with its retries. ``stop``, ``end_now`` and ``fail`` may be called from anywhere.

    Args:
        store: the run store.
        project: the folder that the job runs in and imports from.
        state: the folder for run logs.
        environment: the worker's environment.
        most_logs: bytes of one job's logs; the oldest are deleted.
        ships_logs: copy logs into the run store, where that is on Postgres.
        mask: removes secrets from logs, errors and results; those of the job's own variables are added to it.

    Attributes:
        bus: publishes the run's events.
        kind: what this process registers as.
    """

    def __init__(
        self,
        store: RunStore,
        job: Job,
        *,
        project: Path,
        state: Path,
        environment: Mapping[str, str],
        most_logs: int,
        mask: Mask,
        clock: Clock,
        ships_logs: bool = False,
    ) -> None:
        self.store = store
        self.bus = Bus()
        self.kind = "trigger"
        self._job = job
        self._state = state
        self._clock = clock
        self._error: BaseException | None = None
        self._is_stopping = self._is_killed = self._must_end_now = self._is_signed_on = False
        self._maintenance: Maintenance | None = None
        mask.add(secret_texts({**job.arguments, **job.environment}))
        self._shipper = make_shipper(store, state, most_logs, clock) if ships_logs else None
        with explain_start_error():
            self._pool = WorkerPool(
                workers=1,
                project=project,
                environment=environment,
                logs=state / FOLDER,
                most_logs=most_logs,
                shipper=self._shipper,
                mask=mask,
                clock=clock,
                permitted=lambda: self._lease.holds,
            )
        self._lease = Lease(
            store,
            self.kind,
            state,
            clock,
            extend_runs=self._pool.extend,
            end_runs=lambda: self._pool.end_all(Reason.LOST),
        )
        self._recorder = Recorder(store, self._lease, self.bus, clock)
        self._runs = RunSupervisor(
            store, self._lease, self.bus, clock, pool=self._pool, recorder=self._recorder
        )

    def start(
        self,
        trigger: Trigger,
        arguments: Mapping[str, Any],
        timeout: timedelta | None,
        *,
        slot: datetime | None = None,
        rerun_of: str | None = None,
        actor: str | None = None,
    ) -> Run:
        """Claim the run and start it; returns it as it started. May be called again after a ``StoreError``.

        Args:
            slot: the due time that it runs for, without a claim of it.
            rerun_of: the id of the run that it repeats.
            actor: who asks for it; None for a schedule.

        Raises:
            AlreadyRunningError: the job has an unfinished run; says since when and where.
            NotRunError: what it needs is not configured; says which variable.
            StoreError: the run cannot be recorded, so it was not started.
        """
        check_runnable(self._job)
        self._sign_on()

        def start() -> Run:
            return self._runs.trigger(
                self._job,
                trigger,
                arguments,
                timeout,
                quick=False,
                slot=slot,
                rerun_of=rerun_of,
                actor=actor,
            )

        try:
            return start()
        except UnknownToStoreError:  # the store was replaced just now
            self._check_lease()
            return start()

    def excludes(self, slot: datetime) -> bool:
        """Whether the job's schedule leaves out the date of a slot."""
        return isinstance(self._job.schedule, Excluding) and self._job.schedule.excludes(slot)

    def skip_excluded(self, slot: datetime) -> Run:
        """Record that a slot is not run, since its date is excluded. May be called again after a ``StoreError``.

        Returns the run; of a slot that has one already, that.

        Raises:
            StoreError: it cannot be recorded.
        """
        self._sign_on()
        (run,) = self._runs.skip_excluded([(self._job, slot)])
        if run is not None:
            return run
        known = self.store.runs_of_slots(self._job.id, slot, slot)
        return next(each for each in known if each.scheduled_for == slot)

    def wait(self, run_id: str, stop_requested: Callable[[], bool]) -> Run:
        """Wait for the end of the run, and return it as recorded.

        Args:
            stop_requested: asked several times a second; once it returns True, the run is ended.

        Raises:
            StoreError: its end cannot be recorded.
        """
        begun = self._clock.monotonic()
        failing_since: float | None = None
        while (run := self._recorder.finished.wait(run_id, 0)) is None:
            self._turn(stop_requested)
            now = self._clock.monotonic()
            if self._maintenance is None and now - begun > _MAINTENANCE_AFTER_S:
                self._start_maintenance()
            if self._error is not None and not self._runs.active:
                raise self._error
            if not self._recorder.is_failing:
                failing_since = None
                continue
            failing_since = now if failing_since is None else failing_since
            if now - failing_since > (RECORD_AFTER_STOP_S if self._is_stopping else RECORD_S):
                raise self._recorder.not_written()
        return run

    def end_now(self) -> None:
        """End the run without a grace time. Safe in a signal handler."""
        self._must_end_now = True
        self._pool.wake()

    def close(self) -> None:
        """End what is left of the run, and the registration of this process."""
        if self._maintenance is not None:
            self._maintenance.stop()
        self._pool.close()
        if self._shipper is not None:
            self._shipper.close()
        self._lease.sign_off()

    # For maintenance

    def notice_changes(self) -> None:
        """Nothing is on a schedule here."""

    def check_clock(self) -> None:
        """Nothing is on a schedule here."""

    def fail(self, error: BaseException) -> None:
        """End the run because of a fault of jobctl itself."""
        self._error = error
        self.end_now()

    # The loop

    def _turn(self, stop_requested: Callable[[], bool]) -> None:
        retry = self._runs.seconds_to_retry()
        rest = _TICK_S if retry is None else min(_TICK_S, max(0.0, retry))
        for outcome in self._pool.poll(
            0.0 if self._recorder.pending and not self._recorder.is_failing else rest
        ):
            self._runs.take(outcome)
        try:
            self._check_lease()
        except StoreError as error:
            self._recorder.report(error)
        self._runs.check_cancellations()
        self._runs.start_due_retries()
        if self._must_end_now or stop_requested():
            self._end(now=self._must_end_now)
        self._recorder.flush()
        self._runs.submit_waiting()
        self._runs.save_changes()

    def _sign_on(self) -> None:
        self._register()
        if self._is_signed_on:
            return
        for run in fail_lost_runs_once(self.store, self._state, self._clock):
            self.bus.publish(RunFinished(run))
        with explain_start_error():
            self._pool.renew(self._lease.sign_on().id)
            self._lease.start()
        if self._shipper is not None:
            self._shipper.start()
        self._is_signed_on = True

    def _register(self) -> None:
        self.store.register([registration(self._job)], self._clock.now())

    def _check_lease(self) -> None:
        renewed = self._runs.check_lease()
        if renewed is not None:
            self._register()
            self.bus.publish(renewed)

    def _end(self, *, now: bool) -> None:
        if self._is_killed if now else self._is_stopping:
            return
        self._is_killed = now
        self._is_stopping = self._runs.stopping = True
        self._runs.end_waiting(Reason.INTERRUPTED, "it was interrupted before it began")
        self._runs.end_all(Reason.INTERRUPTED, now=now)

    def _start_maintenance(self) -> None:
        from jobctl.scheduler.maintenance import Maintenance

        self._maintenance = Maintenance(
            self.store, self._lease, self._state, self._clock, bus=self.bus, scheduler=self
        )
        try:
            self._maintenance.start()
        except thread_start.NoThreadError:
            return  # a single run can do without
