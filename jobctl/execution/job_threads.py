"""Threads for functions that no worker process can import, beside the worker pool for everything else.

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
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from jobctl import thread_start
from jobctl.clock import Clock
from jobctl.durations import write_duration
from jobctl.execution.calling import call
from jobctl.execution.pool import WorkerPool
from jobctl.execution.run_log import shown_error
from jobctl.execution.tasks import Outcome, Task, TaskAsksSlot, TaskFinished, TaskProgressed, TaskStarted
from jobctl.model import Progress, Reason
from jobctl.run_context import Controls, RunContext, running
from jobctl.settings.masking import Mask
from jobctl.text import printable


def importable(function: Any) -> str | None:
    """The import path that leads a worker process to this very function, or None."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name:
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is function else None


class _ThreadControls(Controls):
    """The connection of a run to the loop of this process."""

    def __init__(self, run_id: str, put: Callable[[Outcome], None]) -> None:
        super().__init__()
        self._run_id = run_id
        self._put = put

    def report(self, progress: Progress) -> None:
        """Pass it on."""
        self._put(TaskProgressed(self._run_id, progress))

    def ask_slot(self) -> None:
        """Ask the loop."""
        self._put(TaskAsksSlot(self._run_id))


class JobThreads:
    """Runs each task in a daemon thread of its own."""

    def __init__(self, wake: Callable[[], None], clock: Clock, mask: Mask) -> None:
        self._wake = wake
        self._clock = clock
        self._mask = mask
        self._outcomes: deque[Outcome] = deque()
        self._busy: dict[str, _ThreadControls] = {}

    def submit(self, tasks: Sequence[Task]) -> None:
        """Start each task at once."""
        for task in tasks:
            self._busy[task.run_id] = _ThreadControls(task.run_id, self._put)
            thread = threading.Thread(
                target=self._run, args=(task,), name=f"jobctl-{task.job_id}", daemon=True
            )
            try:
                thread_start.start(thread)
            except thread_start.NoThreadError as error:
                self._fail(task.run_id, Reason.INTERRUPTED if error.at_exit else Reason.CRASHED, str(error))
                self._wake()
            else:
                _RUNNING.add(thread)

    def poll(self) -> Sequence[Outcome]:
        """Outcomes since the last call, without waiting."""
        found = []
        while self._outcomes:
            outcome = self._outcomes.popleft()
            if outcome.run_id not in self._busy:
                continue  # abandoned before it returned
            if isinstance(outcome, TaskFinished):
                del self._busy[outcome.run_id]
            found.append(outcome)
        return found

    def end(self, run_ids: Sequence[str], reason: Reason) -> None:
        """Stop waiting for tasks: a thread cannot be ended."""
        for run_id in self._busy.keys() & set(run_ids):
            self._busy[run_id].cancelled = True
            self._fail(run_id, reason, "abandoned while it ran: a thread cannot be ended")

    def ask_to_end(self) -> None:
        """Make ``current_run().cancelled`` true in every task."""
        for controls in self._busy.values():
            controls.cancelled = True

    def answer_slot(self, run_id: str, slot: datetime | None) -> None:
        """Answer a ``TaskAsksSlot``."""
        if (controls := self._busy.get(run_id)) is not None:
            controls.answer_slot(slot)

    def _put(self, outcome: Outcome) -> None:
        if isinstance(outcome, TaskProgressed):
            note = printable(self._mask(outcome.progress.note))
            outcome = replace(outcome, progress=replace(outcome.progress, note=note))
        self._outcomes.append(outcome)
        self._wake()

    def _fail(self, run_id: str, reason: Reason, error: str) -> None:
        now = self._clock.now()
        self._outcomes.append(TaskFinished(run_id, None, now, now, timedelta(0), reason, error))

    def _run(self, task: Task) -> None:
        began, start = self._clock.now(), self._clock.monotonic()
        self._outcomes.append(TaskStarted(task.run_id, os.getpid(), began))
        run = RunContext(
            task.run_id,
            task.job_id,
            task.trigger,
            task.slot,
            task.attempt,
            task.attempts,
            began + task.timeout,
            task.arguments,
            self._busy[task.run_id],
        )
        with running(run):
            ending = call(cast("Callable[..., Any]", task.target), task.arguments, trace=False)
        reason = Reason.ERROR if ending.reason else None
        error = None if ending.error is None else shown_error(ending.error, self._mask)
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
                self._mask.value(ending.result),
                ending.retry,
            )
        )
        self._wake()


class LocalPool(WorkerPool):
    """A worker pool that runs in threads what no worker can import. ``poll`` is the one place that waits."""

    def __init__(self, *, mask: Mask, clock: Clock, **options: Any) -> None:
        """See ``WorkerPool`` for the options."""
        super().__init__(mask=mask, clock=clock, **options)
        self._threads = JobThreads(self.wake, clock, mask)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Accept tasks; a thread starts at once, whatever the capacity."""
        for_threads = [task for task in tasks if callable(task.target)]
        if for_threads:
            self._threads.submit(for_threads)
            tasks = [task for task in tasks if not callable(task.target)]
        if tasks:
            super().submit(tasks)

    def poll(self, timeout: float) -> Sequence[Outcome]:
        """Wait for outcomes of either, at most ``timeout`` seconds."""
        return [*super().poll(timeout), *self._threads.poll()]

    def end(self, run_ids: Sequence[str], reason: Reason, *, now: bool = False) -> None:
        """End these tasks, as far as a thread can be ended: it cannot."""
        super().end(run_ids, reason, now=now)
        self._threads.end(run_ids, reason)

    def ask_to_end(self) -> None:
        """Ask every task to end by itself."""
        super().ask_to_end()
        self._threads.ask_to_end()

    def answer_slot(self, run_id: str, slot: datetime | None) -> None:
        """Answer a ``TaskAsksSlot``."""
        super().answer_slot(run_id, slot)
        self._threads.answer_slot(run_id, slot)


_RUNNING: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def end_threads(timeout: float) -> None:
    """Raise ``SystemExit`` in the jobs that still run, as the interpreter is about to end, and wait for them.

    One that prints at that moment would crash the interpreter, which cannot take the lock of standard output.

    Args:
        timeout: in seconds, for all of them.
    """
    running = [thread for thread in list(_RUNNING) if thread.is_alive()]
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
