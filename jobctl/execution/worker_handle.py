"""One worker process as its pool sees it, and what becomes of the tasks that it is given."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jobctl.clock import Clock
from jobctl.durations import write_duration
from jobctl.execution.process_tree import OWNER_MARK, WORKER_MARK, signal_name
from jobctl.execution.run_log import RunLog, shown_error
from jobctl.execution.tasks import Outcome, Task, TaskFinished, TaskOutput, TaskStarted
from jobctl.model import Command, Reason
from jobctl.settings.masking import Mask
from jobctl.store.logs import LogLimit
from jobctl.text import printable

_CHUNK = 64 * 1024
_LARGEST_TASK = 192 * 1024
_LARGEST_MESSAGE = 8 * 1024 * 1024  # a result of the largest size, with every character escaped
# Keeps messages whole, as datagrams do elsewhere, where this kind is not known for local sockets.
_WHOLE = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM


class Current:
    """The task that a worker has begun. ``began`` and ``deadline`` are of the steady clock, in seconds."""

    __slots__ = ("at", "began", "deadline", "log", "task")

    def __init__(self, task: Task, began: float, at: datetime, log: RunLog) -> None:
        self.task = task
        self.began = began
        self.at = at
        self.deadline = began + task.timeout.total_seconds()
        self.log = log


class Link:
    """One worker. ``queue`` holds tasks that it was sent and has not begun.

    ``variables`` are those of its own, beside the environment that all workers have. ``deadline``: when it ends
    itself unless ``extend`` is called, in seconds of ``clock.boottime``; None: never.
    """

    def __init__(
        self,
        project: Path,
        environment: Mapping[str, str],
        owner_id: str,
        variables: Mapping[str, str],
        deadline: float | None = None,
    ) -> None:
        self.variables = variables
        self.token = os.urandom(12).hex()
        self.queue: dict[str, Task] = {}
        self.current: Current | None = None
        self.ready = False
        self.retired = False
        self.since = time.monotonic()
        self.fault: str | None = None
        self.ending: Reason | None = None
        self.kill_at: float | None = None
        self.deaf_since: float | None = None
        self.at_end: set[int] = set()
        self.printed = bytearray()
        self._tasks, self._inbox = socket.socketpair(socket.AF_UNIX, _WHOLE)
        for one in (self._tasks, self._inbox):
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LARGEST_TASK)
        self._tasks.setblocking(False)
        life_read, self._life, self.result, result_write, self.output, output_write = _pipes(3)
        handed = (self._inbox.fileno(), life_read, result_write, output_write)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jobctl.execution.worker", *map(str, handed)],
                cwd=project,
                env={**environment, **variables, OWNER_MARK: owner_id, WORKER_MARK: self.token},
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                pass_fds=handed,
                start_new_session=True,
            )
        except OSError:
            self._close_pipes()
            raise
        finally:
            for number in handed[1:]:
                os.close(number)
        os.set_blocking(self.result, False)
        os.set_blocking(self.output, False)
        with suppress(BrokenPipeError):  # it may have ended already: whoever looks at it will see that
            os.write(self._life, json.dumps([os.path.abspath(one) for one in sys.path]).encode() + b"\n")  # noqa: PTH100
        os.set_blocking(self._life, False)
        self.extend(deadline)
        self._messages = b""
        _OPEN.add(self)

    def extend(self, deadline: float | None) -> None:
        """Let the worker live until then. One that reads nothing keeps its former deadline."""
        if deadline is not None:
            with suppress(OSError):
                os.write(self._life, b"%.3f\n" % deadline)

    @property
    def pid(self) -> int:
        """The worker's process, which leads its session and group."""
        return self.process.pid

    @property
    def load(self) -> int:
        """Tasks in its hands."""
        return len(self.queue) + (self.current is not None)

    @property
    def gives_up(self) -> bool:
        """Whether it takes no more tasks."""
        return self.retired or self.ending is not None

    @property
    def end(self) -> str:
        """How it ended, as the rest of a sentence that begins with the worker."""
        code = self.process.returncode
        if self.fault is not None:
            return self.fault
        if code is None:
            return "ended"
        return f"was killed by signal {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"

    def hand(self, tasks: list[Task]) -> list[Task]:
        """Send tasks; answers with those that it has no room for now.

        Raises:
            ValueError: the first of them is too large to be sent at all.
        """
        for number, task in enumerate(tasks):
            data = json.dumps(_message(task)).encode()
            if len(data) > _LARGEST_TASK:
                if number:
                    return tasks[number:]
                raise ValueError(f"the command is longer than {_LARGEST_TASK // 1024} KiB")
            try:
                self._tasks.send(data)
            except OSError as error:
                if error.errno in {errno.EAGAIN, errno.ENOBUFS}:
                    return tasks[number:]
                raise
            self.queue[task.run_id] = task
        return []

    def take_back(self) -> list[Task]:
        """The tasks that it has not begun, in order; it will never see them."""
        taken: list[Task] = []
        while True:
            try:
                data = self._inbox.recv(_LARGEST_TASK + 1, socket.MSG_DONTWAIT)
            except OSError:
                return taken
            taken.append(self.queue.pop(json.loads(data)["run"]))

    def messages(self) -> Iterator[dict[str, Any]]:
        """What it has told since the last look.

        Raises:
            ValueError: it told something that is no message: the job wrote where it must not.
        """
        while True:
            try:
                data = os.read(self.result, _CHUNK)
            except BlockingIOError:
                break
            if not data:
                self.at_end.add(self.result)
                self.deaf_since = self.deaf_since or time.monotonic()
                break
            self._messages += data
            if len(data) < _CHUNK:
                break
        *lines, self._messages = self._messages.split(b"\n")
        if len(self._messages) > _LARGEST_MESSAGE:
            raise ValueError("a message without an end")
        for line in lines:
            yield json.loads(line.decode())

    def read_output(self) -> bool:
        """Take a chunk of what was printed; False where there is none now."""
        try:
            data = os.read(self.output, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.at_end.add(self.output)
        self.printed += data
        return bool(data)

    def take_printed(self, *, ended: str | None = None) -> bytes:
        """What the current run printed so far; with ``ended``, all up to that run's end mark."""
        if ended is not None:
            mark = b"\x1e%s %s\n" % (self.token.encode(), ended.encode())
            while (at := self.printed.find(mark)) < 0 and self.read_output():
                continue
            taken = bytes(self.printed[:at] if at >= 0 else self.printed)
            del self.printed[: at + len(mark) if at >= 0 else None]
            return taken
        end = self.printed.find(b"\x1e" + self.token.encode())
        if end < 0:
            end = self.printed.rfind(b"\x1e", max(0, len(self.printed) - 64))  # perhaps half a mark
        taken = bytes(self.printed[:end] if end >= 0 else self.printed)
        del self.printed[: len(taken)]
        return taken

    def close(self) -> None:
        """Close the pipes and reap the process, which must have been ended."""
        self._close_pipes()
        self.process.wait()

    def after_fork(self) -> None:
        """In a forked child: a life line that stays open there would keep the parent's worker alive."""
        with suppress(OSError):
            self._close_pipes()
        self.process.returncode = 0  # it is the parent's child

    def _close_pipes(self) -> None:
        _OPEN.discard(self)
        for one in (self._life, self.result, self.output):
            os.close(one)
        self._tasks.close()
        self._inbox.close()


def _pipes(count: int) -> list[int]:
    """The two ends of so many pipes, one after another; none where the system has no more descriptors."""
    ends: list[int] = []
    try:
        for _ in range(count):
            ends += os.pipe()
    except OSError:
        for one in ends:
            os.close(one)
        raise
    return ends


_OPEN: weakref.WeakSet[Link] = weakref.WeakSet()
STARTING = threading.Lock()
"""Held while a worker is started: a child that is forked meanwhile would keep its pipes open."""


def _after_fork_in_child() -> None:
    STARTING.release()
    for one in list(_OPEN):
        one.after_fork()


os.register_at_fork(
    before=STARTING.acquire, after_in_parent=STARTING.release, after_in_child=_after_fork_in_child
)


def _message(task: Task) -> dict[str, Any]:
    message: dict[str, Any] = {"run": task.run_id}
    if task.environment:
        message["environment"] = dict(task.environment)
    if task.folder is not None:
        message["folder"] = task.folder
    if task.memory_mib is not None:
        message["memory_mib"] = task.memory_mib
    if isinstance(task.target, Command):
        return {**message, "argv": list(task.target.argv)}
    return {**message, "target": task.target, "arguments": dict(task.arguments)}


def ending_words(task: Task, reason: Reason, end: str = "ended") -> str:
    """Why a task was ended from outside, for people."""
    if reason is Reason.TIMEOUT:
        return f"timed out after {write_duration(task.timeout)}"
    if reason is Reason.LOST:
        return "ended, because its scheduler lost its place in the run store, or contact with it"
    if reason is Reason.INTERRUPTED:
        return "interrupted: it was ended before it had finished"
    return f"the worker {end} before the job returned"


class Told:
    """Outcomes since the last ``take``, in the order in which they happened."""

    def __init__(self, logs: Path, most_logs: int, mask: Mask, clock: Clock) -> None:
        self._logs = logs
        self._kept = LogLimit(logs, most_logs)
        self._mask = mask
        self._clock = clock
        self._outcomes: list[Outcome] = []

    def __bool__(self) -> bool:
        return bool(self._outcomes)

    def take(self) -> list[Outcome]:
        """All of them; they are then forgotten."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def began(self, link: Link, run_id: str, at: float) -> None:
        """A worker has begun a task that it was sent."""
        task = link.queue.pop(run_id)
        log = RunLog(self._logs, task.job_id, task.run_id, self._mask, task.attempt)
        link.current = Current(task, at, self._wall(at), log)
        self._outcomes.append(TaskStarted(task.run_id, link.pid, link.current.at))

    def printed(self, current: Current, data: bytes) -> None:
        """The task that a worker is on has printed."""
        if data:
            self._lines(current.task, current.log.feed(data, self._clock.now()))

    def ended(
        self,
        link: Link,
        current: Current,
        reason: Reason | None,
        error: str | None,
        *,
        at: float,
        took: float,
        message: Mapping[str, Any],
    ) -> None:
        """The task that a worker was on has ended, with all its processes."""
        task = current.task
        link.current = None
        if reason not in {None, Reason.ERROR} and error:
            self._lines(task, current.log.say(error, self._clock.now()))
        self._lines(task, current.log.close(self._clock.now()))
        self._kept.add(task.job_id, task.run_id, current.log.written)
        self._outcomes.append(
            TaskFinished(
                run_id=task.run_id,
                pid=link.pid,
                started_at=current.at,
                finished_at=self._wall(at),
                duration=timedelta(seconds=took),
                reason=reason,
                error=None if error is None else shown_error(error, self._mask),
                result=self._mask.value(message.get("result")),
                retry=bool(message.get("retry", True)),
            )
        )

    def never_began(
        self, task: Task, reason: Reason, error: str | None = None, *, retry: bool = True
    ) -> None:
        """A task ends without having run."""
        now = self._clock.now()
        words = shown_error(error or ending_words(task, reason), self._mask)
        self._outcomes.append(
            TaskFinished(task.run_id, None, now, now, timedelta(0), reason, words, retry=retry)
        )

    def last_line(self, data: bytes) -> str:
        """The last line of what a worker printed, printable and without secrets: the end of it, where it is long."""
        return printable(self._mask(data.decode("utf-8", "replace")).strip().rpartition("\n")[2][-500:])

    def _lines(self, task: Task, lines: Sequence[str]) -> None:
        if lines:
            self._outcomes.append(TaskOutput(task.run_id, task.job_id, self._clock.now(), lines))

    def _wall(self, steady: float) -> datetime:
        """A time of the steady clock, which all processes of a machine share, on the wall clock."""
        return self._clock.now() - timedelta(seconds=self._clock.monotonic() - steady)
