"""Tasks for an executor, and what it reports of them, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from jobctl.model import Reason, Target

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt of one run.

    Attributes:
        target: ``"package.module:function"`` or a command, for a worker; a function, for a thread.
        quick: it will probably end within milliseconds, so it may wait behind others in one worker.
        arguments: keyword arguments for the function: JSON values.
        grace: between SIGTERM and SIGKILL where it must end; None: the executor's.
        environment: variables for it, in addition to those of its worker.
        worker_environment: variables that its worker must have from its start, when modules are imported.
        folder: its working folder, relative to the project's folder.
        memory_mib: how much address space it may take, in MiB; None: without limit.
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


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A worker has begun the task; from here its timeout counts."""

    run_id: str
    pid: int
    at: datetime


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """Lines that the task printed: decoded, printable, masked, without line ends."""

    run_id: str
    job_id: str
    at: datetime
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
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


Outcome = TaskStarted | TaskOutput | TaskFinished


class Executor(Protocol):
    """Runs tasks and reports how they end. All but ``wake``, ``end_all`` and ``extend`` are called from one thread."""

    def capacity(self, *, quick: bool) -> int:
        """How many more tasks of this kind would start at once, or soon behind quick ones."""

    def submit(self, tasks: Sequence[Task]) -> None:
        """Accept tasks; no more than ``capacity`` said."""

    def poll(self, timeout: float) -> Sequence[Outcome]:
        """Wait up to ``timeout`` seconds for outcomes or ``wake``; also enforces timeouts."""

    def wake(self) -> None:
        """Make ``poll`` return now. From any thread or signal handler."""

    def end(self, run_ids: Sequence[str], reason: Reason, *, now: bool = False) -> None:
        """End these tasks with all their processes: SIGTERM, some seconds, SIGKILL; ``now``: SIGKILL.

        Each still comes out of ``poll`` as ``TaskFinished`` with ``reason``.
        """

    def end_all(self, reason: Reason) -> None:
        """Kill every task that can be killed, at once. From any thread; it never waits for a database."""

    def extend(self, deadline: float | None) -> None:
        """Let workers live until then, in seconds of ``clock.boottime``; None: without limit. From any thread."""

    def renew(self, owner_id: str) -> None:
        """Run what begins from now on in new workers, under this registration; what runs goes on."""

    def close(self) -> None:
        """End every worker at once. Idempotent."""

    def after_fork(self) -> None:
        """In a forked child: close what was inherited from the parent, whose workers they are."""
