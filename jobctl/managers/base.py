"""What every manager has: job definitions, start and end."""

import logging
import os
import threading
import weakref
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jobctl.clock import Clock
from jobctl.durations import format_duration
from jobctl.errors import AlreadyRunningError, UsageError
from jobctl.model import Command, Job, Run, Schedule, Target, Trigger
from jobctl.signals import Stop
from jobctl.store.records import Registration
from jobctl.text import ID_HINT, is_job_id, quote

if TYPE_CHECKING:
    from collections.abc import Callable


class Lifecycle:
    """Start and end, the same for every manager.

    Args:
        idle: why this manager schedules nothing in this process; None where it does.

    Attributes:
        begun: called in the thread that starts the scheduler, each time.
    """

    def __init__(self, idle: str | None = None) -> None:
        self.idle = idle
        self.begun: Callable[[], None] = lambda: None
        _MADE.add(self)

    def start(self) -> None:
        """Begin to schedule. A second call, or one where nothing is scheduled here, changes nothing."""

    def shutdown(self, grace: timedelta | None = None) -> int:
        """Start nothing new, and end what runs here.

        Args:
            grace: how long runs may take to end by themselves.

        Returns:
            How many runs had to be ended.
        """
        del grace
        return 0

    def end_now(self) -> None:
        """End every run at once; ``shutdown`` then returns soon. Safe in a signal handler."""

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Wait for the scheduler's end; False where it goes on after ``timeout`` seconds."""
        del timeout
        return True

    def after_fork(self) -> None:
        """In a forked child: let go of what is the parent's."""

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

        self.begun()  # in this thread, which may be the main one
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.shutdown)


_MADE: weakref.WeakSet[Lifecycle] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for one in list(_MADE):
        one.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


def define(job_id: str, name: str, target: Target, schedule: Schedule) -> Job:
    """A job of the application's own.

    A function that a worker process can import by name is kept as that name, so that it runs
    there; any other runs in a thread of this process.

    Raises:
        UsageError: a bad id, or a target that is no function, import text or command.
    """
    if isinstance(target, str):
        module, colon, function = target.partition(":")
        if not (colon and module and function):
            raise UsageError(f"{quote(target)} is not an import text", hint="write package.module:function")
    elif callable(target):
        from jobctl.execution.executors import importable

        target = importable(target) or target
    elif not isinstance(target, Command):
        raise UsageError(f"a job is a function or an import text, not {type(target).__name__}")
    if not is_job_id(job_id):
        raise UsageError(f"{quote(job_id)} is not a job id", hint=ID_HINT)
    return Job(job_id, name or job_id, schedule, target)


def registration(job: Job) -> Registration:
    """The job as it is announced to the run store."""
    schedule = job.schedule
    return Registration(
        job.id, job.name, schedule.text if schedule else "", schedule.timezone if schedule else "UTC"
    )


def already_running(job_id: str, run: Run, clock: Clock) -> AlreadyRunningError:
    """Says which run holds the job, since when, where, and who asked for it."""
    since = format_duration(clock.now() - run.started_at)
    place = f", pid {run.pid} on {run.host}" if run.pid else f" on {run.host}"
    how = {Trigger.SCHEDULE: "by its schedule", Trigger.MANUAL: "manually"}.get(run.trigger, "by a request")
    beside = "" if run.job_id == job_id else f"{job_id} must not run beside it: "
    return AlreadyRunningError(
        f"{beside}{run.job_id} is already running for {since}, started {how} (run {run.short_id}{place});"
        " nothing was started",
        hint=f"follow it with: jobctl logs {run.job_id} --follow",
    )
