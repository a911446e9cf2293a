"""The worker process: takes tasks from a pipe, runs them one by one, tells what came of each.

Started clean, as ``python -P -m jobctl.execution.worker CONTROL RESULT OUTPUT`` (three file
descriptors), in the project's folder and in a session of its own. Messages are JSON lines. A start is
told before the function is called, so that a task is never begun twice: whoever did not hear of a
start may hand the task to another worker. When the control pipe closes, its scheduler is gone: it ends
itself with all below it.
"""

import json
import os
import signal
import sys
import threading
import time
from collections import deque
from typing import Any

from jobctl.execution import calling

RETIRE_AFTER = 10_000
RETIRE_GROWTH = 512 * 1024  # KiB of peak memory above the start
_CHILD_GRACE = 2.0
_RESTORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGCHLD)


class Worker:
    """The loop, and the thread that reads the control pipe."""

    def __init__(self, control: int, result: int, output: int) -> None:
        self._control, self._result, self._output = control, result, output
        for one in (control, result, output):
            os.set_inheritable(one, False)
        self._token = os.environ["JOBCTL_WORKER"]
        self._tasks: deque[dict[str, Any]] = deque()
        self._ready = threading.Condition()
        self._telling = threading.Lock()
        self._retired = False
        self._done = 0
        self._clean = CleanState(output)

    def main(self) -> None:
        """Work until the control pipe closes."""
        threading.Thread(target=self._listen, name="jobctl-control", daemon=True).start()
        self._tell({"ready": os.getpid()})
        while True:
            with self._ready:
                while self._retired or not self._tasks:
                    self._ready.wait()
                task = self._tasks.popleft()
                self._tell({"started": task["run"], "at": time.monotonic()})
            self._run(task)

    def _run(self, task: dict[str, Any]) -> None:
        self._clean.restore()
        began = time.monotonic()
        if "argv" in task:
            ending = calling.run_command(task["argv"])
        else:
            ending = calling.call(task["target"], dry_run=task["dry_run"])
        took = time.monotonic() - began
        left = self._end_children()
        self._flush()
        if left:
            self._print(f"ended {left} processes that the job left behind")
        self._print_marker(task["run"])
        self._done += 1
        worn = self._done >= RETIRE_AFTER or self._clean.outgrown()
        self._retired = bool(left) or worn or _threads_left()
        self._tell(
            {
                "finished": task["run"],
                "at": time.monotonic(),
                "took": took,
                "retired": self._retired,
                **ending,
            }
        )

    # The pipes

    def _listen(self) -> None:
        with open(self._control, "rb", closefd=False) as lines:
            for line in lines:
                message = json.loads(line)
                with self._ready:
                    if "recall" in message:
                        self._recall(set(message["recall"]))
                    else:
                        self._tasks.append(message)
                        self._ready.notify()
        self._end_all()

    def _recall(self, run_ids: set[str]) -> None:
        given = [task["run"] for task in self._tasks if task["run"] in run_ids]
        self._tasks = deque(task for task in self._tasks if task["run"] not in run_ids)
        self._tell({"recalled": given})

    def _tell(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._telling:
            while data:
                try:
                    data = data[os.write(self._result, data) :]
                except BrokenPipeError:
                    self._end_all()

    def _print(self, line: str) -> None:
        self._put(f"{line}\n".encode())

    def _print_marker(self, run_id: str) -> None:
        self._put(b"\x1e%s %s\n" % (self._token.encode(), run_id.encode()))

    def _put(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._output, data) :]
        except BrokenPipeError:
            self._end_all()

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue

    # The end

    def _end_children(self) -> int:
        """End what the job left running; how many there were. A run without children costs one call."""
        if not _children_left():
            return 0
        from jobctl.execution.tree import descendants, send

        left = descendants(os.getpid())
        send(left, signal.SIGTERM)
        end = time.monotonic() + _CHILD_GRACE
        pause = threading.Event()
        while _children_left() and time.monotonic() < end:
            pause.wait(0.02)
        while _children_left():
            send(descendants(os.getpid()), signal.SIGKILL)
            pause.wait(0.01)
        return max(1, len(left))

    def _end_all(self) -> None:
        from jobctl.execution.tree import descendants, send

        while below := descendants(os.getpid()):
            send(below, signal.SIGKILL)
            _children_left()
        os._exit(0)


class CleanState:
    """What a job may change and the next must find as it was."""

    def __init__(self, output: int) -> None:
        self._output = output
        self._folder = os.getcwd()  # noqa: PTH109 - a worker starts without pathlib
        self._environment = dict(os.environ)
        self._path = list(sys.path)
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        self._signals = {number: signal.getsignal(number) for number in _RESTORED}
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        self._peak = _peak_memory()
        self._logging = False

    def restore(self) -> None:
        """Put everything back."""
        os.dup2(self._output, 1)
        os.dup2(self._output, 2)
        if sys.stdout is None or sys.stdout.closed or sys.stderr is None or sys.stderr.closed:
            self._streams = (sys.stdin, _stream(1), _stream(2))
        sys.stdin, sys.stdout, sys.stderr = self._streams
        os.chdir(self._folder)
        if os.environ != self._environment:
            os.environ.clear()
            os.environ.update(self._environment)
        if sys.path != self._path:
            sys.path[:] = self._path
        os.umask(self._umask)
        for number, handler in self._signals.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not self._logging:
            self._logging = True
            self._log_to_output()

    def outgrown(self) -> bool:
        """Whether jobs have used so much memory that a new worker is better."""
        return _peak_memory() - self._peak > RETIRE_GROWTH

    def _log_to_output(self) -> None:
        import logging

        class ToStandardError(logging.StreamHandler[Any]):
            """Looks the stream up for each record: a job may have closed the old one."""

            def emit(self, record: logging.LogRecord) -> None:
                self.stream = sys.stderr
                super().emit(record)

        handler = ToStandardError()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler])


def _stream(number: int) -> Any:
    return open(number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def _children_left() -> bool:
    """Whether a child is still running; those that have ended are reaped."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def _threads_left() -> bool:
    """Whether the job left threads that would keep a process alive."""
    ours = {"MainThread", "jobctl-control"}
    return any(not one.daemon for one in threading.enumerate() if one.name not in ours)


def _peak_memory() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _adopt_orphans() -> None:
    """On Linux, what a job's children leave behind becomes ours, so that it can be found and ended."""
    if sys.platform != "linux":
        return
    import ctypes

    set_child_subreaper = 36
    ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0)


def main() -> None:
    """Entry of ``python -m``."""
    control, result, output = (int(one) for one in sys.argv[1:4])
    sys.argv = ["jobctl-worker"]
    _adopt_orphans()
    sys.stdout, sys.stderr = _stream(1), _stream(2)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    Worker(control, result, output).main()


if __name__ == "__main__":
    main()
