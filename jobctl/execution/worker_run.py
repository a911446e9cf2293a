"""The run context in a worker: made when a job asks for it."""

import json
import os
from datetime import UTC, datetime, timedelta

from jobctl.clock import from_ms
from jobctl.execution.messages import ASKS, ASKS_SLOT, NO_SLOT, PROGRESS, Description
from jobctl.model import Progress, Trigger
from jobctl.run_context import Controls, RunContext


class WorkerControls(Controls):
    """Reports to the pool.

    Args:
        number: of the task.
        result: the pipe for reports. A line is short enough to be written whole, by any thread.

    Attributes:
        is_asked_to_end: the pool has asked the task to end.
        has_ended: the task has: what a thread that it has left reports then, belongs to no run.
    """

    def __init__(self, number: int, result: int) -> None:
        super().__init__()
        self._number = number
        self._result = result
        self._asks = False
        self.is_asked_to_end = self.has_ended = False

    @property
    def cancelled(self) -> bool:  # type: ignore[override]
        """Whether the pool has asked the task to end. The pool learns that the job wants to know."""
        if not self._asks:
            self._asks = True
            self._write(b"%s%d\n" % (ASKS, self._number))
        return self.is_asked_to_end

    def report(self, progress: Progress) -> None:
        """Send it to the pool."""
        data = json.dumps([progress.done, progress.total, progress.note]).encode()
        self._write(b"%s%d %s\n" % (PROGRESS, self._number, data))

    def ask_slot(self) -> None:
        """Ask the pool."""
        self._write(b"%s%d\n" % (ASKS_SLOT, self._number))

    def hear_slot(self, slot: int) -> None:
        """The pool's answer: milliseconds since 1970 UTC, or ``NO_SLOT``."""
        self.answer_slot(None if slot == NO_SLOT else from_ms(slot))

    def _write(self, line: bytes) -> None:
        if not self.has_ended:
            os.write(self._result, line)


def make_context(
    task: Description, run_id: str, slot: int, began: float, controls: WorkerControls
) -> RunContext:
    """The context of a task.

    Args:
        slot: in milliseconds since 1970 UTC, or ``NO_SLOT``.
        began: the time of day, in seconds since 1970.
    """
    return RunContext(
        run_id,
        task.job_id,
        Trigger(task.trigger),
        None if slot == NO_SLOT else from_ms(slot),
        task.attempt,
        task.attempts,
        datetime.fromtimestamp(began, UTC) + timedelta(seconds=task.timeout),
        task.arguments,
        controls,
    )
