"""The entry point.

Until a command begins, and once it has ended, a SIGINT ends the process as it ends any program: nothing needs to be
cleaned up, and Python would print a traceback.
"""

import _signal  # type: ignore[import-not-found]

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import atexit
import gc
import os
import sys

TYPE_CHECKING = False  # of typing, which takes longer to load than all of this

if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the command of ``sys.argv`` and leave the process with its exit code."""
    if os.getpid() == 1:
        from jobctl.signals import stand_by

        stand_by()
    _hold_standard_streams()
    gc.set_threshold(50_000, 20, 20)  # most of what a command makes lives to its end
    atexit.register(gc.freeze)  # the interpreter's last collections would take as long as a short command
    args = sys.argv[1:]
    try:
        if "_JOBCTL_COMPLETE" in os.environ:
            from jobctl.cli.completion import answer

            sys.exit(answer(os.environ["_JOBCTL_COMPLETE"], args))
        from jobctl.cli.error_output import exit_code_of
        from jobctl.signals import take_harmless_signals

        take_harmless_signals()
        sys.exit(exit_code_of(lambda: _run(args), args))
    finally:
        _drop_messages()


def _run(args: list[str]) -> "NoReturn":
    from jobctl.cli.app import main

    main(args)


def _drop_messages() -> None:
    """Drop messages that standard error does not accept: Python would exit with 120."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _hold_standard_streams() -> None:
    """Open the null device for closed standard streams, so that no other file gets their numbers."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
