"""One executor out of two: worker processes for what can be imported, threads for what cannot."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jobctl.clock import Clock
from jobctl.execution.pool import WorkerPool
from jobctl.execution.tasks import Executor, Outcome, Task
from jobctl.execution.threads import ThreadExecutor
from jobctl.model import Command, Reason
from jobctl.settings.masking import Mask


class Executors:
    """Hands each task to where it can run. The pool's ``poll`` is the one place that waits."""

    def __init__(self, pool: WorkerPool, threads: ThreadExecutor) -> None:
        self._pool = pool
        self._threads = threads

    def capacity(self, *, quick: bool) -> int:
        """What the workers have room for; a thread always has."""
        return self._pool.capacity(quick=quick)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand over tasks."""
        by_name = [task for task in tasks if isinstance(task.target, str | Command)]
        if by_name:
            self._pool.submit(by_name)
        if len(by_name) < len(tasks):
            self._threads.submit([task for task in tasks if not isinstance(task.target, str | Command)])

    def poll(self, timeout: float) -> Sequence[Outcome]:
        """Wait up to ``timeout`` seconds for outcomes of either or ``wake``."""
        outcomes = self._pool.poll(timeout)
        return [*outcomes, *self._threads.poll()]

    def wake(self) -> None:
        """Make ``poll`` return now."""
        self._pool.wake()

    def busy(self) -> Sequence[str]:
        """Run ids handed over and not finished."""
        return [*self._pool.busy(), *self._threads.busy()]

    def end(self, run_ids: Sequence[str], reason: Reason, *, now: bool = False) -> None:
        """End these tasks, as far as a thread can be ended: it cannot."""
        self._pool.end(run_ids, reason, now=now)
        self._threads.end(run_ids, reason)

    def end_all(self, reason: Reason) -> None:
        """Kill what runs in workers; a thread cannot be killed."""
        self._pool.end_all(reason)

    def extend(self, deadline: float | None) -> None:
        """Let workers live until then."""
        self._pool.extend(deadline)

    def renew(self, owner_id: str) -> None:
        """Have new workers; what runs in threads is of this process."""
        self._pool.renew(owner_id)

    def close(self) -> None:
        """End every worker at once."""
        self._pool.close()

    def after_fork(self) -> None:
        """In a forked child: let go of the parent's workers; its threads are not here."""
        self._pool.after_fork()


def make_executor(
    *,
    workers: int,
    project: Path,
    environment: Mapping[str, str],
    owner_id: str,
    logs: Path,
    most_logs: int,
    mask: Mask,
    clock: Clock,
    permitted: Callable[[], bool],
) -> Executor:
    """The executor of a local manager; see ``WorkerPool`` for what it takes."""
    pool = WorkerPool(
        workers=workers,
        project=project,
        environment=environment,
        owner_id=owner_id,
        logs=logs,
        most_logs=most_logs,
        mask=mask,
        clock=clock,
        permitted=permitted,
    )
    return Executors(pool, ThreadExecutor(wake=pool.wake, clock=clock, mask=mask))
