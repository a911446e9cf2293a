"""The pool's end of one worker: its process, its pipes, and the task that it is on."""

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobctl.execution.output import RunLog
from jobctl.execution.tasks import Task
from jobctl.execution.tree import OWNER_MARK, WORKER_MARK
from jobctl.model import Command, Reason

_CHUNK = 64 * 1024


class Current:
    """The task that a worker has begun. Times are of the steady clock, in seconds."""

    __slots__ = ("began", "deadline", "log", "task")

    def __init__(self, task: Task, began: float, log: RunLog) -> None:
        self.task = task
        self.began = began
        self.deadline = began + task.timeout.total_seconds()
        self.log = log


class Link:
    """One worker. ``queue`` holds tasks that it was sent and has not begun."""

    def __init__(self, project: Path, environment: Mapping[str, str], owner_id: str) -> None:
        self.token = os.urandom(12).hex()
        self.queue: dict[str, Task] = {}
        self.current: Current | None = None
        self.ready = False
        self.retired = False
        self.recalling = False
        self.ending: Reason | None = None
        self.kill_at: float | None = None
        self.printed = bytearray()
        self._control_read, self._control = os.pipe()
        self.result, result_write = os.pipe()
        self.output, output_write = os.pipe()
        handed = (self._control_read, result_write, output_write)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jobctl.execution.worker", *map(str, handed)],
                cwd=project,
                env={**environment, OWNER_MARK: owner_id, WORKER_MARK: self.token},
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                pass_fds=handed,
                start_new_session=True,
            )
        except OSError:
            for one in (self._control, self.result, self.output):
                os.close(one)
            raise
        finally:
            for one in handed:
                os.close(one)
        os.set_blocking(self.result, False)
        os.set_blocking(self.output, False)
        self._messages = b""

    @property
    def pid(self) -> int:
        """The worker's process, which leads its session and group."""
        return self.process.pid

    @property
    def load(self) -> int:
        """Tasks in its hands."""
        return len(self.queue) + (self.current is not None)

    def hand(self, tasks: list[Task]) -> None:
        """Send tasks; what cannot be sent to a worker that died comes back when its end is seen."""
        self.queue.update((task.run_id, task) for task in tasks)
        self._send([_message(task) for task in tasks])

    def recall(self) -> None:
        """Ask for the tasks that it has not begun."""
        self.recalling = True
        self._send([{"recall": list(self.queue)}])

    def messages(self) -> deque[dict[str, Any]]:
        """What it has told since the last look."""
        while True:
            try:
                data = os.read(self.result, _CHUNK)
            except BlockingIOError:
                break
            if not data:
                break
            self._messages += data
            if len(data) < _CHUNK:
                break
        *lines, self._messages = self._messages.split(b"\n")
        return deque(json.loads(line) for line in lines)

    def read_output(self) -> bool:
        """Take a chunk of what was printed; False where there is none now."""
        try:
            data = os.read(self.output, _CHUNK)
        except BlockingIOError:
            return False
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
        for one in (self._control, self.result, self.output):
            os.close(one)
        self.process.wait()

    def _send(self, messages: list[dict[str, Any]]) -> None:
        data = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        try:
            os.write(self._control, data)
        except BrokenPipeError:
            return


def _message(task: Task) -> dict[str, Any]:
    if isinstance(task.target, Command):
        return {"run": task.run_id, "argv": list(task.target.argv)}
    return {"run": task.run_id, "target": task.target, "dry_run": task.dry_run}
