"""Starts threads, which the system may refuse."""

import threading

from jobctl.errors import JobctlError


class NoThreadError(JobctlError):
    """No thread could be started.

    Attributes:
        at_exit: because the interpreter is shutting down.
    """

    code = "no_thread"

    def __init__(self, error: RuntimeError) -> None:
        self.at_exit = "shutdown" in str(error)
        reason = "the interpreter is shutting down" if self.at_exit else "the system allows no more"
        super().__init__(
            f"no thread could be started: {reason}",
            hint=None if self.at_exit else "raise the limit of processes (ulimit -u) or of memory",
        )


def start(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        NoThreadError: it cannot be started.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise NoThreadError(error) from None
