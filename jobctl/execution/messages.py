"""What the pool and a worker write to each other.

The pool describes tasks as JSON, each in one message of a socket that keeps messages whole. What begins is decided by
*permits*, in a second socket, many in one write. The pool keeps the worker's end of it open: so it can read back the
permits that the worker has not read, without asking a process that may hang. Each permit is read once, so no task is
begun twice.

The pool also writes lines into the life line of a worker: until when it may live, and what concerns one task. The worker
reports lines through a pipe: that it is ready, that a task begins, how far it is, that it has ended. Times
are of the steady clock, which all processes of a machine share, in seconds.
"""

import json
from struct import Struct
from typing import Any, NamedTuple

PERMIT = Struct("=IIq16s")
"""The number of a task, that of its description (its own, or that of an earlier task which is described alike), its slot
in milliseconds since 1970 UTC, and the id of its run."""
NO_SLOT = -(2**63)
READY = b"ready"
BEGUN = b"+"
ENDED = b"-"
PROGRESS = b"*"
ASKS = b"?"
"""The job of a task wants to know when it is asked to end."""
ASKS_SLOT = b"<"
"""The job of a task wants to know the slot that completed before its own."""
END = b"end "
"""Through the life line, with the number of a task: it is asked to end."""
SLOT = b"slot "
"""Through the life line, with the number of a task: the answer, in milliseconds since 1970 UTC, or ``NO_SLOT``."""


class Description(NamedTuple):
    """What a worker must know to run a task, or many.

    Attributes:
        number: of the first task that it describes.
        is_kept: later permits may refer to it.
        target: ``package.module:function``; None for a program.
        argv: the program and its arguments; None for a function.
        timeout: in seconds.
    """

    number: int
    is_kept: bool
    job_id: str
    trigger: str
    attempt: int
    attempts: int
    timeout: float
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


def call_result(data: bytes) -> CallResult:
    """How a call ended, as it was reported.

    Raises:
        ValueError, TypeError, RecursionError: no worker reports that.
    """
    result = CallResult(*json.loads(data))
    if not isinstance(result.error, str | None):
        raise TypeError(result.error)
    return result


def begun(number: int, at: float) -> bytes:
    """The report that a task begins."""
    return b"+%d %.6f\n" % (number, at)


def ended(number: int, at: float, took: float, ending: CallResult) -> bytes:
    """The report that a task has ended, ``took`` seconds after its function was called."""
    more = b"" if ending == SUCCESS else b" " + json.dumps(ending).encode()
    return b"-%d %.6f %.6f%s\n" % (number, at, took, more)
