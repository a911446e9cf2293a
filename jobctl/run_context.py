"""``current_run()``: what a run knows of itself, and what it reports of its progress."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from datetime import datetime
from math import inf, isfinite, nan
from typing import Any

from jobctl import run_of_process
from jobctl.errors import StoreError, UsageError
from jobctl.model import Progress, Trigger
from jobctl.value_class import value

ANSWER_S = 30.0
"""Seconds to wait for an answer of the scheduler."""
REPORT_S = 0.1
"""Seconds between two reports of progress, at least; the last one is never left out."""
LONGEST_NOTE = 200
_MAKING = threading.Lock()


class Controls:
    """The connection of a run to the process that has started it; this one has none.

    Attributes:
        cancelled: see ``RunContext``.
    """

    cancelled: bool = False

    def __init__(self) -> None:
        self._reported_at = -REPORT_S
        self._kept_back: Progress | None = None
        self._answered: threading.Event | None = None  # made when asked: it takes longer than all the rest
        self._previous_slot: datetime | None = None

    def progress(self, progress: Progress) -> None:
        """Report it, or keep it back for a while."""
        self._kept_back = progress
        if time.monotonic() - self._reported_at >= REPORT_S:
            self.report_last()

    def report_last(self) -> None:
        """Report what was kept back."""
        if self._kept_back is not None:
            self._reported_at = time.monotonic()
            progress, self._kept_back = self._kept_back, None
            self.report(progress)

    def report(self, progress: Progress) -> None:
        """Report it now."""

    def find_previous_slot(self) -> datetime | None:
        """See ``RunContext.previous_slot``."""
        answered = self._event()
        if not answered.is_set():
            self.ask_slot()
            if not answered.wait(ANSWER_S):
                raise StoreError("the scheduler did not say which slot completed before this one")
        return self._previous_slot

    def ask_slot(self) -> None:
        """Ask for the previous slot; ``answer_slot`` is called with it, by any thread."""
        self.answer_slot(None)

    def answer_slot(self, slot: datetime | None) -> None:
        """The answer."""
        self._previous_slot = slot
        self._event().set()

    def _event(self) -> threading.Event:
        with _MAKING:
            made = self._answered = self._answered or threading.Event()
        return made


@value
class RunContext:
    """What a run knows of itself. Times are aware, in UTC.

    Attributes:
        trigger: what started the run.
        slot: the due time that it runs for; None for a manual run.
        attempt: the current attempt, from 1.
        attempts: how many there may be.
        deadline: when the timeout ends this attempt.
        arguments: as JSON values.
    """

    run_id: str
    job_id: str
    trigger: Trigger
    slot: datetime | None
    attempt: int
    attempts: int
    deadline: datetime
    arguments: Mapping[str, Any]
    controls: Controls = field(default_factory=Controls, repr=False, compare=False)

    @property
    def dry_run(self) -> bool:
        """Whether the run shall only show what it would do: its argument ``dry_run``."""
        return self.arguments.get("dry_run") is True

    @property
    def cancelled(self) -> bool:
        """Whether a person, or the end of the scheduler, has asked the run to end. After a grace time it is ended."""
        return self.controls.cancelled

    @property
    def previous_slot(self) -> datetime | None:
        """The newest due time before ``slot`` whose run has completed; None where there is none, or no slot.

        Raises:
            StoreError: the scheduler did not answer.
        """
        return None if self.slot is None else self.controls.find_previous_slot()

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Report how far the run is. It is kept with the run and shown by ``status``, ``run`` and over HTTP.

        Cheap: of many calls in a tenth of a second the last one counts.

        Args:
            done: how much is done, in units of the job's choice.
            total: of how much; None where that is not known.
            note: what it does now; one line of at most 200 characters.

        Raises:
            UsageError: a number is negative or infinite, or it is no number.
        """
        line = " ".join(str(note).split())
        whole = None if total is None else _number(total)
        self.controls.progress(Progress(_number(done), whole, line[:LONGEST_NOTE]))


def _number(given: Any) -> float:
    """A number that JSON has; those of other types, as of ``decimal`` or NumPy, are converted."""
    try:
        number = nan if isinstance(given, str) else float(given)
    except OverflowError:
        number = inf
    except (TypeError, ValueError):
        number = nan
    if not (isfinite(number) and number >= 0):
        shown = number if isinstance(given, int) else given  # Python may refuse to show all digits
        raise UsageError(f"progress takes numbers from 0, not {shown!r}")
    return given if type(given) is int else number


_RUN: ContextVar[RunContext] = ContextVar("jobctl_run")


def run_if_any() -> RunContext | None:
    """``current_run()``; None outside a run."""
    found = _RUN.get(None)
    if found is None and run_of_process.find is not None:  # threads of a job do not have its variables
        found = run_of_process.find()
    return found


def progress_if_any(done: float, total: float | None = None, note: str = "") -> None:
    """Report how far the run is; nothing outside a run."""
    if (run := run_if_any()) is not None:
        run.progress(done, total, note)


def current_run() -> RunContext:
    """What the run that calls this knows of itself. It works in threads and tasks of the job, too.

    Raises:
        UsageError: no run calls this.
    """
    found = run_if_any()
    if found is None:
        raise UsageError(
            "current_run() was called outside a run",
            hint="in a test, call the job in: with jobctl.testing.running(): …",
        )
    return found


@contextmanager
def running(run: RunContext) -> Iterator[None]:
    """In it, ``current_run()`` is this run."""
    token = _RUN.set(run)
    try:
        yield
    finally:
        _RUN.reset(token)
        run.controls.report_last()
