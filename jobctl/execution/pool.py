"""Warm worker processes: who gets which task, and what happens to tasks that hang or crash.

Why not Pebble: it ends a worker but not the worker's children, tells no start, keeps no output apart
by run, and takes one task a round trip. Here each task's end is the end of all its processes; quick
tasks go out in batches, and those stuck behind a slow one are taken back and given to another worker.
"""

import os
import selectors
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobctl.clock import Clock, SystemClock
from jobctl.errors import EXHAUSTED, reason_of
from jobctl.execution.process_tree import descendants, end_left_by, kill_tree, send
from jobctl.execution.tasks import Outcome, Task
from jobctl.execution.worker_handle import STARTING, Link, Told, ending_words
from jobctl.model import Command, Reason
from jobctl.settings.masking import Mask
from jobctl.store.logs import MOST

BATCH = 64
STUCK = 0.1
START_TRIES = 3
START_AGAIN_S = 1.0
_LONGEST_WAIT = 1.0
_CHUNK = 64 * 1024
_MOST_CHUNKS = 64


class WorkerPool:
    """An ``Executor`` of worker processes. They start when needed and are kept warm.

    Args:
        workers: how many may run at once.
        project: the folder that they run in and import from.
        environment: theirs.
        owner_id: marks them, so that they can be found should this process be killed.
        logs: where the runs' logs go.
        most_logs: bytes of one job's logs.
        mask: takes the secrets out of texts.
        grace: between SIGTERM and SIGKILL of a task that must end.
        start_limit: how long a worker may take to come up.
        permitted: whether tasks may begin now; asked in the moment before.
    """

    def __init__(
        self,
        *,
        workers: int,
        project: Path,
        environment: Mapping[str, str],
        owner_id: str,
        logs: Path,
        most_logs: int = MOST,
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
        self._links: list[Link] = []
        self._backlog: deque[Task] = deque()
        self._told = Told(logs, most_logs, mask or Mask(), self._clock)
        self._start_after = 0.0
        self._failed_starts: list[Mapping[str, str]] = []  # the variables of each
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._closed = False

    # The Executor protocol

    def capacity(self, *, quick: bool) -> int:
        """How many more tasks would start at once, or soon behind quick ones."""
        free = self._most - sum(link.load > 0 or link.retired for link in self._links) - len(self._backlog)
        if not quick:
            return max(0, free)
        behind = sum(BATCH - link.load for link in self._links if 0 < link.load < BATCH and self._flows(link))
        return max(0, free * BATCH + behind)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand over tasks."""
        self._backlog.extend(tasks)
        self._dispatch()

    def poll(self, timeout: float) -> Sequence[Outcome]:
        """Wait for outcomes, at most ``timeout`` seconds, and see to timeouts."""
        if self._told:
            timeout = 0
        for key, _ in self._selector.select(min(timeout, self._rest())):
            if key.data is None:
                with suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
        for link in list(self._links):
            self._look_at(link)
            self._unregister(link.at_end)  # else it is ready for ever, with nothing to read
        self._dispatch()
        return self._told.take()

    def wake(self) -> None:
        """Make ``poll`` return now. From any thread or signal handler."""
        if self._closed:
            return  # the descriptor's number may be another file's by now
        with suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b".")

    def busy(self) -> Sequence[str]:
        """Run ids handed over and not finished."""
        found = [task.run_id for task in self._backlog]
        for link in self._links:
            if link.current is not None:
                found.append(link.current.task.run_id)
            found.extend(link.queue)
        return found

    def end(self, run_ids: Sequence[str], reason: Reason, *, now: bool = False) -> None:
        """End tasks with all their processes: SIGTERM, some seconds, SIGKILL; ``now``: SIGKILL."""
        wanted = set(run_ids)
        for link in self._links:
            self._hear(link)
            if wanted & link.queue.keys():
                self._backlog.extendleft(reversed(link.take_back()))
        for task in [one for one in self._backlog if one.run_id in wanted]:
            self._backlog.remove(task)
            self._told.never_began(task, reason)
        for link in self._links:
            if link.current is not None and link.current.task.run_id in wanted:
                self._begin_end(link, reason, now=now)
            elif wanted & link.queue.keys():
                self._begin_end(link, reason, now=True)  # about to begin: it has nothing to save

    def end_all(self, reason: Reason) -> None:
        """Kill every worker with all below it. From any thread."""
        with self._guard:
            for link in self._links:
                link.ending = link.ending or reason
                if link.process.returncode is None:
                    kill_tree(link.pid)
        self.wake()

    def extend(self, deadline: float | None) -> None:
        """Let workers live until then: without a further call they end themselves. From any thread."""
        with self._guard:
            self._deadline = deadline
            for link in self._links:
                link.extend(deadline)

    def renew(self, owner_id: str) -> None:
        """Have new workers: the idle ones end now, those on a task after it."""
        self._owner_id = owner_id
        for link in self._links:
            link.retired = True
            self._backlog.extendleft(reversed(link.take_back()))
        self._dispatch()

    def close(self) -> None:
        """End every worker at once."""
        if self._closed:
            return
        self._closed = True
        with self._guard:
            for link in self._links:
                if link.load:
                    kill_tree(link.pid)
                link.process.kill()
                link.close()
                if link.load:
                    end_left_by(link.token, link.pid)
                if link.current is not None:
                    link.current.log.close(self._clock.now())
            self._links.clear()
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

    # Who gets what

    def _dispatch(self) -> None:
        """Give waiting tasks to workers: each to an idle one, quick ones also behind others."""
        with self._guard:
            self._dispatch_permitted()

    def _dispatch_permitted(self) -> None:
        while self._backlog and self._permitted():
            task = self._backlog[0]
            link = self._choose(task)
            if link is None:
                return
            batch = [self._backlog.popleft()]
            share = -(-len(self._backlog) // self._most)
            while (
                task.quick
                and self._backlog
                and self._backlog[0].quick
                and self._backlog[0].worker_environment == task.worker_environment
                and len(batch) <= min(share, BATCH - 1)
            ):
                batch.append(self._backlog.popleft())
            try:
                unsent = link.hand(batch)
                self._backlog.extendleft(reversed(unsent))
                if len(unsent) == len(batch):
                    return
            except ValueError as error:
                self._told.never_began(batch[0], Reason.ERROR, str(error), retry=False)
                self._backlog.extendleft(reversed(batch[1:]))

    def _choose(self, task: Task) -> Link | None:
        variables = task.worker_environment
        usable = [link for link in self._links if link.variables == variables and not link.gives_up]
        for link in usable:
            if link.load == 0:
                return link
        if len(self._links) == self._most:
            self._make_room()
        elif (
            self._failed_starts.count(variables) < START_TRIES
            and self._clock.monotonic() >= self._start_after
        ):
            return self._start(variables)
        if task.quick:
            flowing = [link for link in usable if link.load < BATCH and self._flows(link)]
            return min(flowing, key=lambda link: link.load, default=None)
        return None

    def _make_room(self) -> None:
        """Let an idle worker go, for one with other variables, unless one goes already."""
        idle = [link for link in self._links if link.load == 0]
        if idle and not any(link.retired for link in idle):
            idle[0].retired = True

    def _flows(self, link: Link) -> bool:
        """Whether what is handed to a worker now will soon begin: it is on quick tasks and not stuck."""
        if link.gives_up:
            return False
        if link.current is None:
            return all(task.quick for task in link.queue.values())
        return link.current.task.quick and self._clock.monotonic() - link.current.began < STUCK

    def _start(self, variables: Mapping[str, str]) -> Link | None:
        try:
            with STARTING:
                link = Link(self._project, self._environment, self._owner_id, variables, self._deadline)
        except OSError as error:
            if error.errno not in EXHAUSTED or not self._links:
                self._no_worker(variables, reason_of(error))
                return None
            # the end of another worker makes room
            self._start_after = self._clock.monotonic() + START_AGAIN_S
            if not any(link.load for link in self._links):
                self._make_room()
            return None
        self._links.append(link)
        self._selector.register(link.result, selectors.EVENT_READ, link)
        self._selector.register(link.output, selectors.EVENT_READ, link)
        return link

    def _unregister(self, pipes: Iterable[int]) -> None:
        for pipe in pipes:
            with suppress(KeyError):
                self._selector.unregister(pipe)

    # What workers tell

    def _look_at(self, link: Link) -> None:
        with self._guard:  # a pid that is reaped may be another process's at once
            gone = link.process.poll() is not None
        self._hear(link)
        if link.read_output() or link.printed:
            self._show(link)
        if gone:
            self._bury(link)
            return
        now = self._clock.monotonic()
        current = link.current
        if link.kill_at is not None and now >= link.kill_at:
            link.kill_at = None
            kill_tree(link.pid)
        elif current is not None and link.ending is None and now >= current.deadline:
            self._begin_end(link, Reason.TIMEOUT)
        elif link.queue and current is not None and now - current.began > STUCK:
            self._backlog.extendleft(reversed(link.take_back()))
        elif not link.ready and link.ending is None and now - link.since > self._start_limit:
            link.fault = f"was not ready after {self._start_limit:g} seconds"
            kill_tree(link.pid)
        elif link.retired and link.load == 0:
            link.process.kill()
        elif link.deaf_since is not None and now - link.deaf_since > 1:
            link.fault = "closed the files that it needs to tell its end"
            kill_tree(link.pid)

    def _hear(self, link: Link) -> None:
        """Take what a worker tells, until it tells something that is no message."""
        try:
            for message in link.messages() if link.fault is None else ():
                self._take(link, message)
        except (ValueError, KeyError, TypeError, RecursionError):
            link.fault = "told what is no message, as a job does that writes to files that are not its own"
            kill_tree(link.pid)

    def _show(self, link: Link) -> None:
        if link.current is not None:
            self._told.printed(link.current, link.take_printed())
        elif not link.queue and len(link.printed) > _CHUNK:
            # what a thread goes on to print after its run; whole lines, for half a secret is not known as one
            del link.printed[: link.printed.find(b"\n", -_CHUNK) + 1 or None]

    def _take(self, link: Link, message: dict[str, Any]) -> None:
        if "started" in message:
            self._told.began(link, message["started"], message["at"])
        elif "finished" in message:
            self._finished(link, message)
        elif "ready" in message:
            link.ready = True
            self._forgive(link.variables)

    def _finished(self, link: Link, message: dict[str, Any]) -> None:
        current = link.current
        if current is None or current.task.run_id != message["finished"]:
            return
        self._told.printed(current, link.take_printed(ended=current.task.run_id))
        reason = Reason(message["reason"]) if message["reason"] else None
        error = message["error"]
        if link.ending is not None and (reason is not None or link.ending is Reason.TIMEOUT):
            reason, error = link.ending, ending_words(current.task, link.ending)
        if message["retired"]:
            link.retired = True
            self._take_back(link)
        self._told.ended(
            link, current, reason, error, at=message["at"], took=message["took"], message=message
        )
        link.retired = link.retired or link.ending is not None
        link.ending = link.kill_at = None

    def _bury(self, link: Link) -> None:
        """A worker has ended: settle what it was on, give on what it had not begun."""
        if link.load:
            end_left_by(link.token, link.pid)
        for _ in range(_MOST_CHUNKS):  # somebody who is not ours might hold the pipe and go on for ever
            if not link.read_output():
                break
            self._show(link)
        current = link.current
        if not link.ready and not link.retired:
            self._failed_starts.append(link.variables)
        words = self._told.last_line(bytes(link.printed))
        if current is not None:
            self._told.printed(current, link.take_printed())
            now = self._clock.monotonic()
            reason = link.ending or Reason.CRASHED
            error = ending_words(current.task, reason, link.end)
            self._told.ended(link, current, reason, error, at=now, took=now - current.began, message={})
        if link.ending not in {None, Reason.TIMEOUT}:
            for task in link.queue.values():
                self._told.never_began(task, link.ending or Reason.INTERRUPTED)
            link.queue.clear()
        self._take_back(link)
        self._unregister((link.result, link.output))
        with self._guard:
            self._links.remove(link)
            link.close()
        like = [one for one in self._links if one.variables == link.variables]
        if self._failed_starts.count(link.variables) >= START_TRIES and not like:
            self._no_worker(link.variables, words or f"it {link.end}")

    def _take_back(self, link: Link) -> None:
        """Give on what a worker that takes no more had not begun."""
        unread = link.take_back()
        for task in reversed(link.queue.values()):
            if link.fault is not None and link.ready:  # it may have begun: what was told is not to be trusted
                self._told.never_began(task, Reason.CRASHED, ending_words(task, Reason.CRASHED, link.end))
            else:
                self._backlog.appendleft(task)
        link.queue.clear()
        self._backlog.extendleft(reversed(unread))

    def _no_worker(self, variables: Mapping[str, str], words: str) -> None:
        """Nothing can be run with these variables: say so for each task instead of trying for ever."""
        for task in [one for one in self._backlog if one.worker_environment == variables]:
            self._backlog.remove(task)
            self._told.never_began(task, Reason.CRASHED, f"no worker could be started: {words}")
        self._forgive(variables)

    def _forgive(self, variables: Mapping[str, str]) -> None:
        if self._failed_starts:
            self._failed_starts = [one for one in self._failed_starts if one != variables]

    # Ending

    def _begin_end(self, link: Link, reason: Reason, *, now: bool = False) -> None:
        """SIGTERM to all of the task's processes; of a program's run not to the worker, which reports its end."""
        link.ending = link.ending or reason
        if now:
            kill_tree(link.pid)
            return
        if link.kill_at is not None:
            return
        own = link.current.task.grace if link.current is not None else None
        link.kill_at = self._clock.monotonic() + (self._grace if own is None else own.total_seconds())
        below = descendants(link.pid)
        program = link.current is not None and isinstance(link.current.task.target, Command)
        send(below if program and below else [*below, link.pid], signal.SIGTERM)

    def _rest(self) -> float:
        """Seconds until something must be looked at without being told."""
        rest = _LONGEST_WAIT
        now = self._clock.monotonic()
        for link in self._links:
            if link.kill_at is not None:
                rest = min(rest, link.kill_at - now, 0.05)
            elif link.ending or link.fault or link.deaf_since or (link.retired and link.load == 0):
                rest = min(rest, 0.02)
            elif link.current is not None:
                rest = min(rest, link.current.deadline - now)
                if link.queue:
                    rest = min(rest, max(0.01, link.current.began + STUCK - now))
        return max(0.0, rest)
