"""The pool's side of one worker process: its pipes, the tasks that it was sent, and what becomes of them.

``messages`` says what goes through the pipes, and how tasks are taken back that the worker has not begun.
"""

import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from jobctl.clock import Clock, to_ms
from jobctl.execution.messages import (
    ASKS,
    ASKS_SLOT,
    BEGUN,
    END,
    ENDED,
    NO_SLOT,
    PERMIT,
    PROGRESS,
    READY,
    SLOT,
    SUCCESS,
    CallResult,
    Description,
    call_result,
)
from jobctl.execution.process_tree import (
    descendants,
    end_left_by,
    kill_tree,
    send,
    signal_name,
)
from jobctl.execution.task_outcomes import Attempt, Outcomes, end_of
from jobctl.execution.tasks import Task
from jobctl.model import Command, Progress, Reason
from jobctl.signals import OWNER_MARK, WORKER_MARK

_ALWAYS_SAID = {Reason.TIMEOUT, Reason.CANCELLED}
"""A task that was ended for one of these has not done its work, even if its function returned."""
STUCK_S = 0.1
"""A worker busy with one task for longer than this, in seconds, will not begin its other tasks soon."""
_CHUNK = 64 * 1024
_MOST_CHUNKS = 64
_LARGEST_TASK = 192 * 1024
_LARGEST_MESSAGE = 8 * 1024 * 1024  # a result of the largest size, with every character escaped
_DEAF_S = 1.0
_AFTER_TERM_S = 1.0  # between SIGTERM and SIGKILL of a task that had its grace time before
_SILENT_S = 2.0  # a worker that begins nothing for longer has been stopped
# Keeps messages whole, as datagrams do elsewhere, where this kind is not known for local sockets.
_WHOLE = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM


class WorkerHandle:
    """One worker, from its start to its end.

    Args:
        variables: its own, beside the environment that all workers have.
        outcomes: gets what becomes of its tasks.
        guard: held while a worker is reaped, and by another thread that kills workers.
        grace: seconds between SIGTERM and SIGKILL of a task that has no grace time of its own.
        start_limit: seconds that it may take to be ready.
        deadline: when it ends itself unless ``extend`` is called, in seconds of ``clock.boottime``; None: never.

    Attributes:
        result, output: descriptors to wait for.
        at_end: those of them that nothing comes from any more.
        is_ready: it has reported that it is up.
        is_retired: it gets no more tasks, and ends when it has none.
        has_exited: its process has ended, and was dealt with by ``poll``.
    """

    def __init__(
        self,
        project: Path,
        environment: Mapping[str, str],
        owner_id: str,
        variables: Mapping[str, str],
        *,
        outcomes: Outcomes,
        clock: Clock,
        guard: threading.RLock,
        grace: float,
        start_limit: float,
        deadline: float | None = None,
    ) -> None:
        self.variables = variables
        self.is_ready = self.is_retired = self.has_exited = False
        self.at_end: set[int] = set()
        self._outcomes = outcomes
        self._clock = clock
        self._guard = guard
        self._grace = grace
        self._start_limit = start_limit
        self._mark = os.urandom(12).hex()
        self._number = 0
        self._described: dict[tuple[object, ...], int] = {}
        self._sent: dict[int, Task] = {}
        self._current: Attempt | None = None
        self._since = self._heard = clock.monotonic()
        self._fault: str | None = None
        self._ending: Reason | None = None
        self._terminate_at: float | None = None
        self._kill_at: float | None = None
        self._deaf_since: float | None = None
        self._messages = b""
        self._printed = bytearray()
        self._descriptions, self._unread = socket.socketpair(socket.AF_UNIX, _WHOLE)
        self._permits, self._unread_permits = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (self._descriptions, self._unread):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LARGEST_TASK)
        self._descriptions.setblocking(False)
        life_read, self._life, self.result, result_write, self.output, output_write = _pipes(3)
        inbox = self._unread.fileno(), self._unread_permits.fileno()
        passed = (*inbox, life_read, result_write, output_write)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jobctl.execution.worker", *map(str, passed)],
                cwd=project,
                env={**environment, **variables, OWNER_MARK: owner_id, WORKER_MARK: self._mark},
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                pass_fds=passed,
                start_new_session=True,
            )
        except OSError:
            self._close_pipes()
            raise
        finally:
            for number in passed[len(inbox) :]:
                os.close(number)
        os.set_blocking(self.result, False)
        os.set_blocking(self.output, False)
        with suppress(BrokenPipeError):  # it may have ended already, which ``poll`` will notice
            os.write(self._life, json.dumps([os.path.abspath(path) for path in sys.path]).encode() + b"\n")  # noqa: PTH100
        os.set_blocking(self._life, False)
        self.extend(deadline)
        _OPEN.add(self)

    # What the pool decides by

    @property
    def load(self) -> int:
        """How many tasks it has."""
        return len(self._sent) + (self._current is not None)

    @property
    def accepts_tasks(self) -> bool:
        """Whether it may get more tasks."""
        return not self.is_retired and self._ending is None

    @property
    def flows(self) -> bool:
        """Whether a task that it is sent now will soon begin: it is on quick tasks and not stuck."""
        if not self.accepts_tasks:
            return False
        if self._current is None:
            return all(task.quick for task in self._sent.values())
        return self._current.task.quick and self._clock.monotonic() - self._current.began < STUCK_S

    @property
    def run_ids(self) -> list[str]:
        """The runs of its tasks."""
        tasks = [*([self._current.task] if self._current else []), *self._sent.values()]
        return [task.run_id for task in tasks]

    @property
    def last_words(self) -> str:
        """Why it ended before it was ready: its last line, or how its process ended."""
        return self._outcomes.last_line(bytes(self._printed)) or f"it {self._end}"

    def seconds_to_check(self, now: float) -> float | None:
        """Seconds until ``poll`` has something to do that no descriptor announces; None: nothing is planned."""
        if self._kill_at is not None:
            return min(self._kill_at - now, 0.05)
        if self._ending or self._fault or self._deaf_since or (self.is_retired and self.load == 0):
            return 0.02
        if self._current is None:
            return None
        seconds = self._current.deadline - now
        return min(seconds, max(0.01, self._current.began + STUCK_S - now)) if self._sent else seconds

    # What the pool has it do

    def send(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Send tasks; returns those that it has no room for now.

        Raises:
            ValueError: the first of them is too large to be sent at all.
        """
        permits = b""
        for sent, task in enumerate(tasks):
            number = self._number + 1
            try:
                described = self._describe(number, task)
            except ValueError:
                if not sent:
                    raise
                described = None
            if described is None:
                break
            self._number = number
            self._sent[number] = task
            slot = NO_SLOT if task.slot is None else to_ms(task.slot)
            permits += PERMIT.pack(number, described, slot, task.run_id.encode())
        if permits:
            if self._current is None:
                self._heard = self._clock.monotonic()
            self._permits.send(permits)
        return tasks[len(permits) // PERMIT.size :]

    def _describe(self, number: int, task: Task) -> int | None:
        """The number of a task's description, which is sent unless the worker has it; None where there is no room."""
        kind = (
            task.job_id,
            task.target,
            task.folder,
            task.memory_mib,
            task.timeout,
            task.trigger,
            task.attempts,
        )
        is_kept = not task.arguments and not task.environment and task.attempt == 1
        if is_kept and (known := self._described.get(kind)) is not None:
            return known
        data = json.dumps(_description(number, task, is_kept=is_kept)).encode()
        if len(data) > _LARGEST_TASK:
            raise ValueError(f"the command is longer than {_LARGEST_TASK // 1024} KiB")
        try:
            self._descriptions.send(data)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.ENOBUFS}:
                raise
            if self.load:
                return None
            self._drop_descriptions()
            self._descriptions.send(data)
        if is_kept:
            self._described[kind] = number
        return number

    def _drop_descriptions(self) -> None:
        """Make room: the worker has no task, so it would never read what described tasks that were taken back."""
        with suppress(BlockingIOError):
            while self._unread.recv(_LARGEST_TASK, socket.MSG_DONTWAIT):
                continue
        self._described.clear()

    def take_back(self) -> list[Task]:
        """The tasks whose permits it has not read, in order; it will never begin them."""
        try:
            permits = self._unread_permits.recv(PERMIT.size * (len(self._sent) + 1), socket.MSG_DONTWAIT)
        except OSError:
            return []
        numbers = [number for number, *_ in PERMIT.iter_unpack(permits)]
        return [self._sent.pop(number) for number in numbers if number in self._sent]

    def wait_for_begin(self) -> list[Task]:
        """After ``take_back``: wait until the worker has reported the task whose permit it has read, if any.

        So a signal meets the task that it is for. Waits for ``STUCK_S`` at most; returns tasks for other workers.
        """
        tasks: list[Task] = []
        end = self._clock.monotonic() + STUCK_S
        waiting = select.poll()
        waiting.register(self.result, select.POLLIN)
        while self._sent and self._fault is None and self.result not in self.at_end:
            left = end - self._clock.monotonic()
            if left <= 0 or not waiting.poll(left * 1000):
                break
            tasks += self.read_messages()
        return tasks

    def extend(self, deadline: float | None) -> None:
        """Let the worker live until then. One that reads nothing keeps its former deadline."""
        if deadline is not None:
            self._write_line(b"%.3f\n" % deadline)

    def answer_slot(self, run_id: str, slot: datetime | None) -> None:
        """Answer what ``TaskAsksSlot`` reported, if the worker is still on that run."""
        if self._current is not None and self._current.task.run_id == run_id:
            self._write_line(
                b"%s%d %d\n" % (SLOT, self._current.number, NO_SLOT if slot is None else to_ms(slot))
            )

    def ask_to_end(self) -> None:
        """Ask the task that it is on to end by itself."""
        if self._current is not None and not self._current.is_asked:
            self._current.is_asked = True
            self._write_line(b"%s%d\n" % (END, self._current.number))

    def _write_line(self, line: bytes) -> None:
        with suppress(OSError):
            os.write(self._life, line)

    def end_if_on(self, run_ids: AbstractSet[str], reason: Reason, *, now: bool) -> None:
        """End the task that it is on, or may be about to begin, if it belongs to one of the runs."""
        if self._current is not None and self._current.task.run_id in run_ids:
            self._begin_end(reason, now=now)
        elif any(task.run_id in run_ids for task in self._sent.values()):
            self._begin_end(reason, now=True)  # a task that has not begun needs no grace time

    def kill(self, reason: Reason | None = None) -> None:
        """SIGKILL it with all below it. From any thread that holds the guard."""
        if reason is not None:
            self._ending = self._ending or reason
        if self._process.returncode is None:
            kill_tree(self._process.pid)

    def poll(self) -> list[Task]:
        """Process what it reports and prints, its deadlines, and its exit; returns tasks for other workers."""
        with self._guard:  # a pid that is reaped may be another process's at once
            exited = self._process.poll() is not None
        tasks = self.read_messages()
        if self._read_output() or self._printed:
            self._show()
        if exited:
            return [*tasks, *self._exited()]
        now = self._clock.monotonic()
        current = self._current
        if self._kill_at is not None and now >= min(self._kill_at, self._terminate_at or self._kill_at):
            self._continue_end(now)
        elif current is not None and self._ending is None and now >= current.deadline:
            self._begin_end(Reason.TIMEOUT)
        elif self._sent and current is not None and now - current.began > STUCK_S:
            tasks += self.take_back()
        elif self._sent and current is None and self.is_ready and now - self._heard > _SILENT_S:
            tasks += self.take_back()
            self.kill()
        elif not self.is_ready and self._ending is None and now - self._since > self._start_limit:
            self._fail(f"was not ready after {self._start_limit:g} seconds")
        elif self.is_retired and self.load == 0:
            self._process.kill()
        elif self._deaf_since is not None and now - self._deaf_since > _DEAF_S:
            self._fail("closed the pipe that it reports its result through")
        return tasks

    def close(self) -> None:
        """End it at once with all its processes, if it has not exited, and release everything."""
        if not self.has_exited:
            if self.load:
                kill_tree(self._process.pid)
            self._process.kill()
        self._close_pipes()
        self._process.wait()
        if self.load:
            end_left_by(self._mark, self._process.pid)
        if self._current is not None and self._current.log is not None:
            self._current.log.close(self._clock.now())

    def after_fork(self) -> None:
        """In a forked child: a life line that stays open there would keep the parent's worker alive."""
        with suppress(OSError):
            self._close_pipes()
        self._process.returncode = 0  # it is the parent's child

    # What it reports

    def read_messages(self) -> list[Task]:
        """Process what it reports, up to something that is no message; returns tasks for other workers."""
        tasks: list[Task] = []
        try:
            for line in self._read_lines() if self._fault is None else ():
                kind, words = line[:1], line[1:].split(b" ", 3)
                if kind == BEGUN:
                    number, at = words
                    self._begun(int(number), float(at))
                elif kind == ENDED:
                    number, at, took, *more = words
                    ending = call_result(more[0]) if more else SUCCESS
                    tasks += self._finished(int(number), float(at), float(took), ending)
                elif kind == PROGRESS:
                    self._progressed(*line[1:].split(b" ", 1))
                elif kind in {ASKS, ASKS_SLOT}:
                    self._asked(kind, int(line[1:]))
                elif line == READY:
                    self.is_ready = True
                else:
                    raise ValueError(line)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            self._fail("sent an invalid message: a job wrote to a file that it had not opened")
        return tasks

    def _asked(self, kind: bytes, number: int) -> None:
        current = self._current
        if current is None or current.number != number:
            return
        if kind == ASKS_SLOT:
            self._outcomes.asks_slot(current)
            return
        current.asks = True

    def _progressed(self, number: bytes, progress: bytes) -> None:
        if (current := self._current) is not None and current.number == int(number):
            self._outcomes.progressed(current, Progress.read(json.loads(progress)))

    def _read_lines(self) -> list[bytes]:
        while True:
            try:
                data = os.read(self.result, _CHUNK)
            except BlockingIOError:
                break
            if not data:
                self.at_end.add(self.result)
                self._deaf_since = self._deaf_since or self._clock.monotonic()
                break
            self._messages += data
            if len(data) < _CHUNK:
                break
        *lines, self._messages = self._messages.split(b"\n")
        if len(self._messages) > _LARGEST_MESSAGE:
            raise ValueError("a message without an end")
        if lines:
            self._heard = self._clock.monotonic()
            self._outcomes.synchronize()
        return lines

    def _begun(self, number: int, at: float) -> None:
        self._current = self._outcomes.started(number, self._sent[number], self._process.pid, at)
        del self._sent[number]

    def _finished(self, number: int, at: float, took: float, ending: CallResult) -> list[Task]:
        current = self._current
        if current is None or current.number != number:
            return []
        self._outcomes.printed(current, self._take_printed(ended=number))
        if self._ending in _ALWAYS_SAID or (self._ending is not None and ending.reason is not None):
            ending = ending._replace(reason=self._ending, error=end_of(current.task, self._ending))
        tasks: list[Task] = []
        if ending.is_last:
            self.is_retired = True
            tasks = self._give_up_sent()
        self._outcomes.finished(current, self._process.pid, at=at, took=took, ending=ending)
        self._current = None
        self.is_retired = self.is_retired or self._ending is not None
        self._ending = self._kill_at = self._terminate_at = None
        return tasks

    def _exited(self) -> list[Task]:
        """Finish its current task, and what it did not begin; returns tasks for other workers."""
        self.has_exited = True
        if self.load:
            end_left_by(self._mark, self._process.pid)
        for _ in range(_MOST_CHUNKS):  # a process that is not ours may hold the pipe and write for ever
            if not self._read_output():
                break
            self._show()
        if self._current is not None:
            current, self._current = self._current, None
            self._outcomes.printed(current, self._take_printed())
            self._outcomes.synchronize()
            now = self._clock.monotonic()
            reason = self._ending or Reason.CRASHED
            ending = CallResult(reason, end_of(current.task, reason, self._end))
            self._outcomes.finished(
                current, self._process.pid, at=now, took=now - current.began, ending=ending
            )
        if self._ending not in {None, Reason.TIMEOUT}:
            for task in self._sent.values():
                self._outcomes.not_started(task, self._ending or Reason.INTERRUPTED)
            self._sent.clear()
        return self._give_up_sent()

    def _give_up_sent(self) -> list[Task]:
        """What it was sent and has not begun, for other workers."""
        unread = self.take_back()
        read = list(self._sent.values())
        self._sent.clear()
        if self._fault is not None and self.is_ready:  # it may have begun them: its reports are not reliable
            for task in read:
                self._outcomes.not_started(task, Reason.CRASHED, end_of(task, Reason.CRASHED, self._end))
            return unread
        return [*read, *unread]

    # What it prints

    def _read_output(self) -> bool:
        """Read a chunk of what was printed; False where there is none now."""
        try:
            data = os.read(self.output, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.at_end.add(self.output)
        self._printed += data
        return bool(data)

    def _show(self) -> None:
        if self._current is not None:
            self._outcomes.printed(self._current, self._take_printed())
        elif not self._sent and len(self._printed) > _CHUNK:
            # what a thread goes on to print after its run; whole lines, for half a secret is not known as one
            del self._printed[: self._printed.find(b"\n", -_CHUNK) + 1 or None]

    def _take_printed(self, *, ended: int | None = None) -> bytes:
        """What the current run printed so far; with ``ended``, all up to the end mark of the task of that number."""
        if ended is not None:
            mark = b"\x1e%s %d\n" % (self._mark.encode(), ended)
            while (at := self._printed.find(mark)) < 0 and self._read_output():
                continue
            taken = bytes(self._printed[:at] if at >= 0 else self._printed)
            del self._printed[: at + len(mark) if at >= 0 else None]
            return taken
        end = self._printed.find(b"\x1e" + self._mark.encode())
        if end < 0:
            end = self._printed.rfind(b"\x1e", max(0, len(self._printed) - 64))  # perhaps half a mark
        taken = bytes(self._printed[:end] if end >= 0 else self._printed)
        del self._printed[: len(taken)]
        return taken

    # Its end

    @property
    def _end(self) -> str:
        """How it ended, as the rest of a sentence that begins with the worker."""
        code = self._process.returncode
        if self._fault is not None:
            return self._fault
        if code is None:
            return "ended"
        return f"was killed by signal {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"

    def _fail(self, fault: str) -> None:
        self._fault = fault
        self.kill()

    def _begin_end(self, reason: Reason, *, now: bool = False) -> None:
        """Ask a task that wants to know to end by itself, and give it a grace time; send SIGTERM to any other."""
        self._ending = self._ending or reason
        if now:
            self.kill()
            return
        if self._kill_at is not None:
            return
        task = self._current.task if self._current is not None else None
        grace = task.grace.total_seconds() if task is not None and task.grace is not None else self._grace
        now_s = self._clock.monotonic()
        current = self._current
        if current is not None and current.asks and not current.is_asked and reason is not Reason.TIMEOUT:
            self.ask_to_end()
            self._terminate_at, self._kill_at = now_s + grace, now_s + grace + _AFTER_TERM_S
            return
        self._kill_at = now_s + grace
        self._terminate()

    def _continue_end(self, now: float) -> None:
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self.kill()
        else:
            self._terminate()

    def _terminate(self) -> None:
        """SIGTERM to all processes of the task; to those of a program, not to the worker, which reports its end."""
        self._terminate_at = None
        task = self._current.task if self._current is not None else None
        below = descendants(self._process.pid)
        is_program = task is not None and isinstance(task.target, Command)
        send(below if is_program and below else [*below, self._process.pid], signal.SIGTERM)

    def _close_pipes(self) -> None:
        _OPEN.discard(self)
        for descriptor in (self._life, self.result, self.output):
            os.close(descriptor)
        for end in (self._descriptions, self._unread, self._permits, self._unread_permits):
            end.close()


def _pipes(count: int) -> list[int]:
    """The two ends of so many pipes, one after another; none where the system has no more descriptors."""
    ends: list[int] = []
    try:
        for _ in range(count):
            ends += os.pipe()
    except OSError:
        for end in ends:
            os.close(end)
        raise
    return ends


_OPEN: weakref.WeakSet[WorkerHandle] = weakref.WeakSet()
STARTING = threading.Lock()
"""Held while a worker is started: a child that is forked meanwhile would keep its pipes open."""


def _after_fork_in_child() -> None:
    STARTING.release()
    for handle in list(_OPEN):
        handle.after_fork()


os.register_at_fork(
    before=STARTING.acquire, after_in_parent=STARTING.release, after_in_child=_after_fork_in_child
)


def _description(number: int, task: Task, *, is_kept: bool) -> Description:
    target = task.target
    return Description(
        number,
        is_kept,
        task.job_id,
        task.trigger.value,
        task.attempt,
        task.attempts,
        task.timeout.total_seconds(),
        target if isinstance(target, str) else None,
        list(target.argv) if isinstance(target, Command) else None,
        dict(task.arguments),
        dict(task.environment),
        task.folder,
        task.memory_mib,
    )
