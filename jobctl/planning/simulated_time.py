"""A clock and workers for the scheduler in which time passes at once: no process runs, nothing waits."""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jobctl.clock import from_ms, to_ms
from jobctl.durations import milliseconds
from jobctl.execution.pool import BATCH
from jobctl.execution.tasks import Outcome, Task, TaskFinished
from jobctl.model import Reason


class SimulatedClock:
    """All clocks are one, in whole milliseconds; it moves only by ``advance``."""

    def __init__(self, begin: datetime) -> None:
        self.ms = to_ms(begin)

    def now(self) -> datetime:
        """The simulated time, in UTC."""
        return from_ms(self.ms)

    def seconds_until(self, instant: datetime) -> float:
        """Seconds until ``instant``."""
        return (instant - self.now()).total_seconds()

    def monotonic(self) -> float:
        """The simulated time in seconds since 1970."""
        return self.ms / 1000

    boottime = monotonic

    def advance(self, until_ms: float) -> None:
        """Let time pass until then, for a millisecond at least."""
        self.ms = max(self.ms + 1, math.ceil(until_ms))


@dataclass(slots=True)
class _Worker:
    """``free_at``: when it will have finished its tasks, in ms since 1970."""

    free_at: int = 0
    load: int = 0
    is_quick: bool = True


@dataclass(order=True, slots=True)
class _Going:
    ends_at: int
    number: int
    began_at: int = field(compare=False)
    task: Task = field(compare=False)
    worker: _Worker = field(compare=False)
    reason: Reason | None = field(compare=False)


class SimulatedWorkers:
    """Stands in for ``WorkerPool``: a task ends when its duration, or its timeout, is over.

    Args:
        workers: how many may run at once.
        until: where time ends.
        duration: how long the run of a task takes.
    """

    def __init__(
        self,
        workers: int,
        clock: SimulatedClock,
        until: datetime,
        duration: Callable[[Task], timedelta],
    ) -> None:
        self._clock = clock
        self._until_ms = to_ms(until)
        self._duration = duration
        self._workers = [_Worker() for _ in range(workers)]
        self._going: list[_Going] = []  # a heap
        self._ended: list[Outcome] = []
        self._number = 0

    def capacity(self, *, quick: bool) -> int:
        """As ``WorkerPool.capacity``."""
        idle = sum(not worker.load for worker in self._workers)
        if not quick:
            return idle
        behind = sum(
            BATCH - worker.load for worker in self._workers if 0 < worker.load < BATCH and worker.is_quick
        )
        return idle * BATCH + behind

    def submit(self, tasks: Sequence[Task]) -> None:
        """Begin tasks, each at once or behind quick ones."""
        for task in tasks:
            usable = [
                worker for worker in self._workers if not worker.load or (task.quick and worker.is_quick)
            ]
            worker = min(usable or self._workers, key=lambda worker: worker.load)
            began_at = max(self._clock.ms, worker.free_at)
            duration = min(self._duration(task), task.timeout)
            worker.free_at = began_at + (milliseconds(duration) or 0)
            worker.is_quick = task.quick
            worker.load += 1
            self._number += 1
            reason = Reason.TIMEOUT if duration == task.timeout else None
            heapq.heappush(self._going, _Going(worker.free_at, self._number, began_at, task, worker, reason))

    def poll(self, timeout: float) -> Sequence[Outcome]:
        """Let up to ``timeout`` seconds pass, until a task ends; returns what has ended."""
        if not self._ended:
            ends_at = self._going[0].ends_at if self._going else math.inf
            self._clock.advance(min(self._clock.ms + 1000 * timeout, ends_at, self._until_ms))
            while self._going and self._going[0].ends_at <= self._clock.ms:
                going = heapq.heappop(self._going)
                self._end(going, going.ends_at, going.reason)
        ended, self._ended = self._ended, []
        return ended

    def _end(self, going: _Going, ends_at: int, reason: Reason | None) -> None:
        going.worker.load -= 1
        began = min(going.began_at, ends_at)
        self._ended.append(
            TaskFinished(
                going.task.run_id,
                0,
                from_ms(began),
                from_ms(ends_at),
                timedelta(milliseconds=ends_at - began),
                reason,
            )
        )

    def end(self, run_ids: Sequence[str], reason: Reason, *, now: bool = False) -> None:
        """End tasks at once."""
        del now
        wanted = set(run_ids)
        ended = [going for going in self._going if going.task.run_id in wanted]
        self._going = [going for going in self._going if going.task.run_id not in wanted]
        heapq.heapify(self._going)
        for going in ended:
            going.worker.free_at = min(going.worker.free_at, self._clock.ms)
            self._end(going, self._clock.ms, reason)

    def masked(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """The value itself: nothing of a simulation is kept."""
        return value

    def wake(self) -> None:
        """Nothing waits."""

    def ask_to_end(self) -> None:
        """No task asks."""

    def answer_slot(self, run_id: str, slot: datetime | None) -> None:
        """No task asks."""

    def renew(self, owner_id: str) -> None:
        """There are no processes to renew."""

    def close(self) -> None:
        """There are no processes to end."""
