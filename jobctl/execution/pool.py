"""Warm worker processes: which worker gets which task, and what happens to tasks that hang or crash.

Why not Pebble: it ends a worker but not the worker's children, reports no start, keeps no output apart
by run, and takes one task a round trip. Here each task's end is the end of all its processes; quick
tasks are sent in batches, and those stuck behind a slow one, or in a worker that does not go on, are taken
back and given to another worker.
"""

import os
import select
import selectors
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jobctl.clock import Clock, SystemClock
from jobctl.errors import EXHAUSTED, reason_of
from jobctl.execution.log_shipping import LogShipper
from jobctl.execution.task_outcomes import Outcomes
from jobctl.execution.tasks import Outcome, Task
from jobctl.execution.worker_handle import STARTING, WorkerHandle
from jobctl.model import Reason
from jobctl.settings.masking import Mask
from jobctl.store.logs import DEFAULT_LIMIT

BATCH = 64
START_TRIES = 3
START_AGAIN_S = 1.0
_LONGEST_WAIT = 1.0


class WorkerPool:
    """Runs tasks in worker processes, which start when needed and are kept warm, and reports how they end.

    All methods but ``wake``, ``end_all`` and ``extend`` are called from one thread.

    Args:
        workers: how many may run at once.
        project: the folder that they run in and import from.
        environment: their environment.
        owner_id: marks them, so that they can be found should this process be killed; see ``renew``.
        logs: the folder for run logs.
        most_logs: bytes of one job's logs.
        shipper: copies logs into the run store; None: they stay in their files.
        mask: removes secrets from texts.
        grace: between SIGTERM and SIGKILL of a task that must end.
        start_limit: how long a worker may take to be ready.
        permitted: whether tasks may begin now; asked right before.
    """

    def __init__(
        self,
        *,
        workers: int,
        project: Path,
        environment: Mapping[str, str],
        owner_id: str = "",
        logs: Path,
        most_logs: int = DEFAULT_LIMIT,
        shipper: LogShipper | None = None,
        mask: Mask | None = None,
        grace: timedelta = timedelta(seconds=5),
        start_limit: timedelta = timedelta(seconds=30),
        clock: Clock | None = None,
        permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._most = workers
        self._permitted = permitted
        self._deadline: float | None = None
        self._guard = threading.RLock()
        """Held while workers begin, end, or are killed by another thread."""
        self._project = project
        self._environment = environment
        self._owner_id = owner_id
        self._grace = grace.total_seconds()
        self._start_limit = start_limit.total_seconds()
        self._clock: Clock = clock or SystemClock()
        self._workers: list[WorkerHandle] = []
        self._backlog: deque[Task] = deque()
        self._outcomes = Outcomes(logs, most_logs, mask or Mask(), self._clock, shipper)
        self._start_after = 0.0
        self._failed_starts: list[Mapping[str, str]] = []  # the variables of each
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._closed = False

    def capacity(self, *, quick: bool) -> int:
        """How many more tasks would start at once, or soon behind quick ones."""
        taken = sum(worker.load > 0 or worker.is_retired for worker in self._workers)
        free = self._most - taken - len(self._backlog)
        if not quick:
            return max(0, free)
        behind = sum(
            BATCH - worker.load for worker in self._workers if 0 < worker.load < BATCH and worker.flows
        )
        return max(0, free * BATCH + behind)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Accept tasks; no more than ``capacity`` said."""
        self._backlog.extend(tasks)
        self._dispatch()

    def poll(self, timeout: float) -> Sequence[Outcome]:
        """Wait up to ``timeout`` seconds for outcomes or ``wake``; also enforces timeouts."""
        now = self._clock.monotonic()
        checks = [worker.seconds_to_check(now) for worker in self._workers]
        rest = min([_LONGEST_WAIT, *(seconds for seconds in checks if seconds is not None)])
        for key, _ in self._select(0 if self._outcomes else max(0.0, min(timeout, rest))):
            if key.fd == self._wake_read:
                with suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
        for worker in list(self._workers):
            self._requeue(worker.poll())
            self._unregister(worker.at_end)  # else it is ready for ever, with nothing to read
            if worker.is_ready:
                self._forget_failed_starts(worker.variables)
            if worker.has_exited:
                self._remove(worker)
        self._dispatch()
        return self._outcomes.take()

    def masked(self, value: Any) -> Any:
        """A JSON value without secrets."""
        return self._outcomes.masked(value)

    def _select(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        """What can be read, within ``timeout`` seconds: to the microsecond, where epoll alone counts milliseconds."""
        with suppress(ValueError):  # a descriptor that is too large for select
            select.select([self._selector], [], [], timeout)
            timeout = 0.0
        return self._selector.select(timeout)

    def wake(self) -> None:
        """Make ``poll`` return now. From any thread or signal handler."""
        if self._closed:
            return  # the descriptor's number may be another file's by now
        with suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b".")

    def end(self, run_ids: Sequence[str], reason: Reason, *, now: bool = False) -> None:
        """End tasks with all their processes: SIGTERM, a grace time, SIGKILL; ``now``: SIGKILL.

        Each is still reported by ``poll`` as ``TaskFinished``, with ``reason``.
        """
        wanted = set(run_ids)
        for worker in self._workers:
            self._requeue(worker.read_messages())
            if not wanted.isdisjoint(worker.run_ids):
                self._requeue(worker.take_back())
                self._requeue(worker.wait_for_begin())
        for task in [task for task in self._backlog if task.run_id in wanted]:
            self._backlog.remove(task)
            self._outcomes.not_started(task, reason)
        for worker in self._workers:
            worker.end_if_on(wanted, reason, now=now)

    def ask_to_end(self) -> None:
        """Ask every task to end by itself; those that want to know find out by ``current_run().cancelled``."""
        for worker in self._workers:
            worker.ask_to_end()

    def answer_slot(self, run_id: str, slot: datetime | None) -> None:
        """Answer a ``TaskAsksSlot``: the slot that completed before that of the run."""
        for worker in self._workers:
            worker.answer_slot(run_id, slot)

    def end_all(self, reason: Reason) -> None:
        """Kill every worker with all below it, at once. From any thread; it never waits for a database."""
        with self._guard:
            for worker in self._workers:
                worker.kill(reason)
        self.wake()

    def extend(self, deadline: float | None) -> None:
        """Let workers live until then, in seconds of ``clock.boottime``; None: without limit. From any thread.

        Without a further call they end themselves.
        """
        with self._guard:
            self._deadline = deadline
            for worker in self._workers:
                worker.extend(deadline)

    def renew(self, owner_id: str) -> None:
        """Run what begins from now on in new workers, under this registration; what runs goes on."""
        self._owner_id = owner_id
        for worker in self._workers:
            worker.is_retired = True
            self._requeue(worker.take_back())
        self._dispatch()

    def close(self) -> None:
        """End every worker at once. Idempotent."""
        if self._closed:
            return
        self._closed = True
        with self._guard:
            for worker in self._workers:
                worker.close()
            self._workers.clear()
        self._close_own()

    def after_fork(self) -> None:
        """In a forked child: close what was inherited from the parent, whose workers they are."""
        if not self._closed:
            self._closed = True
            self._close_own()

    def _close_own(self) -> None:
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    # Which worker gets which task

    def _requeue(self, tasks: Sequence[Task]) -> None:
        self._backlog.extendleft(reversed(tasks))

    def _dispatch(self) -> None:
        """Give waiting tasks to workers: each to an idle one, quick ones also behind others."""
        with self._guard:
            share = -(-len(self._backlog) // self._most)
            while self._backlog and self._permitted():
                worker = self._choose(self._backlog[0])
                if worker is None or not self._send_batch(worker, min(share, BATCH - worker.load)):
                    return

    def _send_batch(self, worker: WorkerHandle, most: int) -> bool:
        """Send the next task, and quick ones with it; False where the worker has no room."""
        task = self._backlog.popleft()
        batch = [task]
        while (
            task.quick
            and len(batch) < most
            and self._backlog
            and self._backlog[0].quick
            and self._backlog[0].worker_environment == task.worker_environment
        ):
            batch.append(self._backlog.popleft())
        try:
            unsent = worker.send(batch)
        except ValueError as error:
            self._outcomes.not_started(task, Reason.ERROR, str(error), retry=False)
            self._requeue(batch[1:])
            return True
        self._requeue(unsent)
        return len(unsent) < len(batch)

    def _choose(self, task: Task) -> WorkerHandle | None:
        variables = task.worker_environment
        usable = [
            worker for worker in self._workers if worker.variables == variables and worker.accepts_tasks
        ]
        for worker in usable:
            if worker.load == 0:
                return worker
        if len(self._workers) == self._most:
            self._make_room()
        elif (
            self._failed_starts.count(variables) < START_TRIES
            and self._clock.monotonic() >= self._start_after
        ):
            return self._start(variables)
        if task.quick:
            flowing = [worker for worker in usable if worker.load < BATCH and worker.flows]
            return min(flowing, key=lambda worker: worker.load, default=None)
        return None

    def _make_room(self) -> None:
        """Retire an idle worker for one with other variables, unless one is retired already."""
        idle = [worker for worker in self._workers if worker.load == 0]
        if idle and not any(worker.is_retired for worker in idle):
            idle[0].is_retired = True

    # Starts and exits

    def _start(self, variables: Mapping[str, str]) -> WorkerHandle | None:
        try:
            with STARTING:
                worker = WorkerHandle(
                    self._project,
                    self._environment,
                    self._owner_id,
                    variables,
                    outcomes=self._outcomes,
                    clock=self._clock,
                    guard=self._guard,
                    grace=self._grace,
                    start_limit=self._start_limit,
                    deadline=self._deadline,
                )
        except OSError as error:
            if error.errno not in EXHAUSTED or not self._workers:
                self._give_up(variables, reason_of(error))
                return None
            # the end of another worker makes room
            self._start_after = self._clock.monotonic() + START_AGAIN_S
            if not any(worker.load for worker in self._workers):
                self._make_room()
            return None
        self._workers.append(worker)
        self._selector.register(worker.result, selectors.EVENT_READ)
        self._selector.register(worker.output, selectors.EVENT_READ)
        return worker

    def _remove(self, worker: WorkerHandle) -> None:
        if not worker.is_ready and not worker.is_retired:
            self._failed_starts.append(worker.variables)
        self._unregister({worker.result, worker.output})
        with self._guard:
            self._workers.remove(worker)
            worker.close()
        alike = [other for other in self._workers if other.variables == worker.variables]
        if self._failed_starts.count(worker.variables) >= START_TRIES and not alike:
            self._give_up(worker.variables, worker.last_words)

    def _give_up(self, variables: Mapping[str, str], why: str) -> None:
        """No worker starts with these variables: fail each of their tasks instead of trying for ever."""
        for task in [task for task in self._backlog if task.worker_environment == variables]:
            self._backlog.remove(task)
            self._outcomes.not_started(task, Reason.CRASHED, f"no worker could be started: {why}")
        self._forget_failed_starts(variables)

    def _forget_failed_starts(self, variables: Mapping[str, str]) -> None:
        if self._failed_starts:
            self._failed_starts = [failed for failed in self._failed_starts if failed != variables]

    def _unregister(self, descriptors: set[int]) -> None:
        for descriptor in descriptors:
            with suppress(KeyError):
                self._selector.unregister(descriptor)
