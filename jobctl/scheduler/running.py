"""Runs in this process's hands: between the claim and the recorded end."""

import random
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobctl.clock import Clock, whole
from jobctl.durations import format_duration, milliseconds
from jobctl.errors import AlreadyRunningError
from jobctl.execution.tasks import Arguments, Task, TaskFinished
from jobctl.model import Command, Job, OnOverlap, Reason, Run, RunStatus, Trigger
from jobctl.scheduler.agenda import Due
from jobctl.store.records import Claim, Ending, new_run_id

_RETRIED = {Reason.ERROR, Reason.TIMEOUT, Reason.CRASHED}
_KEPT = 1000


@dataclass(slots=True)
class Active:
    """One unfinished run: its job, the attempt that is on, and when it really began."""

    run: Run
    job: Job
    task: Task
    began: datetime | None = None
    began_steady: float | None = None
    pid: int | None = None
    error: str | None = None

    @property
    def attempt(self) -> int:
        """Which attempt is on, from 1."""
        return self.task.attempt

    def may_retry(self, outcome: TaskFinished) -> bool:
        """Whether the definition and the failure allow a further attempt."""
        return outcome.retry and outcome.reason in _RETRIED and self.attempt <= self.job.retries

    def ending(self, outcome: TaskFinished, steady: float) -> Ending:
        """How the whole run ended; its duration goes from the first attempt to now."""
        duration = outcome.duration  # exact, where it is of the only attempt; of none where no process had it
        if self.began_steady is not None and (self.attempt > 1 or outcome.pid is None):
            duration = timedelta(seconds=steady - self.began_steady)
        return Ending(
            run_id=self.run.id,
            status=RunStatus.COMPLETED if outcome.reason is None else RunStatus.FAILED,
            started_at=whole(self.began or outcome.started_at),
            finished_at=whole(outcome.finished_at),
            duration=timedelta(milliseconds=milliseconds(duration) or 0),
            reason=outcome.reason,
            error=outcome.error,
            result=outcome.result,
            pid=outcome.pid,
            attempt=self.attempt,
        )


def claim_of(due: Due, now: datetime, clock_generation: int) -> Claim:
    """The wish to run a slot."""
    job = due.entry.job
    return Claim(
        new_run_id(),
        job.id,
        Trigger.SCHEDULE,
        now,
        slot=due.slot,
        clock_generation=clock_generation,
        fixed=due.entry.schedule.fixed_time,
        next_run=due.entry.due,
        group=job.group,
        queue=job.overlap is OnOverlap.QUEUE,
        misfires=due.misfires(),
    )


def task_of(
    job: Job,
    run: Run,
    environment: Mapping[str, str],
    *,
    quick: bool,
    arguments: Arguments | None = None,
    timeout: timedelta | None = None,
) -> Task:
    """The first attempt of a run, with variables for this run beside the job's.

    A program gets all of them at once; a function gets a worker that has the job's from its start.
    """
    program = isinstance(job.target, Command)
    return Task(
        run.id,
        job.id,
        job.target,
        job.timeout if timeout is None else timeout,
        quick=quick,
        arguments=arguments or {},
        grace=job.grace,
        environment={**job.environment, **environment} if program else environment,
        worker_environment={} if program else job.environment,
        folder=job.folder,
        memory_mib=job.memory_mib,
    )


def finished_run(run: Run, ending: Ending) -> Run:
    """The run as its ending leaves it."""
    return replace(
        run,
        status=ending.status,
        started_at=ending.started_at,
        reason=ending.reason,
        finished_at=ending.finished_at,
        duration=ending.duration,
        error=ending.error,
        result=ending.result,
        pid=ending.pid,
        attempt=ending.attempt,
    )


def retry_delay(job: Job, attempt: int) -> timedelta:
    """The wait after the failed ``attempt``: doubled each time, up to a tenth longer by chance."""
    return job.retry_delay * (2.0 ** (attempt - 1) * (1 + random.random() / 10))


@dataclass(slots=True)
class Finished:
    """The newest ended runs of this process, for whoever waits for one of them. Thread-safe."""

    _runs: dict[str, Run] = field(default_factory=dict)
    _order: deque[str] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def add(self, run: Run) -> None:
        """Keep a run; the oldest beyond 1,000 is forgotten."""
        with self._changed:
            self._runs[run.id] = run
            self._order.append(run.id)
            if len(self._order) > _KEPT:
                self._runs.pop(self._order.popleft(), None)
            self._changed.notify_all()

    def wait(self, run_id: str, timeout: float | None) -> Run | None:
        """The run once it has ended, or None after ``timeout`` seconds or when nothing more will end."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or run_id in self._runs, timeout)
            return self._runs.get(run_id)

    def close(self) -> None:
        """Nothing more will end here: let every waiter go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


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
