"""As PID 1 of a container: a child does the work, this process passes signals on and reaps.

PID 1 inherits every orphan. If it reaped them beside children of its own it would take exit codes away
from whoever waits for those, as ``subprocess`` does; so here it has one child and no other duty. The
kernel also lets PID 1 ignore what it has no handler for: a SIGTERM sent while Python still loads would be
lost, and is not lost on the child.
"""

import os
import signal

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
