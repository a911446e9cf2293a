"""SIGTERM in an application without a handler of its own: its manager stops, then the process dies of it."""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from jobctl import threads


class Termination:
    """Takes SIGTERM over where its disposition is the default. A handler of the application is left alone.

    A thread waits for the signal, stops the manager and then lets the signal kill the process, so that its
    parent sees the same as without jobctl. The signal handler itself neither blocks nor takes a lock: the
    code that it interrupts may hold any.

    Args:
        stop: stops the manager gracefully; called in the thread; must not raise.
        end_now: has a stop in progress end at once; called in the signal handler.

    Attributes:
        asked: whether SIGTERM has come.
    """

    def __init__(self, stop: Callable[[], object], end_now: Callable[[], object]) -> None:
        self.asked = False
        self._stop = stop
        self._end_now = end_now
        self._pipe: tuple[int, int] | None = None

    def install(self) -> None:
        """Take SIGTERM over, where that is possible: in the main thread, with the default disposition."""
        if self._pipe is not None or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            threads.start(
                threading.Thread(target=self._watch, args=(reader,), name="jobctl-termination", daemon=True)
            )
            signal.signal(signal.SIGTERM, self._handle)
        except (threads.NoThreadError, ValueError):  # ValueError: a subinterpreter
            os.close(writer)  # SIGTERM ends the process at once, as without us
            return
        # Python calls a handler when the main thread gets to it, which may be never while that is inside C code
        # (a GUI's event loop). This writes to the pipe at once, whatever any thread does; what it writes is ignored.
        faulthandler.register(signal.SIGTERM, writer, all_threads=False, chain=True)
        self._pipe = reader, writer

    def remove(self) -> None:
        """Give SIGTERM back, where it is still ours. Nothing is done outside the main thread."""
        if self._pipe is None or threading.current_thread() is not threading.main_thread():
            return
        self._give_back()
        os.close(self._pipe[1])
        self._pipe = None

    def after_fork(self) -> None:
        """In a child: SIGTERM does to it what it does by default."""
        if self._pipe is not None:
            self._give_back()
            for one in self._pipe:
                with suppress(OSError):
                    os.close(one)
        self._pipe = None
        self.asked = False

    def _give_back(self) -> None:
        faulthandler.unregister(signal.SIGTERM)
        before = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before == self._handle else before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.asked:
            self._end_now()
        self.asked = True
        if self._pipe is not None:
            with suppress(BlockingIOError):
                os.write(self._pipe[1], b".")

    def _watch(self, reader: int) -> None:
        while os.read(reader, 4096):
            if signal.getsignal(signal.SIGTERM) == self._handle:
                self._stop()
                if signal.getsignal(signal.SIGTERM) == self._handle:
                    die()
                os.kill(os.getpid(), signal.SIGTERM)  # the application has taken it over meanwhile
        os.close(reader)


def die() -> NoReturn:
    """Die of SIGTERM, from any thread: only the main thread could set the disposition by ``signal.signal``."""
    with suppress(Exception):
        import ctypes

        for stream in (
            (sys.stdout, sys.stderr) if threading.current_thread() is threading.main_thread() else ()
        ):
            stream.flush()
        faulthandler.unregister(signal.SIGTERM)
        set_disposition = ctypes.CDLL(None).signal
        set_disposition.argtypes = [ctypes.c_int, ctypes.c_void_p]
        set_disposition.restype = ctypes.c_void_p
        set_disposition(signal.SIGTERM, None)  # SIG_DFL
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    os._exit(128 + signal.SIGTERM)
