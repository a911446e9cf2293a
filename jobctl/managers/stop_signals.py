"""A stop that somebody asks for: the first signal is kept for the command to see, the next one acts at once."""

import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """While entered, SIGINT, SIGTERM and SIGHUP end nothing by themselves. For the main thread.

    Attributes:
        signal: the first one that came, or None.
        again: what to do at each further one; called inside the signal handler.
    """

    def __init__(self, again: Callable[[], None]) -> None:
        self.signal: int | None = None
        self.again = again
        self._before: dict[int, Any] = {}
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        self._wakeup = -1

    @property
    def exit_code(self) -> int:
        """128 and the signal, as shells have it."""
        return 128 + (self.signal or 0)

    def wait(self, seconds: float) -> bool:
        """Sleep until a signal comes, ``seconds`` at most; whether one has come."""
        if self.signal is None and select.select([self._reader], [], [], seconds)[0]:
            with suppress(BlockingIOError):
                self._reader.recv(4096)  # also written to by signals that mean nothing
        return self.signal is not None

    def __enter__(self) -> Self:
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in ASKED:
            before = signal.getsignal(number)
            if number == signal.SIGHUP and before == signal.SIG_IGN:
                continue  # nohup: it is meant to outlive its terminal
            self._before[number] = before
            signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(self._wakeup)
        self._reader.close()
        self._writer.close()

    def _take(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is None:
            self.signal = number
        else:
            self.again()
