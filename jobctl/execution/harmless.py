"""Signals whose default would end a process, and that mean nothing to ours: the scheduler, ``trigger``, workers.

They do nothing here, by handlers rather than by being ignored: a program that is started does not inherit those.
SIGQUIT writes the stacks of all threads to standard error, and the process goes on.
"""

import _signal  # type: ignore[import-not-found]  # signal itself makes an enum's member of each number
import faulthandler

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
        faulthandler.register(_signal.SIGQUIT, file=2, all_threads=True)  # names and lines, no values


def _pass(*_: object) -> None:
    return
