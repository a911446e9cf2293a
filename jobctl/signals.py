"""How jobctl's processes take signals."""

import _signal  # type: ignore[import-not-found]  # signal itself makes an enum's member of each number
import faulthandler
import os
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


_NAMES = ["USR1", "USR2", "ALRM", "VTALRM", "PROF", "POLL", "PWR", "STKFLT", "TRAP", "SYS", "EMT", "LOST"]


def take_harmless_signals() -> None:
    """From now on. A handler or disposition that was set before stays. For the main thread."""
    numbers = {getattr(_signal, f"SIG{name}", None) for name in _NAMES} - {None}
    if hasattr(_signal, "SIGRTMIN"):
        numbers.update(range(_signal.SIGRTMIN, _signal.SIGRTMAX + 1))
    for number in numbers:
        if _signal.getsignal(number) == _signal.SIG_DFL:
            _signal.signal(number, _pass)
    if _signal.getsignal(_signal.SIGQUIT) == _signal.SIG_DFL:
        # not faulthandler.register: its small stack overflows where several signals arrive at once
        _signal.signal(_signal.SIGQUIT, _show_stacks)


def _pass(*_: object) -> None:
    return


def _show_stacks(*_: object) -> None:
    faulthandler.dump_traceback(file=2, all_threads=True)  # names and lines, no values


_TERMINALS = {signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH}
_BY_THE_KERNEL = 0x80  # SI_KERNEL, from asm-generic/siginfo.h


def stand_by() -> None:
    """Return in a child. The process that called stays behind, and ends with the child's exit code."""
    blocked = signal.valid_signals()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    while True:
        came = signal.sigwaitinfo(blocked)
        if came.si_signo == signal.SIGCHLD:
            _reap(child)
        elif came.si_code != _BY_THE_KERNEL or came.si_signo not in _TERMINALS:
            os.kill(child, came.si_signo)  # a terminal's Ctrl-C reaches the child by itself


def _reap(child: int) -> None:
    """Collect whoever has ended; with the child's end comes the end of this process, and of all."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
