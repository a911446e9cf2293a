"""What the pool and a worker write to each other.

The pool describes tasks as JSON, each in one message of a socket that keeps messages whole. What begins is decided by
*permits*, in a second socket, many in one write. The pool keeps the worker's end of it open: so it can read back the
permits that the worker has not read, without asking a process that may hang. Each permit is read once, so no task is
begun twice.

The worker reports lines through a pipe: that it is ready, that a task begins, that it has ended. Times are of the
steady clock, which all processes of a machine share, in seconds.
"""

import json
from struct import Struct
from typing import Any, NamedTuple

PERMIT = Struct("=II")
"""The number of a task, and that of its description: its own, or that of an earlier task which is described alike."""
READY = b"ready"
BEGUN = b"+"
ENDED = b"-"


class Description(NamedTuple):
    """What a worker must know to run a task, or many.

    Attributes:
        number: of the first task that it describes.
        is_kept: later permits may refer to it.
        target: ``package.module:function``; None for a program.
        argv: the program and its arguments; None for a function.
    """

    number: int
    is_kept: bool
    target: str | None = None
    argv: list[str] | None = None
    arguments: dict[str, Any] = {}  # noqa: RUF012 - never changed
    environment: dict[str, str] = {}  # noqa: RUF012
    folder: str | None = None
    memory_mib: int | None = None


class CallResult(NamedTuple):
    """How a call ended.

    Attributes:
        reason: None where it succeeded; else ``error`` or ``crashed``.
        result: a JSON value.
        retry: whether another attempt may help.
        is_last: the worker runs no further task.
    """

    reason: str | None = None
    error: str | None = None
    result: Any = None
    retry: bool = True
    is_last: bool = False


SUCCESS = CallResult()


def begun(number: int, at: float) -> bytes:
    """The report that a task begins."""
    return b"+%d %.6f\n" % (number, at)


def ended(number: int, at: float, took: float, ending: CallResult) -> bytes:
    """The report that a task has ended, ``took`` seconds after its function was called."""
    more = b"" if ending == SUCCESS else b" " + json.dumps(ending).encode()
    return b"-%d %.6f %.6f%s\n" % (number, at, took, more)
