"""Functions that no worker process can import: they run in threads of this process.

What a thread cannot promise: it cannot be ended, so a run that is over its timeout stays unfinished
until the function returns, and fails then; a stop that cannot wait any longer records it as
interrupted while it may go on until the process ends, which raises ``SystemExit`` in it. Its prints go
where the process's go, not into the run's log. A crash of the interpreter takes the scheduler with it.
"""

import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from jobctl import threads
from jobctl.clock import Clock
from jobctl.durations import write_duration
from jobctl.execution.calling import call
from jobctl.execution.pool import WorkerPool
from jobctl.execution.run_log import shown_error
from jobctl.execution.tasks import Executor, Outcome, Task, TaskFinished, TaskStarted
from jobctl.model import Command, Reason
from jobctl.settings.masking import Mask


def importable(function: Any) -> str | None:
    """The import text that leads a worker process to this very function, or None."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name:
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is function else None


class ThreadExecutor:
    """Runs each task in a daemon thread of its own."""

    def __init__(self, wake: Callable[[], None], clock: Clock, mask: Mask | None = None) -> None:
        self._wake = wake
        self._clock = clock
        self._mask = mask or Mask()
        self._outcomes: deque[Outcome] = deque()
        self._busy: dict[str, None] = {}

    def submit(self, tasks: Sequence[Task]) -> None:
        """Begin each at once."""
        for task in tasks:
            self._busy[task.run_id] = None
            thread = threading.Thread(
                target=self._run, args=(task,), name=f"jobctl-{task.job_id}", daemon=True
            )
            try:
                threads.start(thread)
            except threads.NoThreadError as error:
                reason = Reason.INTERRUPTED if error.at_exit else Reason.CRASHED
                now = self._clock.now()
                self._outcomes.append(
                    TaskFinished(task.run_id, None, now, now, timedelta(0), reason, str(error))
                )
                self._wake()
            else:
                _RUNNING.add(thread)

    def poll(self) -> Sequence[Outcome]:
        """What happened since the last look, without waiting."""
        found = []
        while self._outcomes:
            outcome = self._outcomes.popleft()
            if outcome.run_id not in self._busy:
                continue  # given up before it returned
            if isinstance(outcome, TaskFinished):
                del self._busy[outcome.run_id]
            found.append(outcome)
        return found

    def busy(self) -> Sequence[str]:
        """Run ids that have not finished."""
        return list(self._busy)

    def end(self, run_ids: Sequence[str], reason: Reason) -> None:
        """Give up waiting: a thread cannot be ended."""
        now = self._clock.now()
        for run_id in run_ids:
            if run_id in self._busy:
                error = "given up while it ran: a thread cannot be ended"
                self._outcomes.append(TaskFinished(run_id, None, now, now, timedelta(0), reason, error))

    def _run(self, task: Task) -> None:
        began, start = self._clock.now(), self._clock.monotonic()
        self._outcomes.append(TaskStarted(task.run_id, os.getpid(), began))
        ending = call(cast("Callable[..., Any]", task.target), task.arguments, trace=False)
        reason = Reason.ERROR if ending["reason"] else None
        error = None if ending["error"] is None else shown_error(ending["error"], self._mask)
        took = timedelta(seconds=self._clock.monotonic() - start)
        if took > task.timeout:
            reason, error = Reason.TIMEOUT, f"took longer than {write_duration(task.timeout)}"
        self._outcomes.append(
            TaskFinished(
                task.run_id,
                os.getpid(),
                began,
                self._clock.now(),
                took,
                reason,
                error,
                self._mask.value(ending["result"]),
                ending["retry"],
            )
        )
        self._wake()


_RUNNING: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def end_threads(timeout: float) -> None:
    """Raise ``SystemExit`` in the jobs that still run, as the interpreter is about to end, and wait for them.

    One that prints at that moment would crash the interpreter, which cannot take the lock of standard output.

    Args:
        timeout: in seconds, for all of them.
    """
    running = [one for one in list(_RUNNING) if one.is_alive()]
    if not running:
        return
    import ctypes

    for thread in running:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
        )
    end = time.monotonic() + timeout
    for thread in running:
        thread.join(max(0.0, end - time.monotonic()))


class Executors:
    """Hands each task to where it can run. The pool's ``poll`` is the one place that waits."""

    def __init__(self, pool: WorkerPool, threads: ThreadExecutor) -> None:
        self._pool = pool
        self._threads = threads

    def capacity(self, *, quick: bool) -> int:
        """What the workers have room for; a thread always has."""
        return self._pool.capacity(quick=quick)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand over tasks."""
        by_name = [task for task in tasks if isinstance(task.target, str | Command)]
        if by_name:
            self._pool.submit(by_name)
        if len(by_name) < len(tasks):
            self._threads.submit([task for task in tasks if not isinstance(task.target, str | Command)])

    def poll(self, timeout: float) -> Sequence[Outcome]:
        """Wait up to ``timeout`` seconds for outcomes of either or ``wake``."""
        outcomes = self._pool.poll(timeout)
        return [*outcomes, *self._threads.poll()]

    def wake(self) -> None:
        """Make ``poll`` return now."""
        self._pool.wake()

    def busy(self) -> Sequence[str]:
        """Run ids handed over and not finished."""
        return [*self._pool.busy(), *self._threads.busy()]

    def end(self, run_ids: Sequence[str], reason: Reason, *, now: bool = False) -> None:
        """End these tasks, as far as a thread can be ended: it cannot."""
        self._pool.end(run_ids, reason, now=now)
        self._threads.end(run_ids, reason)

    def end_all(self, reason: Reason) -> None:
        """Kill what runs in workers; a thread cannot be killed."""
        self._pool.end_all(reason)

    def extend(self, deadline: float | None) -> None:
        """Let workers live until then."""
        self._pool.extend(deadline)

    def renew(self, owner_id: str) -> None:
        """Have new workers; what runs in threads is of this process."""
        self._pool.renew(owner_id)

    def close(self) -> None:
        """End every worker at once."""
        self._pool.close()

    def after_fork(self) -> None:
        """In a forked child: let go of the parent's workers; its threads are not here."""
        self._pool.after_fork()


def make_executor(
    *,
    workers: int,
    project: Path,
    environment: Mapping[str, str],
    owner_id: str,
    logs: Path,
    most_logs: int,
    mask: Mask,
    clock: Clock,
    permitted: Callable[[], bool],
) -> Executor:
    """The executor of a local manager; see ``WorkerPool`` for what it takes."""
    pool = WorkerPool(
        workers=workers,
        project=project,
        environment=environment,
        owner_id=owner_id,
        logs=logs,
        most_logs=most_logs,
        mask=mask,
        clock=clock,
        permitted=permitted,
    )
    return Executors(pool, ThreadExecutor(wake=pool.wake, clock=clock, mask=mask))
