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
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast

from jobctl import threads
from jobctl.clock import Clock
from jobctl.durations import write_duration
from jobctl.execution.calling import call
from jobctl.execution.output import shown_error
from jobctl.execution.tasks import Outcome, Task, TaskFinished, TaskStarted
from jobctl.model import Reason
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
