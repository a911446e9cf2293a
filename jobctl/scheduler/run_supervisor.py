"""The unfinished runs of this process: from the claim, over all attempts, to the recorded end."""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from errno import EMFILE
from typing import TYPE_CHECKING

from jobctl.clock import Clock, iso
from jobctl.durations import format_duration
from jobctl.errors import (
    AlreadyRunningError,
    JobctlError,
    NotRunError,
    SlotTakenError,
    StoreError,
    UnknownToStoreError,
    reason_of,
)
from jobctl.events import (
    Bus,
    RegistrationRenewed,
    RunFinished,
    RunOutput,
    RunProgressed,
    RunRetrying,
    RunStarted,
)
from jobctl.execution.tasks import (
    Arguments,
    Outcome,
    Task,
    TaskAsksSlot,
    TaskFinished,
    TaskOutput,
    TaskProgressed,
    TaskStarted,
)
from jobctl.model import Command, Job, Progress, Reason, Run, RunStatus, Trigger
from jobctl.scheduler.lease import Lease
from jobctl.scheduler.recorder import EndedRun, Recorder
from jobctl.schedules.excluding import why_excluded
from jobctl.store.base import RunStore
from jobctl.store.records import Cancellation, Claim, Claimed, Ending, Overlap, SlotTaken, new_run_id

if TYPE_CHECKING:
    from jobctl.execution.pool import WorkerPool

_RETRIED = {Reason.ERROR, Reason.TIMEOUT, Reason.CRASHED}
_SAVE_PID_AFTER_S = 0.25
_SAVE_PROGRESS_AFTER_S = 1.0


@dataclass(slots=True)
class ActiveRun:
    """One unfinished run: its job, the current attempt, and when the first attempt began."""

    claimed: Claimed
    job: Job
    task: Task
    began: datetime | None = None
    began_steady: float | None = None
    pid: int | None = None
    error: str | None = None
    progress: Progress | None = None
    cancellation: Cancellation | None = None

    @property
    def attempt(self) -> int:
        """The current attempt, from 1."""
        return self.task.attempt

    def may_retry(self, outcome: TaskFinished) -> bool:
        """Whether the definition and the failure allow a further attempt."""
        return outcome.retry and outcome.reason in _RETRIED and self.attempt <= self.job.retries

    def ending(self, outcome: TaskFinished, steady: float) -> Ending:
        """How the whole run ended; its duration goes from the first attempt to now."""
        error, status = outcome.error, RunStatus.FAILED
        if outcome.reason is None:
            status = RunStatus.COMPLETED
        elif outcome.reason is Reason.CANCELLED:
            status = RunStatus.CANCELLED
            error = self.cancellation.text if self.cancellation else error
        duration = outcome.duration  # exact for a single attempt; zero where no process ran it
        if self.began_steady is not None and (self.attempt > 1 or outcome.pid is None):
            duration = timedelta(seconds=steady - self.began_steady)
        return Ending(
            outcome.run_id,
            self.job.id,
            status,
            self.began or outcome.started_at,
            outcome.finished_at,
            duration,
            outcome.reason,
            error,
            outcome.result,
            outcome.pid,
            self.task.attempt,
        )


class RunSupervisor:
    """Hands attempts to the workers, retries what failed, and records how runs end. Used by one thread.

    Args:
        alone: no other process uses the store: it is not asked for cancellations.

    Attributes:
        stopping: no attempt is retried and no registration renewed any more.
        interrupted: how many runs were ended by a stop.
        cancellation_interval_s: how often the run store is asked for cancellations, in seconds; less often where
            it is a server.
    """

    def __init__(
        self,
        store: RunStore,
        lease: Lease,
        bus: Bus,
        clock: Clock,
        *,
        pool: "WorkerPool",
        recorder: Recorder,
        alone: bool = False,
    ) -> None:
        self.stopping = False
        self.interrupted = 0
        self._store = store
        self._lease = lease
        self._pool = pool
        self._recorder = recorder
        self._bus = bus
        self._clock = clock
        self._active: dict[str, ActiveRun] = {}
        self._waiting: deque[Task] = deque()
        self._retries: list[tuple[float, str]] = []
        self._unsaved_pids: deque[tuple[float, str, int]] = deque()
        self._unsaved_progress: dict[str, float] = {}
        self._check_cancellations_at = math.inf if alone else 0.0
        self._lost = 0
        self.cancellation_interval_s = math.inf if alone else 1.0 if store.shared else 0.2

    @property
    def active(self) -> Collection[ActiveRun]:
        """Every unfinished run."""
        return self._active.values()

    def has(self, run_id: str) -> bool:
        """Whether a run is unfinished here, or its end is not recorded yet. From any thread."""
        return run_id in self._active or self._recorder.has(run_id)

    def seconds_to_retry(self) -> float | None:
        """Seconds until the next retry is due; None where none is planned."""
        return self._retries[0][0] - self._clock.monotonic() if self._retries else None

    # Starting

    def trigger(
        self,
        job: Job,
        trigger: Trigger,
        arguments: Arguments,
        timeout: timedelta | None,
        *,
        quick: bool,
        slot: datetime | None = None,
        claims_slot: bool = False,
        rerun_of: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """Claim a run outside the schedule and start it.

        Args:
            slot: the due time that it runs for.
            claims_slot: claim the slot, so that it is run once.
            rerun_of: the id of the run that it repeats.
            actor: who asks for it; None for a schedule.
            reason: why, kept with the action.

        Raises:
            AlreadyRunningError: the job, or another of its group, has an unfinished run. A slot to claim is then skipped.
            SlotTakenError: the slot to claim, or a later one of the job, has had its run.
            UnknownToStoreError: the store does not know this process or the job; the lease is then lost.
            StoreError: the run cannot be recorded, so it is not started.
        """
        self._recorder.flush()
        claim = Claim(
            new_run_id(),
            job.id,
            trigger,
            self._clock.now(),
            slot=slot if claims_slot else None,
            fixed=claims_slot,
            force=True,
            group=job.group,
            arguments=self.kept_arguments(job, arguments),
            rerun_of=rerun_of,
            actor=actor,
            action_reason=reason,
        )
        try:
            (outcome,) = self._store.claim(self._lease.owner, [claim])
        except UnknownToStoreError:
            self._lease.lose()
            raise
        if isinstance(outcome, Overlap):
            if outcome.skipped is not None:
                self._bus.publish(RunFinished(outcome.skipped))
            raise already_running(job.id, outcome.running, self._clock)
        if isinstance(outcome, SlotTaken):
            raise slot_taken(job.id, slot)
        if not isinstance(outcome, Claimed):  # a manual run is forced
            raise TypeError(f"unexpected outcome {outcome!r}")
        self.submit([self.begin(job, outcome, arguments, timeout, quick=quick, slot=slot)])
        return outcome.run

    def skip_excluded(
        self, slots: Sequence[tuple[Job, datetime]], clock_generation: int = 1
    ) -> Sequence[Run | None]:
        """Record slots on excluded dates as skipped; None for one that has a run already.

        Raises:
            UnknownToStoreError: the store does not know this process; the lease is then lost.
            StoreError: they cannot be recorded.
        """
        now = self._clock.now()
        wanted = [
            (_claim_of_excluded(job, slot, now, clock_generation), why_excluded(job.schedule, slot))
            for job, slot in slots
            if job.schedule is not None
        ]
        try:
            skipped = self._store.skip_excluded(self._lease.owner, wanted)
        except UnknownToStoreError:
            self._lease.lose()
            raise
        for run in skipped:
            if run is not None:
                self._bus.publish(RunFinished(run))
        return skipped

    def kept_arguments(self, job: Job, arguments: Arguments | None = None) -> Arguments | None:
        """The arguments of a run as they are recorded: with those of its definition, without secrets."""
        if not (job.arguments or arguments):
            return None
        kept: Arguments = self._pool.masked({**job.arguments, **(arguments or {})})
        return kept

    def begin(
        self,
        job: Job,
        claimed: Claimed,
        arguments: Arguments | None = None,
        timeout: timedelta | None = None,
        *,
        quick: bool,
        slot: datetime | None = None,
    ) -> Task:
        """Publish the start of a claimed run; returns the task of its first attempt, for ``submit``.

        Args:
            slot: the due time that it runs for, without a claim of it.
        """
        claim = claimed.claim
        run_id, slot = claim.run_id, slot or claim.slot
        environment: dict[str, str] = {}
        if self._bus.has_listeners:
            run = claimed.run
            self._bus.publish(RunStarted(run))
            environment = self._bus.environment_for(run)
        given = {**job.arguments, **(arguments or {})}
        # a program gets all variables; a function's worker has the job's
        is_program = isinstance(job.target, Command)
        if is_program:
            environment |= self._variables_of_program(job.id, slot, given)
        task = Task(
            run_id,
            job.id,
            job.target,
            job.timeout if timeout is None else timeout,
            quick=quick,
            arguments=given,
            grace=job.grace,
            environment={**job.environment, **environment} if is_program else environment,
            worker_environment={} if is_program else job.environment,
            folder=job.folder,
            memory_mib=job.memory_mib,
            trigger=claim.trigger,
            slot=slot,
            attempts=job.retries + 1,
        )
        self._active[run_id] = ActiveRun(claimed, job, task)
        return task

    def _variables_of_program(
        self, job_id: str, slot: datetime | None, arguments: Arguments
    ) -> dict[str, str]:
        """What a program finds of its run, but for what its worker knows."""
        variables = {}
        with suppress(StoreError):
            if (previous := self._previous_slot(job_id, slot)) is not None:
                variables["JOBCTL_PREVIOUS_SLOT"] = iso(previous)
        if arguments:
            from jobctl.arguments import variables_of

            variables |= variables_of(arguments)
        return variables

    def submit(self, tasks: Iterable[Task], *, at_once: bool = False) -> None:
        """Start tasks as soon as the workers have room.

        Args:
            at_once: the caller has checked that the workers have room.
        """
        if at_once and self._lease.holds:
            self._pool.submit(list(tasks))
            return
        self._waiting.extend(tasks)
        self.submit_waiting()

    def submit_waiting(self) -> None:
        """Start what waits, as far as the workers have room. Without a lease nothing starts."""
        while self._waiting and self._lease.holds and self._pool.capacity(quick=False) > 0:
            self._pool.submit([self._waiting.popleft()])

    # What the workers report

    def take(self, outcome: Outcome) -> ActiveRun | None:
        """Process an outcome; returns the run if an attempt of it finished."""
        active = self._active.get(outcome.run_id)
        if active is None:
            return None
        match outcome:
            case TaskStarted():
                if active.began is None:
                    active.began, active.began_steady = outcome.at, self._clock.monotonic()
                active.pid = outcome.pid
                self._unsaved_pids.append((self._clock.monotonic(), outcome.run_id, outcome.pid))
            case TaskOutput():
                for line in outcome.lines if self._bus.has_listeners else ():
                    self._bus.publish(RunOutput(outcome.job_id, outcome.run_id, outcome.at, line))
            case TaskProgressed():
                active.progress = outcome.progress
                self._unsaved_progress.setdefault(outcome.run_id, self._clock.monotonic())
                progress = RunProgressed(active.job.id, outcome.run_id, self._clock.now(), outcome.progress)
                self._bus.publish(progress)
            case TaskAsksSlot():
                with suppress(StoreError):
                    self._pool.answer_slot(
                        outcome.run_id, self._previous_slot(active.job.id, active.task.slot)
                    )
            case TaskFinished():
                self._finish(active, outcome)
                return active
        return None

    def _previous_slot(self, job_id: str, slot: datetime | None) -> datetime | None:
        return None if slot is None else self._store.previous_slot(job_id, slot)

    def _finish(self, active: ActiveRun, outcome: TaskFinished) -> None:
        if self._unsaved_progress.pop(outcome.run_id, None) is not None:
            self._try(lambda: self._store.update_run(outcome.run_id, progress=active.progress))
        if not self.stopping and active.may_retry(outcome):
            if active.cancellation is None:
                self._retry_later(active, outcome)
                return
            outcome = replace(outcome, reason=Reason.CANCELLED)
        del self._active[outcome.run_id]
        self.interrupted += outcome.reason is Reason.INTERRUPTED
        self._lost += outcome.reason is Reason.LOST
        ending = active.ending(outcome, self._clock.monotonic())
        self._recorder.end(EndedRun(active.claimed, ending, outcome.retry))

    def _retry_later(self, active: ActiveRun, outcome: TaskFinished) -> None:
        delay = _retry_delay(active.job, active.attempt)
        active.error = outcome.error
        heapq.heappush(self._retries, (self._clock.monotonic() + delay.total_seconds(), outcome.run_id))
        failed = replace(active.claimed.run, attempt=active.attempt)
        self._try(lambda: self._store.update_run(failed.id, retry_at=self._clock.now() + delay))
        self._bus.publish(RunRetrying(failed, outcome.error or str(outcome.reason), delay))

    def start_due_retries(self) -> None:
        """Queue the next attempt of every run whose delay is over."""
        while self._retries and self._retries[0][0] <= self._clock.monotonic():
            _, run_id = heapq.heappop(self._retries)
            active = self._active.get(run_id)
            if active is None:
                continue
            active.task = replace(active.task, attempt=active.attempt + 1, quick=False)
            self._try(lambda: self._store.update_run(run_id, attempt=active.attempt))  # noqa: B023
            self._waiting.append(active.task)

    def save_changes(self) -> None:
        """Save the progress of runs, once a second each, and the worker's pid of every run that takes a while.

        Most end before that is worth a write.
        """
        for run_id, since in list(self._unsaved_progress.items()):
            if since + _SAVE_PROGRESS_AFTER_S <= self._clock.monotonic():
                del self._unsaved_progress[run_id]
                progress = self._active[run_id].progress
                self._try(lambda: self._store.update_run(run_id, progress=progress))  # noqa: B023
        while self._unsaved_pids and self._unsaved_pids[0][0] + _SAVE_PID_AFTER_S <= self._clock.monotonic():
            _, run_id, pid = self._unsaved_pids.popleft()
            active = self._active.get(run_id)
            if active is not None and active.pid == pid:
                self._try(lambda: self._store.update_run(run_id, pid=pid))  # noqa: B023

    def _try(self, write: Callable[[], object]) -> None:
        """A write that may fail: no promise depends on it."""
        with suppress(StoreError):
            write()

    # Ending

    def end_run(self, run_id: str) -> None:
        """End one run as timed out, without further attempts."""
        active = self._active.get(run_id)
        if active is None:
            return
        active.job = replace(active.job, retries=0)
        if self._forget_waiting(run_id):
            self._fail(active, Reason.ERROR, active.error)
        else:
            self._pool.end([run_id], Reason.TIMEOUT)

    def check_cancellations(self) -> None:
        """End the runs that other processes ask to end; the run store is asked a few times a second."""
        now = self._clock.monotonic()
        if not self._active or now < self._check_cancellations_at:
            return
        self._check_cancellations_at = now + self.cancellation_interval_s
        with suppress(StoreError):
            for cancellation in self._store.cancellations(self._lease.owner.id):
                self._cancel(cancellation)

    def replace(self, running: Run, slot: datetime) -> None:
        """Ask a run to end since a slot of its job takes its place; at once if it is a run of this process.

        Where it is asked to end already, nothing changes.
        """
        cancellation = Cancellation(running.id, "schedule", f"replaced by the slot of {iso(slot)}")
        with suppress(StoreError):  # the slot is claimed again, and finds the run again
            if self._store.cancel(cancellation, self._clock.now(), first=True):
                self._cancel(cancellation)

    def _cancel(self, cancellation: Cancellation) -> None:
        active = self._active.get(cancellation.run_id)
        if active is None or active.cancellation == cancellation:
            return
        active.cancellation = cancellation
        if self._forget_waiting(cancellation.run_id):
            self._fail(active, Reason.CANCELLED, cancellation.text)
        else:
            self._pool.end([cancellation.run_id], Reason.CANCELLED, now=cancellation.now)

    def _forget_waiting(self, run_id: str) -> bool:
        """Whether a run waited for its next attempt, or for a worker; it waits no longer."""
        retries = [entry for entry in self._retries if entry[1] != run_id]
        waiting = [task for task in self._waiting if task.run_id != run_id]
        has_waited = (len(retries), len(waiting)) != (len(self._retries), len(self._waiting))
        if has_waited:
            self._retries, self._waiting = retries, deque(waiting)
            heapq.heapify(self._retries)
        return has_waited

    def end_all(self, reason: Reason, *, now: bool = False) -> None:
        """End every attempt that is running; ``now``: without a grace time."""
        self._pool.end(list(self._active), reason, now=now)

    def end_waiting(self, reason: Reason, error: str) -> None:
        """End the runs that wait for a worker or for their next attempt."""
        for task in (*self._waiting, *(self._active[run_id].task for _, run_id in self._retries)):
            active = self._active[task.run_id]
            self._fail(active, reason, active.error or error)
        self._waiting.clear()
        self._retries.clear()

    def _fail(self, active: ActiveRun, reason: Reason, error: str | None) -> None:
        claim, now = active.claimed.claim, self._clock.now()
        self._finish(active, TaskFinished(claim.run_id, None, claim.at, now, timedelta(0), reason, error))

    # The lease

    def check_lease(self) -> RegistrationRenewed | None:
        """End all runs where the lease is gone, since other processes may have taken over; then register again.

        Returns:
            The event to publish, where this process has just registered again.

        Raises:
            StoreError: it cannot register now; to be called again.
        """
        if self._lease.holds:
            return None
        if self._active:
            self.end_waiting(Reason.LOST, "the run store was out of reach before it began")
            self.end_all(Reason.LOST, now=True)
            return None
        if not self._lease.lost or self.stopping:
            return None
        reason = self._store.restore()
        if reason is None:
            known = self._store.is_known(self._lease.owner.id)
            reason = (
                "another process declared this one dead"
                if known
                else "the run store does not know this process any more"
            )
        self._recorder.flush()
        self._pool.renew(self._lease.sign_on().id)
        lost, self._lost = self._lost, 0
        return RegistrationRenewed(self._clock.now(), reason, lost)


def _retry_delay(job: Job, attempt: int) -> timedelta:
    """The delay after the failed ``attempt``: doubled each time, plus a random tenth at most."""
    return job.retry_delay * (2.0 ** (attempt - 1) * (1 + random.random() / 10))


def check_runnable(job: Job) -> None:
    """Raise ``NotRunError`` where something that the job needs is not configured."""
    if job.unmet is not None:
        raise NotRunError(f"{job.id} was not run: {job.unmet}", hint="jobctl check tries what is configured")


@contextmanager
def explain_start_error() -> Iterator[None]:
    """Turn an ``OSError`` of a start into a sentence: often the system allows no more open files."""
    try:
        yield
    except OSError as error:
        raise JobctlError(
            f"the scheduler cannot be started: {reason_of(error)}",
            hint="raise the limit of open files (ulimit -n)" if error.errno == EMFILE else None,
        ) from None


def already_running(job_id: str, run: Run, clock: Clock) -> AlreadyRunningError:
    """The error for a job that cannot start while ``run`` is unfinished: since when it runs, and where."""
    since = format_duration(clock.now() - run.started_at)
    place = f", pid {run.pid} on {run.host}" if run.pid else f" on {run.host}"
    how = {Trigger.SCHEDULE: "by its schedule", Trigger.MANUAL: "manually"}.get(run.trigger, "by a request")
    group = "" if run.job_id == job_id else f"{job_id} must not run beside it: "
    return AlreadyRunningError(
        f"{group}{run.job_id} is already running for {since}, started {how} (run {run.short_id}{place});"
        " nothing was started",
        hint=f"follow it with: jobctl logs {run.job_id} --follow",
    )


def slot_taken(job_id: str, slot: datetime | None) -> SlotTakenError:
    """The error for a slot that has had its run."""
    due = f"the slot {iso(slot)}, or a later one" if slot else "the slot"
    return SlotTakenError(f"{job_id} was not run: {due}, has had its run", hint=f"see jobctl runs {job_id}")


def _claim_of_excluded(job: Job, slot: datetime, now: datetime, clock_generation: int) -> Claim:
    is_fixed = job.schedule is not None and job.schedule.is_fixed(slot)
    return Claim(
        new_run_id(),
        job.id,
        Trigger.SCHEDULE,
        now,
        slot=slot,
        clock_generation=clock_generation,
        fixed=is_fixed,
        group=job.group,
    )
