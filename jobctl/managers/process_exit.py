"""The end of an application's process: its manager is shut down first, whatever way the process ends."""

import atexit
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from jobctl import threads
from jobctl.execution.executors import end_threads

if TYPE_CHECKING:
    from jobctl.managers.factory import Manager

_LOG = logging.getLogger("jobctl")  # imported before ours is registered, so shut down after us
_THREADS_END_S = 1.0


class _Watched:
    """The manager whose process is watched, and how SIGTERM comes to it."""

    def __init__(self, manager: "Manager") -> None:
        self.manager = manager
        self.termination = Termination(self.stop, manager.end_now)

    def stop(self) -> None:
        """Shut the manager down; never raises. What a signal handler raises meanwhile ends its runs at once."""
        while True:
            try:
                self.manager.shutdown()
            except (KeyboardInterrupt, SystemExit):
                self.manager.end_now()
                continue
            except Exception as error:  # whatever it is: the application ends as it would without us
                _LOG.error("the job scheduler did not stop cleanly: %s", error)
            return


_watched: _Watched | None = None


def watch(manager: "Manager") -> None:
    """Have the manager shut down before this process ends."""
    global _watched  # noqa: PLW0603 - there is one process
    _watched = _Watched(manager)
    manager.on_start = _watched.termination.install
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)


def forget(manager: "Manager") -> None:
    """The manager has been shut down by other means."""
    global _watched  # noqa: PLW0603
    if _watched is not None and _watched.manager is manager:
        _watched.termination.remove()
        _watched = None


def _at_exit() -> None:
    """Runs after all threads of the application have ended, but for daemon threads. No thread can begin now."""
    watched = _watched
    if watched is None:
        return
    with suppress(KeyboardInterrupt, SystemExit), _interrupts_end_runs(watched.manager):
        watched.stop()
        end_threads(_THREADS_END_S)
        store = watched.manager.store
        if store is not None:
            with suppress(Exception):  # all is recorded; what cannot be closed ends with the process
                store.close()
    watched.termination.finish()


@contextmanager
def _interrupts_end_runs(manager: "Manager") -> Iterator[None]:
    """Ctrl-C ends the runs at once, rather than by a KeyboardInterrupt that could come anywhere in our code."""
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, lambda _number, _frame: manager.end_now())
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


_forking = threading.local()


def _before_fork() -> None:
    """Python forgets what comes to a child before its hooks have run, so that is kept pending until then."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _after_fork_in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _after_fork_in_child() -> None:
    if _watched is not None:
        _watched.termination.after_fork()
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)


class Termination:
    """Takes SIGTERM over where its disposition is the default. A handler of the application is left alone.

    A thread waits for the signal, stops the manager and then lets the signal kill the process, so that its
    parent sees the same as without jobctl. The signal handler itself neither blocks nor takes a lock: the
    code that it interrupts may hold any.

    Args:
        stop: stops the manager gracefully; called in the thread; must not raise.
        end_now: has a stop in progress end at once; called in the signal handler.
    """

    def __init__(self, stop: Callable[[], object], end_now: Callable[[], object]) -> None:
        self._asked = False
        self._stopping = False
        self._stop = stop
        self._end_now = end_now
        self._pipe: tuple[int, int] | None = None

    def install(self) -> None:
        """Take SIGTERM over, where that is possible: in the main thread, with the default disposition."""
        if self._pipe is not None or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return
        try:
            reader, writer = os.pipe()
        except OSError:
            return  # SIGTERM ends the process at once, as without us
        watcher = threading.Thread(target=self._watch, args=(reader,), name="jobctl-termination", daemon=True)
        try:
            signal.signal(signal.SIGTERM, self._handle)  # a ValueError in a subinterpreter
            threads.start(watcher)
        except (threads.NoThreadError, ValueError):
            if self._is_ours():
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(reader)
            os.close(writer)
            return
        os.set_blocking(writer, False)
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

    def finish(self) -> None:
        """Die of the signal, where it has come; call it once the manager has been shut down."""
        if (self._asked or self._stopping) and self._is_ours():
            _die()

    def after_fork(self) -> None:
        """In a child: SIGTERM does to it what it does by default."""
        if self._pipe is not None:
            self._give_back()
            for one in self._pipe:
                with suppress(OSError):
                    os.close(one)
        self._pipe = None
        self._asked = self._stopping = False

    def _is_ours(self) -> bool:
        return signal.getsignal(signal.SIGTERM) == self._handle

    def _give_back(self) -> None:
        faulthandler.unregister(signal.SIGTERM)
        # set again what the application has set, since ``unregister`` put back what was set before us
        theirs = signal.SIG_DFL if self._is_ours() else signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, theirs)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._asked:
            self._end_now()
        self._asked = True
        if self._pipe is not None:
            with suppress(BlockingIOError):
                os.write(self._pipe[1], b".")

    def _watch(self, reader: int) -> None:
        while os.read(reader, 4096):
            if self._is_ours():
                self._stopping = True
                self._stop()
                self.finish()
                os.kill(os.getpid(), signal.SIGTERM)  # the application has taken it over meanwhile
        os.close(reader)


def _die() -> NoReturn:
    """Die of SIGTERM, from any thread: only the main thread could set the disposition by ``signal.signal``."""
    with suppress(Exception):
        import ctypes

        if threading.current_thread() is threading.main_thread():
            sys.stdout.flush()  # at its end, where Python would have done it next
        faulthandler.unregister(signal.SIGTERM)
        set_disposition = ctypes.CDLL(None).signal
        set_disposition.argtypes = [ctypes.c_int, ctypes.c_void_p]
        set_disposition.restype = ctypes.c_void_p
        set_disposition(signal.SIGTERM, None)  # SIG_DFL
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    os._exit(128 + signal.SIGTERM)
