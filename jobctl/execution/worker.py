"""The worker process: reads permits for tasks, runs them one by one, and reports the result of each.

Started clean, as ``python -P -m jobctl.execution.worker DESCRIPTIONS PERMITS LIFE RESULT OUTPUT`` (five file
descriptors), in the project's folder and in a session of its own. ``messages`` says what goes through them. A start is
reported before the function is called, so that a task is never begun twice: without that report the pool may give the
task to another worker. When the life line closes, its scheduler is gone: the worker ends itself
with all below it. It does the same at the deadline that came last through the line, since its scheduler's lease
has run out then, and other machines may run its jobs. A thread waits for that: ``PR_SET_PDEATHSIG`` is tied to the
thread that started the worker, and would leave its children.
"""

import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING

from jobctl import run_of_process
from jobctl.clock import boottime
from jobctl.execution import calling
from jobctl.execution.messages import END, NO_SLOT, PERMIT, READY, SLOT, CallResult, Description, begun, ended
from jobctl.execution.process_tree import descendants, send
from jobctl.execution.worker_state import WorkerState
from jobctl.signals import take_harmless_signals

if TYPE_CHECKING:
    from jobctl.execution.worker_run import WorkerControls
    from jobctl.run_context import RunContext

RETIRE_AFTER = 50_000  # a start costs as much as a thousand quick runs
_NOTHING = nullcontext()
_CHILD_GRACE = 2.0
_LARGEST_TASK = 256 * 1024
_DEADLINE_CHECK_S = 1.0  # poll does not count the time of a suspended machine
_HELPERS = (
    ("multiprocessing.forkserver", "_forkserver", "_forkserver_pid"),
    ("multiprocessing.resource_tracker", "_resource_tracker", "_pid"),
    ("loky.backend.resource_tracker", "_resource_tracker", "_pid"),
    ("joblib.externals.loky.backend.resource_tracker", "_resource_tracker", "_pid"),
)
_TERMINATED = 128 + signal.SIGTERM


class Worker:
    """The loop, and the thread that reads the life line. ``unread``: what came through it with the first line."""

    def __init__(
        self, descriptions: int, permits: int, life: int, result: int, output: int, *, unread: bytes
    ) -> None:
        self._descriptions, self._permits = descriptions, permits
        self._life, self._result, self._output = life, result, output
        self._unread = unread
        self._known: dict[int, Description] = {}
        self._pid = os.getpid()
        self._mark = b"\x1e%s " % os.environ["JOBCTL_WORKER"].encode()
        self._done = 0
        self._is_finalized = False  # objects that a job's modules share between processes are unusable
        self._unsent = b""
        self._state = WorkerState(output)
        self._slot, self._run_id = NO_SLOT, b""
        self._task: tuple[int, Description, float] | None = None
        self._contexts: dict[int, tuple[RunContext, WorkerControls]] = {}
        self._asked_to_end = 0
        run_of_process.find = self._find_context

    def main(self) -> None:
        """Work until the life line closes or nothing more should run here."""
        try:
            threading.Thread(target=self._live, name="jobctl-life-line", daemon=True).start()
        except RuntimeError:
            sys.exit("the system allows no more threads (ulimit -u)")
        os.set_blocking(self._permits, False)
        self._unsent = READY + b"\n"
        is_last = False
        while not is_last:
            number, task = self._next()
            self._unsent += begun(number, time.monotonic())
            self._flush()
            is_last = self._run(number, task)
        self._flush()
        threading.Event().wait()  # for the pool, which ends it

    def _next(self) -> tuple[int, Description]:
        """The next task. If it is there already, the end of the last one is reported together with its start."""
        number, described, self._slot, self._run_id = PERMIT.unpack(self._read_permit())
        while (task := self._known.get(described)) is None:
            read = Description(*json.loads(os.read(self._descriptions, _LARGEST_TASK)))
            if read.is_kept or read.number == number:  # else its task was taken back
                self._known[read.number] = read
        if not task.is_kept:
            del self._known[described]
        return number, task

    def _read_permit(self) -> bytes:
        while True:
            try:
                return os.read(self._permits, PERMIT.size)
            except BlockingIOError:
                self._flush()
                waiting = select.poll()
                waiting.register(self._permits, select.POLLIN)
                waiting.poll()

    def _run(self, number: int, task: Description) -> bool:
        """Run a task; True where this worker should run no other."""
        name = task.target or str(task.argv)
        module = name.partition(":")[0]
        context = self._state.begin(name, module)
        began = time.monotonic()
        self._task = (number, task, time.time())
        ending = self._prepare(task)
        if ending is None and task.argv is not None:
            ending = calling.run_command(task.argv, task.memory_mib)
        elif ending is None:
            importing = self._state.importing(module)
            with _bounded(task.memory_mib):
                ending = context.run(calling.call, name, task.arguments, importing=importing)
            if task.memory_mib is not None and (ending.error or "").startswith("MemoryError"):
                error = f"MemoryError: it took more than memory_mib = {task.memory_mib} allows"
                ending = ending._replace(error=error)
        if os.getpid() != self._pid:
            os._exit(0)  # a child that the job forked came back from the call
        took = time.monotonic() - began
        self._end_context()
        left = self._end_children()
        is_clean = self._state.restore(name, took)
        if left:
            self._print(f"ended {left} process{'es' * (left > 1)} that the job left behind")
        self._put(self._output, b"%s%d\n" % (self._mark, number))
        self._done += 1
        if left or self._is_finalized or not is_clean or self._done >= RETIRE_AFTER or _threads_left():
            ending = ending._replace(is_last=True)
        self._unsent += ended(number, time.monotonic(), took, ending)
        return ending.is_last

    def _prepare(self, task: Description) -> CallResult | None:
        """Go where the task begins, with its variables; how it failed, where that cannot be done."""
        if task.environment:
            os.environ.update(task.environment)
        if task.argv is not None:
            os.environ.update(self._variables())
        if task.folder is None:
            return None
        try:
            os.chdir(task.folder)
        except OSError as error:
            return calling.failure(
                f"the folder {task.folder} cannot be entered: {(error.strerror or '').lower()}"
            )
        return None

    def _variables(self) -> dict[str, str]:
        """What a program finds of its run; ``JOBCTL_PREVIOUS_SLOT`` and its arguments are in its environment."""
        from jobctl.clock import iso

        context = self._find_context()
        if context is None:
            return {}
        return {
            "JOBCTL_RUN_ID": context.run_id,
            "JOBCTL_JOB_ID": context.job_id,
            "JOBCTL_ATTEMPT": str(context.attempt),
            "JOBCTL_DEADLINE": iso(context.deadline),
            **({} if context.slot is None else {"JOBCTL_SLOT": iso(context.slot)}),
        }

    def _find_context(self) -> "RunContext | None":
        """What ``current_run`` returns: one context a task, also where several threads ask at once."""
        if self._task is None:
            return None
        number, task, began = self._task
        found = self._contexts.get(number)
        if found is None:
            from jobctl.execution.worker_run import WorkerControls, make_context

            made = WorkerControls(number, self._result)
            context = make_context(task, self._run_id.rstrip(b"\0").decode(), self._slot, began, made)
            found = self._contexts.setdefault(number, (context, made))
            if self._asked_to_end == number:
                found[1].is_asked_to_end = True
        return found[0]

    def _end_context(self) -> None:
        self._task = None
        if self._contexts:
            for _, controls in list(self._contexts.values()):
                controls.report_last()
                controls.has_ended = True
            self._contexts.clear()

    def _hear(self, line: bytes) -> None:
        """What comes through the life line about a task."""
        number, *slot = map(int, line[len(SLOT if line.startswith(SLOT) else END) :].split())
        if not slot:
            self._asked_to_end = number  # first: a context that is made meanwhile looks for it
        if (found := self._contexts.get(number)) is None:
            return
        if slot:
            found[1].hear_slot(slot[0])
        else:
            found[1].is_asked_to_end = True

    # The pipes

    def _live(self) -> None:
        """Wait for the end of the life line, or for the last deadline that came through it; ask tasks to end."""
        line = select.poll()
        line.register(self._life, select.POLLIN)
        data, deadline = self._unread, None
        while True:
            *whole, data = data.split(b"\n")
            for each in whole:
                if each.startswith((END, SLOT)):
                    self._hear(each)
                else:
                    deadline = float(each)
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

    def _flush(self) -> None:
        """Send the reports. None is held back while a job runs or while there is no task."""
        self._put(self._result, self._unsent)
        self._unsent = b""

    def _print(self, line: str) -> None:
        self._put(self._output, f"{line}\n".encode())

    def _put(self, pipe: int, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(pipe, data) :]
        except BrokenPipeError:
            self._end_all()

    # The end

    def _end_children(self) -> int:
        """End what the job left running; returns how many processes. A run without children costs one call.

        Helpers of ``multiprocessing`` end last: they wait for what else uses them, ignore SIGTERM, and do not count.
        """
        if not _children_left():
            return 0
        helpers = _helpers()
        self._is_finalized = bool(helpers) and _finalize()

        def others() -> list[int]:
            return [pid for pid in descendants(os.getpid()) if pid not in helpers] if _children_left() else []

        left = others()
        send(left, signal.SIGTERM)
        end = time.monotonic() + _CHILD_GRACE
        pause = threading.Event()
        while others() and time.monotonic() < end:
            pause.wait(0.02)
        while below := others():
            send(below, signal.SIGKILL)
            pause.wait(0.01)
        stuck = [pid for pid, stop in helpers.items() if not _stopped(stop)]
        send([pid for pid in descendants(os.getpid()) if pid in stuck], signal.SIGKILL)
        return len(left) + len(stuck)

    def _end_all(self) -> None:
        while below := descendants(os.getpid()):
            send(below, signal.SIGKILL)
            _children_left()
        os._exit(0)


def _bounded(mib: int | None) -> AbstractContextManager[None]:
    """The bound on what a function may take, in MiB."""
    if mib is None:
        return _NOTHING
    from jobctl.memory_limit import bounded

    return bounded(mib)


def _children_left() -> bool:
    """Whether a child is still running; those that have ended are reaped."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def _helpers() -> dict[int, Callable[[], object]]:
    """The fork server and the resource trackers that pools of processes have started here, each with what ends it."""
    found: dict[int, Callable[[], object]] = {}
    for module, name, pid in _HELPERS:
        helper = getattr(sys.modules.get(module), name, None)
        if (number := getattr(helper, pid, None)) is not None:
            found[number] = partial(methodcaller("_stop"), helper)
    return found


def _finalize() -> bool:
    """Release what processes share, as Python does when it ends, or a tracker warns of it; whether there was any."""
    import gc

    gc.collect()
    with suppress(Exception):
        util = vars(sys.modules["multiprocessing.util"])
        shared = [at for at, _ in util["_finalizer_registry"] if at is not None and at >= 0]
        util["_run_finalizers"](0)
        return bool(shared)
    return True


def _stopped(stop: Callable[[], object]) -> bool:
    """Whether a helper has ended, as it does when nothing uses it any more; waits for a limited time."""
    stopped = []

    def wait() -> None:
        with suppress(Exception):
            stop()
            stopped.append(True)

    with suppress(RuntimeError):
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        thread.join(_CHILD_GRACE)
    return bool(stopped)


def _threads_left() -> bool:
    """Whether the job left threads, which would print into the logs of later runs."""
    return threading.active_count() > 2  # the main thread, and that of the life line


def _adopt_orphans() -> None:
    """On Linux, what a job's children leave behind becomes ours, so that it can be found and ended."""
    if sys.platform != "linux":
        return
    import ctypes

    set_child_subreaper = 36
    ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0)


def _leave(*_: object) -> None:
    """SIGTERM: the job may clean up on the way out; a worker that stays is killed a little later."""
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
    descriptors = [int(argument) for argument in sys.argv[1:6]]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    sys.argv = ["jobctl-worker"]
    take_harmless_signals()
    _adopt_orphans()
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    path, unread = _read_path(descriptors[2])
    sys.path += [folder for folder in path if folder not in sys.path]
    signal.signal(signal.SIGTERM, _leave)
    Worker(*descriptors, unread=unread).main()


if __name__ == "__main__":
    main()
