"""How a manager's life is governed: started, shut down, kept on for good, or used as a context."""

import logging
import os
import threading
import weakref
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jobctl.managers.stop_signals import Stop

if TYPE_CHECKING:
    from collections.abc import Callable


class Lifecycle:
    """Start and end, the same for every manager.

    Args:
        idle: why this manager schedules nothing in this process; None where it does.

    Attributes:
        begun: called in the thread that starts the scheduler, each time.
    """

    def __init__(self, idle: str | None = None) -> None:
        self.idle = idle
        self.begun: Callable[[], None] = lambda: None
        _MADE.add(self)

    def start(self) -> None:
        """Begin to schedule. A second call, or one where nothing is scheduled here, changes nothing."""

    def shutdown(self, grace: timedelta | None = None) -> int:
        """Start nothing new, and end what runs here.

        Args:
            grace: how long runs may take to end by themselves.

        Returns:
            How many runs had to be ended.
        """
        del grace
        return 0

    def end_now(self) -> None:
        """End every run at once; ``shutdown`` then returns soon. Safe in a signal handler."""

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Wait for the scheduler's end; False where it goes on after ``timeout`` seconds."""
        del timeout
        return True

    def after_fork(self) -> None:
        """In a forked child: let go of what is the parent's."""

    def run_forever(self) -> None:
        """Schedule, and block until SIGINT, SIGTERM or SIGHUP; then shut down gracefully and return.

        A second signal ends the runs at once. The signal handlers that were set before are restored. Outside
        the main thread, where no signal arrives, it returns after ``shutdown``. Where nothing is scheduled in
        this process it logs the reason and returns.

        Raises:
            StoreError: the scheduler has ended because of its run store.
        """
        if self.idle is not None:
            logging.getLogger("jobctl").warning("there is nothing to run here: %s", self.idle)
            return
        if threading.current_thread() is not threading.main_thread():
            self.start()
            self.wait_ended()
            return
        with Stop(again=self.end_now) as stop:
            try:
                self.start()
                while not stop.wait(1.0) and not self.wait_ended(0):
                    continue
            finally:
                self.shutdown()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        import asyncio

        self.begun()  # in this thread, which may be the main one
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.shutdown)


_MADE: weakref.WeakSet[Lifecycle] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for one in list(_MADE):
        one.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
