"""Tasks for the worker pool, and what it reports of them, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from jobctl.model import Progress, Reason, Target, Trigger
from jobctl.value_class import value

Arguments = Mapping[str, Any]


@value
class Task:
    """One attempt of one run.

    Attributes:
        target: ``"package.module:function"`` or a command, for a worker; a function, for a thread.
        quick: it will probably end within milliseconds, so it may wait behind others in one worker.
        arguments: keyword arguments for the function: JSON values.
        grace: between SIGTERM and SIGKILL where it must end; None: the pool's.
        environment: variables for it, in addition to those of its worker.
        worker_environment: variables that its worker must have from its start, when modules are imported.
        folder: its working folder, relative to the project's folder.
        memory_mib: how much address space it may take, in MiB; None: without limit.
        trigger, slot: of the run.
        attempts: how many the run may have.
    """

    run_id: str
    job_id: str
    target: Target
    timeout: timedelta
    attempt: int = 1
    quick: bool = False
    arguments: Arguments = field(default_factory=dict)
    grace: timedelta | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    worker_environment: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None
    memory_mib: int | None = None
    trigger: Trigger = Trigger.MANUAL
    slot: datetime | None = None
    attempts: int = 1


@value
class TaskStarted:
    """A worker has begun the task; from here its timeout counts."""

    run_id: str
    pid: int
    at: datetime


@value
class TaskOutput:
    """Lines that the task printed: decoded, printable, masked, without line ends."""

    run_id: str
    job_id: str
    at: datetime
    lines: Sequence[str]


@value
class TaskProgressed:
    """The task has reported how far it is."""

    run_id: str
    progress: Progress


@value
class TaskAsksSlot:
    """The task wants to know which slot of its job completed before its own; to be answered by the pool."""

    run_id: str


@value
class TaskFinished:
    """The task ended and nothing of it is left running.

    Attributes:
        reason: None where the function returned (or the command exited with 0).
        error: one line for people; the traceback, if any, is in the run's log.
        result: JSON value: a ``JobResult`` as its fields (duration as ``duration_ms``) where the
            function returned one, else the returned value where it is JSON, else None.
        retry: whether another attempt may help.
        duration: by the steady clock.
    """

    run_id: str
    pid: int | None
    started_at: datetime
    finished_at: datetime
    duration: timedelta
    reason: Reason | None = None
    error: str | None = None
    result: Any = None
    retry: bool = True


Outcome = TaskStarted | TaskOutput | TaskProgressed | TaskAsksSlot | TaskFinished
