"""The local manager: jobs run on this machine, in worker processes, on their schedules or by hand."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from errno import EMFILE
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobctl.clock import Clock
from jobctl.errors import JobctlError, NotRunError, reason_of
from jobctl.events import Bus, RunFinished, SchedulerStarted
from jobctl.managers.base import StoreBackedManager
from jobctl.model import Job, Reason, Run, RunStatus, Trigger
from jobctl.scheduler.dispatch import ahead_of
from jobctl.scheduler.running import already_running
from jobctl.settings.masking import Mask, secret_texts
from jobctl.store.base import RunStore
from jobctl.store.logs import FOLDER, MOST
from jobctl.store.records import Claimed, Overlap

if TYPE_CHECKING:
    from jobctl.scheduler.maintenance import Chores
    from jobctl.scheduler.scheduler import Engine

DEFAULT_WORKERS = 4
DEFAULT_GRACE = timedelta(seconds=30)


class LocalJobManager(StoreBackedManager):
    """Schedules and runs jobs here. Share its store, and any number of processes share the slots.

    Nothing starts before ``start()``, or the first ``trigger_job``. Use it as a context manager,
    sync or async, to have it shut down at the end. A function that no worker process can import by
    name runs in a thread of this process; ``jobctl.execution.executors`` says what that cannot promise.

    In a forked child it knows the same jobs, but schedules none and runs nothing of its parent's, until the
    child itself starts it, schedules or triggers a job.

    Args:
        store: the run store.
        project: the folder that jobs run in and import from.
        state: the folder for run logs.
        environment: what worker processes get as their environment.
        most_logs: bytes of one job's logs; the oldest are deleted.
        mask: takes secrets out of logs, errors and results; those of the jobs' own variables are added to it.
        kind: what this process is to others: ``scheduler``, ``trigger`` or ``application``.
        workers: how many worker processes may run at once; they start when needed.
        grace: how long runs have to end by themselves at ``shutdown``.
        idle: why this process schedules nothing; ``start`` does nothing then.

    Attributes:
        pulse: called in each turn of the scheduler's loop, each second at least; to be set before it starts.
    """

    def __init__(
        self,
        store: RunStore,
        *,
        project: Path,
        state: Path,
        environment: Mapping[str, str],
        most_logs: int = MOST,
        mask: Mask | None = None,
        kind: str = "application",
        workers: int = DEFAULT_WORKERS,
        grace: timedelta = DEFAULT_GRACE,
        clock: Clock | None = None,
        autostart: bool = False,
        idle: str | None = None,
    ) -> None:
        super().__init__(store, clock, idle)
        self.bus = Bus()
        self.kind = kind
        self.pulse: Callable[[], None] = lambda: None
        self._project = project
        self._state = state
        self._environment = environment
        self._most_logs = most_logs
        self._mask = mask or Mask()
        self._workers = workers
        self._grace = grace
        self._autostart = autostart
        self._lock = threading.RLock()
        self._ending = threading.Lock()
        self._engine: Engine | None = None
        self._chores: Chores | None = None
        self._scheduling = False
        self._seen: object = None

    # Definitions

    def add(self, jobs: Iterable[Job]) -> None:
        """Take definitions; an id that is known already is replaced and keeps what is known of its runs."""
        added = {job.id: job for job in jobs}
        for job in added.values():
            self._mask.add(secret_texts(job.environment))
        with self._lock:
            self._jobs.update(added)
            if self._scheduling:
                self._schedule(added.values())

    def remove(self, ids: Iterable[str]) -> None:
        """Forget definitions. A run in progress goes on to its end; what is known of past runs stays."""
        with self._lock:
            gone = [one for one in ids if self._jobs.pop(one, None) is not None]
            engine = self._engine
            if gone and engine is not None and self._scheduling:
                engine.ask(lambda: engine.displace(gone, for_good=True))

    def start_job(self, id: str) -> None:  # noqa: A002
        """Put a stopped job back on its schedule. What it missed meanwhile is not caught up."""
        super().start_job(id)
        with self._lock:
            if self._scheduling:
                self._schedule([self._job(id)])

    # Runs

    def trigger_job(
        self,
        id: str,  # noqa: A002
        *,
        trigger: Trigger = Trigger.MANUAL,
        arguments: Mapping[str, Any] | None = None,
        timeout: timedelta | None = None,
    ) -> Run:
        """Start one run now, whatever the schedule, and return it as it started.

        Args:
            arguments: what the job's function is called with: JSON values.

        Raises:
            UnknownJobError: no job has this id.
            AlreadyRunningError: it has an unfinished run; says since when and where.
            NotRunError: what it needs is not configured; says which variable.
            StoreError: the run cannot be recorded, so it was not started.
        """
        job = self._job(id)
        if job.unmet is not None:
            raise NotRunError(
                f"{job.id} was not run: {job.unmet}", hint="jobctl check tries what is configured"
            )
        self._register([id])
        engine = self._running_engine()
        answer = engine.ask(lambda: engine.trigger(job, trigger, arguments or {}, timeout))
        if isinstance(answer, Overlap):
            raise already_running(id, answer.running, self._clock)
        if not isinstance(answer, Claimed):  # a forced claim has no slot that could be taken
            raise TypeError(f"unexpected answer {answer!r}")
        return answer.run

    def wait(self, run_id: str, timeout: float | None = None) -> Run:
        """The run once it has ended and is recorded.

        Args:
            run_id: a run that this manager started.
            timeout: in seconds; None waits for ever.

        Raises:
            TimeoutError: it has not ended by then.
        """
        engine = self._engine
        found = engine.finished.wait(run_id, 0) if engine else None
        if found is None and not (engine is not None and engine.has(run_id)):
            kept = self.store.run(run_id)
            found = kept if kept is not None and kept.status is not RunStatus.RUNNING else None
        if found is None and engine is not None:
            found = engine.finished.wait(run_id, timeout)
            if found is None and engine.trouble is not None:
                raise engine.trouble
        if found is None:
            raise TimeoutError(f"run {run_id} has not ended")
        return found

    def end_run(self, run_id: str) -> None:
        """End a run that this manager started, as timed out; it is not tried again. ``wait`` gives its end."""
        engine = self._engine
        if engine is not None:
            engine.ask(lambda: engine.end_run(run_id))

    def renew_workers(self) -> None:
        """Have each run that begins from now on import its code anew. A run in progress goes on."""
        engine = self._engine
        if engine is not None:
            engine.ask(engine.renew_workers)

    # Life

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
                self._schedule(self._jobs.values())
            except BaseException:
                self._scheduling = False
                raise
            self.bus.publish(SchedulerStarted(self._clock.now(), len(self._jobs), self._workers))

    def shutdown(self, grace: timedelta | None = None) -> int:
        """Start nothing new, give what runs time to end, then end it with its children.

        From any thread; where several call it, each waits for the end.

        Args:
            grace: instead of the manager's own.

        Returns:
            How many runs had to be ended.
        """
        with self._ending:
            with self._lock:
                engine, chores = self._engine, self._chores
                self._scheduling = False
            if engine is None:
                return 0
            if chores is not None:
                chores.stop()
            engine.stop(self._grace if grace is None else grace)
            engine.ended.wait()
            with self._lock:
                self._engine = self._chores = None
            if engine.trouble is not None:
                raise engine.trouble
            return engine.interrupted

    def end_now(self) -> None:
        """End every run at once; ``shutdown`` then returns soon. Safe in a signal handler."""
        engine = self._engine
        if engine is not None:
            engine.end_now()

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Wait for the scheduler's end, by ``shutdown`` or trouble; False after ``timeout`` seconds."""
        engine = self._engine
        return engine is None or engine.ended.wait(timeout)

    def after_fork(self) -> None:
        """In a child: what schedules and runs is the parent's, and so are its locks, held or not."""
        self._lock = threading.RLock()
        self._ending = threading.Lock()
        engine, self._engine, self._chores = self._engine, None, None
        self._scheduling = False
        if engine is not None:
            engine.after_fork()

    # Inside

    def _define(self, job: Job) -> None:
        self.add([job])
        if self._autostart:
            self.start()

    def _stop(self, ids: Sequence[str]) -> None:
        super()._stop(ids)
        engine = self._engine
        if engine is not None and self._scheduling:
            engine.ask(lambda: engine.displace(ids))

    def _schedule(self, jobs: Iterable[Job]) -> None:
        engine = self._running_engine()
        chosen = list(jobs)
        engine.ask(lambda: self._place(engine, chosen))

    def _place(self, engine: "Engine", chosen: Sequence[Job]) -> None:
        """Register jobs, and put them on the agenda where this process schedules. In the loop's thread."""
        records = self._register([job.id for job in chosen])
        if not self._scheduling:
            return
        ahead = ahead_of(chosen, records)
        engine.watch.look_back()
        plan: dict[str, datetime | None] = {}
        for job in chosen:
            record = records[job.id]
            if job.schedule is None or not job.enabled or job.unmet is not None:
                engine.displace([job.id], for_good=True)
                plan[job.id] = None
            elif record.stopped is not None:
                engine.displace([job.id])
                plan[job.id] = None
            else:
                placed = engine.place(job, record.anchor, record.cursor, ahead.get(job.id, ()))
                plan[job.id] = placed.due
        self.store.save_next_runs(plan, engine.owner_id)

    def _put_back(self) -> None:
        """Jobs that another process has put back on their schedules go on here too."""
        engine = self._engine
        if engine is None or not self._scheduling or not engine.off:
            return
        token = self.store.change_token()
        if token == self._seen:
            return
        self._seen = token
        with self._lock:
            records = {one: self.store.job(one) for one in sorted(engine.off) if one in self._jobs}
            back = [self._jobs[one] for one, record in records.items() if record and record.stopped is None]
            if back and self._scheduling:
                self._schedule(back)

    def _running_engine(self) -> "Engine":
        with self._lock:
            if self._engine is None:
                try:
                    self._engine, self._chores = self._make_engine()
                except OSError as error:
                    raise JobctlError(
                        f"the scheduler cannot be started: {reason_of(error)}",
                        hint="raise the limit of open files (ulimit -n)" if error.errno == EMFILE else None,
                    ) from None
                self.on_start()
            return self._engine

    def _make_engine(self) -> "tuple[Engine, Chores]":
        from jobctl.execution.executors import make_executor
        from jobctl.scheduler.lease import Lease
        from jobctl.scheduler.liveness import rescue_once
        from jobctl.scheduler.maintenance import Chores
        from jobctl.scheduler.scheduler import Engine

        for run in rescue_once(self.store, self._state, self._clock):
            self.bus.publish(RunFinished(run))
        executor = make_executor(
            workers=self._workers,
            project=self._project,
            environment=self._environment,
            owner_id="",
            logs=self._state / FOLDER,
            most_logs=self._most_logs,
            mask=self._mask,
            clock=self._clock,
            permitted=lambda: lease.holds,
        )
        lease = Lease(
            self.store,
            self.kind,
            self._state,
            self._clock,
            extended=executor.extend,
            ended=lambda: executor.end_all(Reason.LOST),
        )
        engine = Engine(self.store, lease, executor, self.bus, self._clock)
        engine.pulse = self.pulse
        engine.register = lambda: self._place(engine, list(self._jobs.values()))
        chores = Chores(
            self.store,
            lease,
            self._state,
            self._clock,
            lost=lambda run: self.bus.publish(RunFinished(run)),
            put_back=self._put_back,
            alone=lambda: engine.ask(engine.look_back),
            failed=lambda error: engine.stop(timedelta(0), error),
        )
        try:
            executor.renew(lease.sign_on().id)
            engine.start()
            lease.start()
            chores.start()
        except BaseException:
            engine.stop(timedelta(0))
            engine.abandon()
            raise
        return engine, chores
