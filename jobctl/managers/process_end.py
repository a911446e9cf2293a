"""The end of an application's process: its manager is shut down first, whatever way the process ends."""

import atexit
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from jobctl.execution.threads import end_threads
from jobctl.managers.termination import Termination

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
    manager.begun = _watched.termination.install
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
