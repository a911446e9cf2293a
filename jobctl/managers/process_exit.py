"""Shuts the manager of an application down before its process ends, whatever way it ends."""

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

from jobctl import thread_start

if TYPE_CHECKING:
    from jobctl.managers.base import ManagerBase

_LOG = logging.getLogger("jobctl")  # imported first, so it still works when ``_at_exit`` runs
_THREADS_END_S = 1.0


class _ProcessManager:
    """The manager of this process, and its handling of SIGTERM."""

    def __init__(self, manager: "ManagerBase") -> None:
        self.manager = manager
        self.termination = Termination(self.stop, manager.end_now)

    def stop(self) -> None:
        """Shut the manager down; never raises. An exception of a signal handler ends its runs at once."""
        while True:
            try:
                self.manager.shutdown()
            except (KeyboardInterrupt, SystemExit):
                self.manager.end_now()
                continue
            except Exception as error:  # the application ends as it would without jobctl
                _LOG.error("the job scheduler did not stop cleanly: %s", error)
            return


_registered: _ProcessManager | None = None


def shut_down_at_exit(manager: "ManagerBase") -> None:
    """Shut the manager down before this process ends."""
    global _registered  # noqa: PLW0603 - there is one process
    _registered = _ProcessManager(manager)
    manager.on_start = _registered.termination.install
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)


def forget(manager: "ManagerBase") -> None:
    """Do nothing for this manager any more: it has been shut down."""
    global _registered  # noqa: PLW0603
    if _registered is not None and _registered.manager is manager:
        _registered.termination.remove()
        _registered = None


def _at_exit() -> None:
    """Runs after all threads of the application but daemon threads have ended. No thread can start now."""
    registered = _registered
    if registered is None:
        return
    with suppress(KeyboardInterrupt, SystemExit), _interrupts_end_runs(registered.manager):
        registered.stop()
        _end_threads()
        store = registered.manager.store
        if store is not None:
            with suppress(Exception):  # everything is recorded already
                store.close()
    registered.termination.finish()


def _end_threads() -> None:
    if "jobctl.execution.job_threads" in sys.modules:  # else no job has run in a thread
        from jobctl.execution.job_threads import end_threads

        end_threads(_THREADS_END_S)


@contextmanager
def _interrupts_end_runs(manager: "ManagerBase") -> Iterator[None]:
    """Ctrl-C ends the runs at once, not by a KeyboardInterrupt that could come anywhere in the shutdown."""
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
    """Python drops signals that arrive in a child before its fork hooks have run, so SIGTERM is blocked until then."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _after_fork_in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _after_fork_in_child() -> None:
    if _registered is not None:
        _registered.termination.after_fork()
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)


class Termination:
    """Handles SIGTERM where its disposition is the default: stops the manager, then lets the process die of it.

    A handler of the application is left alone. A thread waits for the signal, stops the manager and then lets the
    signal kill the process, so that its parent sees the same as without jobctl. The signal handler itself neither
    blocks nor takes a lock: the code that it interrupts may hold any.

    Args:
        stop: stops the manager gracefully; called in the thread; must not raise.
        end_now: has a stop in progress end at once; called in the signal handler.
    """

    def __init__(self, stop: Callable[[], object], end_now: Callable[[], object]) -> None:
        self._arrived = False
        self._stopping = False
        self._stop = stop
        self._end_now = end_now
        self._pipe: tuple[int, int] | None = None

    def install(self) -> None:
        """Handle SIGTERM, where that is possible: in the main thread, with the default disposition."""
        if self._pipe is not None or threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return
        try:
            reader, writer = os.pipe()
        except OSError:
            return  # SIGTERM ends the process at once, as without jobctl
        watcher = threading.Thread(target=self._watch, args=(reader,), name="jobctl-termination", daemon=True)
        try:
            signal.signal(signal.SIGTERM, self._handle)  # a ValueError in a subinterpreter
            thread_start.start(watcher)
        except (thread_start.NoThreadError, ValueError):
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
        """Restore SIGTERM, where it is still handled here. Nothing is done outside the main thread."""
        if self._pipe is None or threading.current_thread() is not threading.main_thread():
            return
        self._give_back()
        os.close(self._pipe[1])
        self._pipe = None

    def finish(self) -> None:
        """Die of the signal, if it has arrived; to be called once the manager is shut down."""
        if (self._arrived or self._stopping) and self._is_ours():
            _die()

    def after_fork(self) -> None:
        """In a child: SIGTERM has its default effect."""
        if self._pipe is not None:
            self._give_back()
            for descriptor in self._pipe:
                with suppress(OSError):
                    os.close(descriptor)
        self._pipe = None
        self._arrived = self._stopping = False

    def _is_ours(self) -> bool:
        return signal.getsignal(signal.SIGTERM) == self._handle

    def _give_back(self) -> None:
        faulthandler.unregister(signal.SIGTERM)
        # set the application's handler again, since ``unregister`` restored what was set before ours
        theirs = signal.SIG_DFL if self._is_ours() else signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, theirs)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._arrived:
            self._end_now()
        self._arrived = True
        if self._pipe is not None:
            with suppress(BlockingIOError):
                os.write(self._pipe[1], b".")

    def _watch(self, reader: int) -> None:
        while os.read(reader, 4096):
            if self._is_ours():
                self._stopping = True
                self._stop()
                self.finish()
                os.kill(os.getpid(), signal.SIGTERM)  # the application has set a handler meanwhile
            elif (
                self._arrived
            ):  # taken here just before another handler was set, as ``run_forever`` does: pass it on
                self._arrived = False
                os.kill(os.getpid(), signal.SIGTERM)
        os.close(reader)


def _die() -> NoReturn:
    """Die of SIGTERM, from any thread: ``signal.signal`` works in the main thread only."""
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
