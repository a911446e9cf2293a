"""How jobctl's processes take signals, and the variables that mark them for one another."""

import _signal  # type: ignore[import-not-found]  # signal itself makes an enum's member of each number
import faulthandler
import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

OWNER_MARK = "JOBCTL_OWNER"
"""Set for a worker and all below it: the scheduler that it belongs to."""
WORKER_MARK = "JOBCTL_WORKER"
"""Set for a worker and all below it: the worker."""
DETACHED_MARK = "_JOBCTL_DETACHED"
"""Set for a process of ``trigger --no-wait``, which outlives what started it."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """While entered, SIGINT, SIGTERM and SIGHUP do not end the process. For the main thread.

    Attributes:
        signal: the first signal that arrived, or None.
        again: called inside the signal handler at each further signal.
    """

    def __init__(self, again: Callable[[], None]) -> None:
        self.signal: int | None = None
        self.again = again
        self._before: dict[int, Any] = {}
        self._reader = self._writer = self._wakeup = -1

    @property
    def exit_code(self) -> int:
        """128 plus the signal, as in shells."""
        return 128 + (self.signal or 0)

    def wait(self, seconds: float) -> bool:
        """Sleep until a signal arrives, ``seconds`` at most; whether a signal has arrived."""
        if self.signal is None and select.select([self._reader], [], [], seconds)[0]:
            with suppress(BlockingIOError):
                os.read(self._reader, 4096)  # other signals write to it too
        return self.signal is not None

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
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
        os.close(self._reader)
        os.close(self._writer)

    def _take(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.signal is None:
            self.signal = number
        else:
            self.again()


_NAMES = ["USR1", "USR2", "ALRM", "VTALRM", "PROF", "POLL", "PWR", "STKFLT", "TRAP", "SYS", "EMT", "LOST"]


def take_harmless_signals() -> None:
    """Let signals have no effect whose default would end a process, and that mean nothing to jobctl's processes.

    They get handlers, since a program that is started inherits an ignored signal but no handler. SIGQUIT writes the
    stacks of all threads to standard error. What was set before stays. For the main thread.
    """
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
    """As PID 1 of a container: return in a child, forward signals to it, reap orphans, and exit with its code.

    PID 1 inherits every orphan. If it reaped them beside children of its own it would take exit codes away
    from what waits for those, as ``subprocess`` does; so it has one child and no other duty. The
    kernel also lets PID 1 ignore what it has no handler for: a SIGTERM sent while Python still loads would be
    lost, and is not lost on the child.
    """
    blocked = signal.valid_signals()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    while True:
        received = signal.sigwaitinfo(blocked)
        if received.si_signo == signal.SIGCHLD:
            _reap(child)
        elif received.si_code != _BY_THE_KERNEL or received.si_signo not in _TERMINALS:
            os.kill(child, received.si_signo)  # a terminal's Ctrl-C reaches the child by itself


def _reap(child: int) -> None:
    """Reap what has ended; when the child has, end this process, and with it all."""
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
