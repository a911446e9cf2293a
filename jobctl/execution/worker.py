"""The worker process: takes tasks from a socket, runs them one by one, tells what came of each.

Started clean, as ``python -P -m jobctl.execution.worker INBOX LIFE RESULT OUTPUT`` (four file
descriptors), in the project's folder and in a session of its own. Messages are JSON. A start is told
before the function is called, so that a task is never begun twice: whoever did not hear of a start may
hand the task to another worker. When the life line closes, its scheduler is gone: the worker ends itself
with all below it. It does the same at the deadline that came last through the line, for its scheduler's lease
has run out then, and other machines may run its jobs. It does so in a thread, rather than by ``PR_SET_PDEATHSIG``, which is tied to the
thread that started it and would leave its children.
"""

import _signal  # type: ignore[import-not-found]  # signal itself makes an enum's member of each number
import json
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from jobctl.clock import boottime
from jobctl.execution import calling
from jobctl.execution.harmless import take_harmless_signals

RETIRE_AFTER = 10_000
RETIRE_GROWTH = 512 * 1024  # KiB of peak memory above the start
_CHILD_GRACE = 2.0
_LARGEST_TASK = 256 * 1024
_LIFE_LINE = "jobctl-life-line"
_DEADLINE_CHECK_S = 1.0  # poll does not count the time of a suspended machine
_TERMINATED = 128 + signal.SIGTERM
_RESTORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGCHLD)


class Worker:
    """The loop, and the thread that holds the life line. ``unread``: what came through it with the first line."""

    def __init__(self, inbox: int, life: int, result: int, output: int, unread: bytes) -> None:
        self._inbox, self._life, self._result, self._output = inbox, life, result, output
        self._unread = unread
        self._pid = os.getpid()
        self._token = os.environ["JOBCTL_WORKER"]
        self._done = 0
        self._unsaid = b""
        self._task = bytearray(_LARGEST_TASK)  # kept: to make one costs more than to read into it
        self._clean = CleanState(output)

    def main(self) -> None:
        """Work until the life line closes or nothing more should run here."""
        try:
            threading.Thread(target=self._live, name=_LIFE_LINE, daemon=True).start()
        except RuntimeError:
            sys.exit("the system allows no more threads (ulimit -u)")
        os.set_blocking(self._inbox, False)
        self._say({"ready": self._pid})
        retired = False
        while not retired:
            task = self._next()
            self._say({"started": task["run"], "at": time.monotonic()})
            self._tell()
            retired = self._run(task)
        self._tell()
        threading.Event().wait()  # for the pool, which ends it

    def _next(self) -> dict[str, Any]:
        """The next task. Where one waits, the end of the last is told together with its start."""
        while True:
            try:
                size = os.readv(self._inbox, [self._task])
            except BlockingIOError:
                self._tell()
                waiting = select.poll()
                waiting.register(self._inbox, select.POLLIN)
                waiting.poll()
            else:
                task: dict[str, Any] = json.loads(self._task[:size])
                return task

    def _run(self, task: dict[str, Any]) -> bool:
        """Run one task; True where this worker should run no other."""
        name = str(task.get("target") or task["argv"])
        self._clean.restore(name)
        began = time.monotonic()
        ending = _prepare(task)
        if ending is None and "argv" in task:
            ending = calling.run_command(task["argv"])
        elif ending is None:
            ending = calling.call(task["target"], task["arguments"])
        if os.getpid() != self._pid:
            os._exit(0)  # a child that the job forked came back from the call
        took = time.monotonic() - began
        left = self._end_children()
        self._clean.settle(name)
        if left:
            self._print(f"ended {left} process{'es' * (left > 1)} that the job left behind")
        self._print_marker(task["run"])
        self._done += 1
        worn = self._done >= RETIRE_AFTER or self._clean.outgrown() or self._clean.bound()
        retired = bool(left) or worn or _threads_left()
        self._say(
            {
                "finished": task["run"],
                "at": time.monotonic(),
                "took": took,
                "retired": retired,
                **ending,
            }
        )
        return retired

    # The pipes

    def _live(self) -> None:
        """Wait for the end of the life line, or for the last deadline that came through it."""
        line = select.poll()
        line.register(self._life, select.POLLIN)
        data, deadline = self._unread, None
        while True:
            *whole, data = data.split(b"\n")
            deadline = float(whole[-1]) if whole else deadline
            left = None if deadline is None else deadline - boottime()
            if left is not None and left <= 0:
                break
            if not line.poll(None if left is None else min(left, _DEADLINE_CHECK_S) * 1000):
                continue
            part = b""
            with suppress(OSError):
                part = os.read(self._life, 4096)
            if not part:
                break
            data += part
        self._end_all()

    def _say(self, message: dict[str, Any]) -> None:
        self._unsaid += json.dumps(message).encode() + b"\n"

    def _tell(self) -> None:
        """Let out what was said. Nothing is held back while a job runs or while there is no task."""
        self._put(self._result, self._unsaid)
        self._unsaid = b""

    def _print(self, line: str) -> None:
        self._put(self._output, f"{line}\n".encode())

    def _print_marker(self, run_id: str) -> None:
        self._put(self._output, b"\x1e%s %s\n" % (self._token.encode(), run_id.encode()))

    def _put(self, pipe: int, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(pipe, data) :]
        except BrokenPipeError:
            self._end_all()

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
        while _children_left() and descendants(os.getpid()) and time.monotonic() < end:
            pause.wait(0.02)
        while _children_left() and (below := descendants(os.getpid())):
            send(below, signal.SIGKILL)
            pause.wait(0.01)
        return len(left)

    def _end_all(self) -> None:
        from jobctl.execution.tree import descendants, send

        while below := descendants(os.getpid()):
            send(below, signal.SIGKILL)
            _children_left()
        os._exit(0)


def _prepare(task: dict[str, Any]) -> calling.Ending | None:
    """Go where the task begins, with its variables; how it failed, where that cannot be done."""
    os.environ.update(task.get("environment", {}))
    if "folder" not in task:
        return None
    try:
        os.chdir(task["folder"])
    except OSError as error:
        return calling.failure(
            f"the folder {task['folder']} cannot be entered: {(error.strerror or '').lower()}"
        )
    return None


class CleanState:
    """What a job may change and the next must find as it was."""

    def __init__(self, output: int) -> None:
        self._output = output
        self._null = os.open(os.devnull, os.O_RDONLY)
        self._folder = os.getcwd()  # noqa: PTH109 - a worker starts without pathlib
        self._variables = vars(os.environ).get("_data", os.environ)  # compares without decoding each
        self._environment = dict(self._variables)
        self._path = list(sys.path)
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        self._signals = {number: _signal.getsignal(number) for number in _RESTORED}
        self._streams = _streams()
        self._peak = _peak_memory()
        self._bounds = _bounds()
        self._logging = Logging()

    def restore(self, task: str) -> None:
        """Put everything back, but leave ``task`` the logging that it set up itself.

        The files are as they were: ``settle`` saw to them.
        """
        sys.stdin, sys.stdout, sys.stderr = self._streams
        os.chdir(self._folder)
        if self._variables != self._environment:
            os.environ.clear()
            _set_environment(self._environment)
        if sys.path != self._path:
            sys.path[:] = self._path
        os.umask(self._umask)
        for number, handler in self._signals.items():
            if _signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        _signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._logging.restore(task)

    def settle(self, task: str) -> None:
        """After a run: let out what it printed and is still held, before its end is told."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._restore_files()
        for stream in {sys.stdout, sys.stderr, *self._streams}:
            try:
                stream.flush()
            except Exception:
                self._streams = _streams()  # what it holds would come out in a later run
        self._logging.keep(task)

    def _restore_files(self) -> None:
        os.set_blocking(self._output, True)
        for number, source in enumerate((self._null, self._output, self._output)):
            os.dup2(source, number)
        if any(stream.closed for stream in self._streams):
            self._streams = _streams()

    def outgrown(self) -> bool:
        """Whether jobs have used so much memory that a new worker is better."""
        return _peak_memory() - self._peak > RETIRE_GROWTH

    def bound(self) -> bool:
        """Whether a job has given up rights or limits, which a process does not get back."""
        return _bounds() != self._bounds


def _set_environment(variables: dict[Any, Any]) -> None:
    for name, value in variables.items():
        os.environ[os.fsdecode(name)] = os.fsdecode(value)


class Logging:
    """Log records from INFO up go to standard error, unless a job sets up logging itself.

    What a job sets up is its own: kept for its next run, for it may do so once, at import.
    """

    def __init__(self) -> None:
        self._set_up: dict[str, tuple[list[Any], int]] = {}
        self._root: Any = None
        self._ours: tuple[list[Any], int] = ([], 0)

    def restore(self, task: str) -> None:
        """The root logger as this task knows it."""
        if self._root is None:
            self._begin()
        self._root.handlers[:], level = self._set_up.get(task, self._ours)
        if self._root.level != level:
            self._root.setLevel(level)

    def keep(self, task: str) -> None:
        """Remember what the task has set up."""
        now = (list(self._root.handlers), self._root.level)
        if now != self._ours:
            self._set_up[task] = now

    def _begin(self) -> None:
        import logging

        class ToStandardError(logging.StreamHandler[Any]):
            """Looks the stream up for each record: a job may have closed the old one."""

            def emit(self, record: logging.LogRecord) -> None:
                self.stream = sys.stderr
                super().emit(record)

        ours = ToStandardError()
        ours.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self._root, self._ours = logging.getLogger(), ([ours], logging.INFO)
        basic_config = logging.basicConfig

        def basic_config_of_a_job(**options: Any) -> None:
            self._root.removeHandler(ours)  # else it would see a root logger that is set up
            basic_config(**options)

        logging.basicConfig = basic_config_of_a_job


def _streams() -> tuple[Any, Any, Any]:
    """Standard input, output and error; their descriptors are not theirs to close."""
    said = {"encoding": "utf-8", "errors": "backslashreplace", "buffering": 1, "closefd": False}
    return open(0, encoding="utf-8", closefd=False), open(1, "w", **said), open(2, "w", **said)  # type: ignore[call-overload]


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
    main = threading.main_thread()
    return any(not one.daemon for one in threading.enumerate() if one is not main)


def _bounds() -> list[object]:
    """User, group, niceness and the limits that programs set; asked after each run, so no more than these."""
    import resource

    limits = ("AS", "CORE", "CPU", "DATA", "FSIZE", "NOFILE", "NPROC", "STACK")
    return [
        os.geteuid(),
        os.getegid(),
        os.nice(0),
        *(resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in limits),
    ]


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


def _leave(*_: object) -> None:
    """SIGTERM: the job may clean up on the way out; who does not leave is killed a little later."""
    raise SystemExit(_TERMINATED)


def _read_path(life: int) -> tuple[list[str], bytes]:
    """The scheduler's import path, a JSON line, by which an application's own modules are found; and what follows."""
    data = b""
    while b"\n" not in data:
        part = os.read(life, 65536)
        if not part:
            os._exit(0)
        data += part
    line, _, rest = data.partition(b"\n")
    found: list[str] = json.loads(line)
    return found, rest


def main() -> None:
    """Entry of ``python -m``."""
    inbox, life, result, output = (int(one) for one in sys.argv[1:5])
    for one in (inbox, life, result, output):
        os.set_inheritable(one, False)
    sys.argv = ["jobctl-worker"]
    take_harmless_signals()
    _adopt_orphans()
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    path, unread = _read_path(life)
    sys.path += [one for one in path if one not in sys.path]
    signal.signal(signal.SIGTERM, _leave)
    Worker(inbox, life, result, output, unread).main()


if __name__ == "__main__":
    main()
