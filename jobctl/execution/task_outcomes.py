"""What becomes of tasks: turns what workers report into outcomes and log lines."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jobctl.clock import Clock
from jobctl.durations import write_duration
from jobctl.execution.log_shipping import LogShipper
from jobctl.execution.messages import CallResult
from jobctl.execution.run_log import RunLog, shown_error
from jobctl.execution.tasks import (
    Outcome,
    Task,
    TaskAsksSlot,
    TaskFinished,
    TaskOutput,
    TaskProgressed,
    TaskStarted,
)
from jobctl.model import Progress, Reason
from jobctl.settings.masking import Mask
from jobctl.store.logs import LogLimit
from jobctl.text import printable


class Attempt:
    """A task that has begun. ``began`` and ``deadline`` are of the steady clock, in seconds.

    Attributes:
        log: None until it prints: most print nothing.
        asks: its job wants to know when it is asked to end.
        is_asked: it was asked.
    """

    __slots__ = ("asks", "at", "began", "deadline", "is_asked", "log", "number", "task")

    def __init__(self, number: int, task: Task, began: float, at: datetime) -> None:
        self.number = number
        self.task = task
        self.began = began
        self.at = at
        self.deadline = began + task.timeout.total_seconds()
        self.log: RunLog | None = None
        self.asks = self.is_asked = False


class Outcomes:
    """What happened to tasks since the last ``take``, in order; writes their logs on the way."""

    def __init__(
        self, logs: Path, most_logs: int, mask: Mask, clock: Clock, shipper: LogShipper | None = None
    ) -> None:
        self._logs = logs
        self._log_limit = LogLimit(logs, most_logs)
        self._mask = mask
        self._clock = clock
        self._shipper = shipper
        self._outcomes: list[Outcome] = []
        self.synchronize()

    def __bool__(self) -> bool:
        return bool(self._outcomes)

    def take(self) -> list[Outcome]:
        """All of them; they are then forgotten."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def synchronize(self) -> None:
        """Read the clocks, by which times of the steady clock become times of the wall clock until the next call."""
        self._wall_time, self._steady_time = self._clock.now(), self._clock.monotonic()

    def started(self, number: int, task: Task, pid: int, began: float) -> Attempt:
        """A worker has begun a task."""
        attempt = Attempt(number, task, began, self._wall(began))
        self._outcomes.append(TaskStarted(task.run_id, pid, attempt.at))
        return attempt

    def progressed(self, attempt: Attempt, progress: Progress) -> None:
        """A task has reported how far it is."""
        shown = replace(progress, note=printable(self._mask(progress.note)))
        self._outcomes.append(TaskProgressed(attempt.task.run_id, shown))

    def asks_slot(self, attempt: Attempt) -> None:
        """A task wants to know the slot before its own."""
        self._outcomes.append(TaskAsksSlot(attempt.task.run_id))

    def printed(self, attempt: Attempt, data: bytes) -> None:
        """A task has printed."""
        if data:
            log = self._log(attempt)
            self._lines(attempt.task, log.feed(data, self._clock.now()))
            self._note_written(attempt, log)

    def finished(self, attempt: Attempt, pid: int, *, at: float, took: float, ending: CallResult) -> None:
        """A task has ended, with all its processes.

        Args:
            at: when, by the steady clock, in seconds.
            took: how long its function or program took, in seconds.
        """
        task = attempt.task
        reason = None if ending.reason is None else Reason(ending.reason)
        if reason not in {None, Reason.ERROR} and ending.error:
            self._lines(task, self._log(attempt).add(ending.error, self._clock.now()))
        if attempt.log is not None:
            self._lines(task, attempt.log.close(self._clock.now()))
            self._log_limit.add(task.job_id, task.run_id, attempt.log.written)
            self._note_written(attempt, attempt.log)
            if self._shipper is not None:
                self._shipper.ended(task.run_id, task.attempt)
        self._outcomes.append(
            TaskFinished(
                task.run_id,
                pid,
                attempt.at,
                self._wall(at),
                timedelta(seconds=took),
                reason,
                None if ending.error is None else shown_error(ending.error, self._mask),
                None if ending.result is None else self._mask.value(ending.result),
                ending.retry,
            )
        )

    def not_started(
        self, task: Task, reason: Reason, error: str | None = None, *, retry: bool = True
    ) -> None:
        """A task ends without having run."""
        now = self._clock.now()
        shown = shown_error(error or end_of(task, reason), self._mask)
        self._outcomes.append(
            TaskFinished(task.run_id, None, now, now, timedelta(0), reason, shown, retry=retry)
        )

    def masked(self, value: Any) -> Any:
        """A JSON value without secrets."""
        return self._mask.value(value)

    def last_line(self, data: bytes) -> str:
        """The end of the last line of an output, printable and without secrets."""
        return printable(self._mask(data.decode("utf-8", "replace")).strip().rpartition("\n")[2][-500:])

    def _log(self, attempt: Attempt) -> RunLog:
        if attempt.log is None:
            task = attempt.task
            attempt.log = RunLog(self._logs, task.job_id, task.run_id, self._mask, task.attempt)
        return attempt.log

    def _note_written(self, attempt: Attempt, log: RunLog) -> None:
        if self._shipper is not None and log.written:
            self._shipper.written(attempt.task.job_id, attempt.task.run_id, attempt.task.attempt)

    def _lines(self, task: Task, lines: Sequence[str]) -> None:
        if lines:
            self._outcomes.append(TaskOutput(task.run_id, task.job_id, self._clock.now(), lines))

    def _wall(self, steady: float) -> datetime:
        """A time of the steady clock, which all processes of a machine share, on the wall clock."""
        return self._wall_time + timedelta(seconds=steady - self._steady_time)


def end_of(task: Task, reason: Reason, worker_end: str = "ended") -> str:
    """Why a task was ended from outside, for people."""
    if reason is Reason.TIMEOUT:
        return f"timed out after {write_duration(task.timeout)}"
    if reason is Reason.LOST:
        return "ended, because its scheduler lost its registration in the run store, or contact with it"
    if reason is Reason.CANCELLED:
        return "cancelled before it had finished"
    if reason is Reason.INTERRUPTED:
        return "interrupted: it was ended before it had finished"
    return f"the worker {worker_end} before the job returned"
