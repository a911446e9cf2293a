"""Ships the logs of runs to the run store, out of their files, in a thread of its own."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from jobctl import thread_start
from jobctl.clock import Clock
from jobctl.errors import StoreError
from jobctl.files import folder_below, open_below
from jobctl.store.base import RunStore
from jobctl.store.logs import FOLDER, EveryTenth, read
from jobctl.store.stored_logs import LogEnd, LogPiece, StoredLogs

_PAUSE_S = 1.0
_AGAIN_S = 5.0
_TAKE_OVER_S = 60.0
_CLOSE_S = 3.0
_PIECE = 64 * 1024
_TOGETHER = 16
"""Logs of which a piece is sent in one transaction."""


def make_shipper(store: RunStore, state: Path, most_logs: int, clock: Clock) -> "LogShipper | None":
    """A shipper of the logs in a state folder; None where the store keeps no logs."""
    stored = store.stored_logs
    return None if stored is None else LogShipper(stored, state / FOLDER, most_logs, clock)


class UnsentLogs:
    """The runs whose logs are not wholly in the run store, as empty files ``<state>/unsent-logs/<run-id>.<job-id>``.

    A process that ends before all is sent leaves them; another of the machine sends the rest.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._folder = ("unsent-logs",)

    def add(self, job_id: str, run_id: str) -> None:
        """Remember a run, where that is possible."""
        with suppress(OSError):
            os.close(open_below(self._state, self._folder, f"{run_id}.{job_id}", os.O_WRONLY))

    def remove(self, job_id: str, run_id: str) -> None:
        """Forget a run."""
        with suppress(OSError), folder_below(self._state, self._folder) as folder:
            os.unlink(f"{run_id}.{job_id}", dir_fd=folder)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Job id and run id of each."""
        names: list[str] = []
        with (
            suppress(OSError),
            folder_below(self._state, self._folder) as folder,
            os.scandir(folder) as entries,
        ):
            names = [entry.name for entry in entries]
        for name in names:
            run_id, _, job_id = name.partition(".")
            yield job_id, run_id


class _Shipped:
    """A log that is not wholly in the store.

    Attributes:
        position: how much of it the store has, in bytes; None: not known.
        notes: how often it was noted that the file has grown.
        sent: the value of ``notes`` before the file was last read to its end.
        attempt: the number of the attempt that has ended; None: it may print more.
    """

    __slots__ = ("attempt", "job_id", "notes", "position", "run_id", "sent")

    def __init__(self, job_id: str, run_id: str, position: int | None) -> None:
        self.job_id = job_id
        self.run_id = run_id
        self.position = position
        self.notes = 1
        self.sent = 0
        self.attempt: int | None = None


class LogShipper:
    """Copies what is written to log files into the run store, once a second at most, and what is left over later.

    Neither a run nor the scheduler's loop waits for it: the files are its buffer. While the store does not answer, it
    tries again every five seconds. What it has not sent when its process ends is sent by the next one of this machine.

    Args:
        logs: the folder of the log files.
        most_logs: bytes of one job's logs in the store; the oldest are deleted.
    """

    def __init__(self, stored: StoredLogs, logs: Path, most_logs: int, clock: Clock) -> None:
        self._stored = stored
        self._logs = logs
        self._most_logs = most_logs
        self._clock = clock
        self._unsent = UnsentLogs(logs.parent)
        self._runs: dict[str, _Shipped] = {}
        self._trims = EveryTenth(most_logs)
        self._changed = threading.Condition()
        self._is_due = self._is_hurried = self._is_closing = False
        self._take_over_at = 0.0
        self._thread = threading.Thread(target=self._run, name="jobctl-logs", daemon=True)

    def start(self) -> None:
        """Send what earlier processes left, and then what is written."""
        with suppress(thread_start.NoThreadError):  # a later process sends it
            thread_start.start(self._thread)

    def written(self, job_id: str, run_id: str, attempt: int) -> None:
        """An attempt has written to its log."""
        with self._changed:
            run = self._runs.get(run_id)
            if run is None:
                self._unsent.add(job_id, run_id)
                self._runs[run_id] = _Shipped(job_id, run_id, 0 if attempt == 1 else None)
            else:
                run.notes += 1
                run.attempt = None
            self._notify()

    def ended(self, run_id: str, attempt: int) -> None:
        """The log of an attempt is complete."""
        with self._changed:
            run = self._runs.get(run_id)
            if run is not None:
                run.notes += 1
                run.attempt = attempt
                self._notify()

    def flush(self, run_id: str, timeout: float) -> None:
        """Wait until the log of an ended run is in the store, at most ``timeout`` seconds."""
        with self._changed:
            self._is_hurried = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: run_id not in self._runs, timeout)

    def close(self) -> None:
        """Send what is left, for three seconds at most. Idempotent."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    def _notify(self) -> None:
        self._is_due = True
        self._changed.notify_all()

    def _run(self) -> None:
        while not self._is_closing:
            pause = _PAUSE_S
            try:
                self._take_over()
                self._ship()
            except StoreError:  # the loop reports it
                self._is_due, pause = True, _AGAIN_S
            self._rest(pause)
        with suppress(StoreError):
            self._ship()

    def _rest(self, pause: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or self._is_hurried, pause)
            self._changed.wait_for(lambda: self._is_closing or self._is_due, _TAKE_OVER_S)
            self._is_hurried = False

    def _take_over(self) -> None:
        """Take the logs of runs that have ended without a process to send them."""
        if self._clock.monotonic() < self._take_over_at:
            return
        left = [(job_id, run_id) for job_id, run_id in self._unsent if run_id not in self._runs]
        attempts = self._stored.attempts(run_id for _, run_id in left) if left else {}
        for job_id, run_id in left:
            if run_id not in attempts:
                self._unsent.remove(job_id, run_id)
            elif (attempt := attempts[run_id]) is not None:
                run = _Shipped(job_id, run_id, None)
                run.attempt = attempt
                with self._changed:
                    self._runs.setdefault(run_id, run)
        self._take_over_at = self._clock.monotonic() + _TAKE_OVER_S

    def _ship(self) -> None:
        """Send what was written since the last call.

        Raises:
            StoreError: the store does not take it now.
        """
        with self._changed:
            self._is_due = False
            runs = [run for run in self._runs.values() if run.sent != run.notes]
        while runs:
            some = list(islice(runs, _TOGETHER))
            runs = [*runs[_TOGETHER:], *self._send(some)]

    def _send(self, runs: list[_Shipped]) -> list[_Shipped]:
        """Send a piece of each log; returns those of which more is left."""
        seen = [(run, run.notes, run.attempt) for run in runs]
        pieces = {run.run_id: self._piece(run, attempt) for run, _, attempt in seen}
        ends = self._stored.append([piece for piece in pieces.values() if piece is not None])
        left = []
        for run, notes, attempt in seen:
            end, piece = ends.get(run.run_id), pieces[run.run_id]
            if end is None or piece is None:
                self._forget(run, run.notes)
            elif self._has_more(run, piece, end):
                left.append(run)
            else:
                run.sent = notes
                if attempt is not None:
                    self._forget(run, notes)
                    self._limit(run)
        return left

    def _piece(self, run: _Shipped, attempt: int | None) -> LogPiece | None:
        """What is to be sent of a log next; None where there is no log any more."""
        position = run.position or 0
        try:
            file = read(self._logs, run.job_id, run.run_id)
            if file is None:
                return None
            with file:
                if run.position is None:
                    return LogPiece(run.run_id, position, b"")
                file.seek(position)
                data = file.read(_PIECE)
        except OSError:
            return None
        return LogPiece(run.run_id, position, data, attempt if len(data) < _PIECE else None)

    def _has_more(self, run: _Shipped, piece: LogPiece, end: LogEnd) -> bool:
        is_known, run.position = run.position is not None, end.position
        if not is_known or end.position != piece.position + len(piece.data):
            return True
        return len(piece.data) == _PIECE

    def _forget(self, run: _Shipped, notes: int) -> None:
        """Remember a log no more, unless an attempt has written to it since."""
        with self._changed:
            if run.notes == notes:
                del self._runs[run.run_id]
                self._unsent.remove(run.job_id, run.run_id)
                self._changed.notify_all()

    def _limit(self, run: _Shipped) -> None:
        if self._trims.is_due(run.job_id, run.position or 0):
            self._stored.trim(run.job_id, self._trims.target)
