"""A bench: a real pool over a scratch project, and all outcomes of its tasks."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.clock import SystemClock
from jobctl.execution.job_threads import JobThreads
from jobctl.execution.pool import WorkerPool
from jobctl.execution.tasks import Outcome, Task, TaskFinished, TaskOutput, TaskStarted
from jobctl.model import Command, Target
from jobctl.settings.masking import Mask
from jobctl.signals import OWNER_MARK

TIMEOUT_S = 60.0


class Bench:
    """Hands tasks to a pool and keeps what comes out."""

    def __init__(
        self,
        folder: Path,
        workers: int = 2,
        secrets: Sequence[str] = (),
        environment: Mapping[str, str] = {},
        start_limit: float = 30,
    ) -> None:
        self.folder = folder
        self.logs = folder / ".jobctl" / "logs"
        self.owner = os.urandom(8).hex()
        self.outcomes: list[Outcome] = []
        self._number = 0
        self.pool = WorkerPool(
            workers=workers,
            project=folder,
            environment={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            owner_id=self.owner,
            logs=self.logs,
            mask=Mask(secrets),
            grace=timedelta(seconds=0.5),
            start_limit=timedelta(seconds=start_limit),
        )

    def write(self, code: str, name: str = "work.py") -> None:
        (self.folder / name).write_text(code, encoding="utf-8")

    def task(self, target: Target, *, timeout: float = 30, **options: Any) -> Task:
        self._number += 1
        return Task(f"run{self._number}", "job", target, timedelta(seconds=timeout), **options)

    def submit(self, *tasks: Task) -> None:
        self.pool.submit(tasks)

    def poll(self, timeout: float = 1) -> None:
        self.outcomes += self.pool.poll(timeout)

    def until(self, done: Any) -> None:
        """Poll until ``done()``; fails after a minute."""
        end = time.monotonic() + TIMEOUT_S
        while not done():
            assert time.monotonic() < end, f"nothing came of it; so far: {self.outcomes[-5:]}"
            self.poll(0.2)

    def finish(self, *tasks: Task) -> list[TaskFinished]:
        """Wait for the ends of tasks that were submitted."""
        self.until(lambda: {one.run_id for one in tasks} <= self.finished.keys())
        return [self.finished[one.run_id] for one in tasks]

    def run(self, target: Target, *, timeout: float = 30, **options: Any) -> TaskFinished:
        """One task from beginning to end."""
        task = self.task(target, timeout=timeout, **options)
        self.submit(task)
        return self.finish(task)[0]

    def call(self, body: str, **options: Any) -> TaskFinished:
        """Run a function with this body."""
        lines = "\n".join(f"    {line}" for line in body.splitlines())
        name = f"work{self._number}"
        self.write(f"def main():\n{lines}\n", f"{name}.py")
        return self.run(f"{name}:main", **options)

    def program(self, *argv: str, **options: Any) -> TaskFinished:
        return self.run(Command(argv), **options)

    def wait_started(self, task: Task) -> TaskStarted:
        self.until(lambda: task.run_id in self.started)
        return self.started[task.run_id][0]

    @property
    def started(self) -> dict[str, list[TaskStarted]]:
        found: dict[str, list[TaskStarted]] = {}
        for one in self.outcomes:
            if isinstance(one, TaskStarted):
                found.setdefault(one.run_id, []).append(one)
        return found

    @property
    def finished(self) -> dict[str, TaskFinished]:
        ended = [one for one in self.outcomes if isinstance(one, TaskFinished)]
        found = {one.run_id: one for one in ended}
        assert len(ended) == len(found), "a run ended twice"
        return found

    def lines(self, run: TaskFinished | Task) -> list[str]:
        """What listeners were shown of a run."""
        return [
            line
            for one in self.outcomes
            if isinstance(one, TaskOutput) and one.run_id == run.run_id
            for line in one.lines
        ]

    def log(self, run: TaskFinished | Task) -> str:
        return (self.logs / "job" / f"{run.run_id}.log").read_text(encoding="utf-8")

    def processes(self) -> list[int]:
        """Every process that carries this bench's mark."""
        return marked(self.owner)


def marked(owner: str) -> list[int]:
    mark = f"{OWNER_MARK}={owner}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


class Threads:
    """A thread executor and its outcomes."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self.executor = JobThreads(self._woken.set, SystemClock(), Mask(["hunter2hunter2"]))

    def run(self, function: Callable[..., Any], timeout: float = 30, **options: Any) -> list[Outcome]:
        self.executor.submit([self.task(function, timeout, **options)])
        return self.finish()

    def task(self, function: Callable[..., Any], timeout: float = 30, **options: Any) -> Task:
        return Task("run", "job", function, timedelta(seconds=timeout), **options)

    def finish(self) -> list[Outcome]:
        return self.until(TaskFinished)

    def until(self, kind: type[Outcome]) -> list[Outcome]:
        found: list[Outcome] = []
        while not any(isinstance(one, kind) for one in found):
            found += self.executor.poll()
            self._woken.wait(0.05)
        return found


@pytest.fixture
def threads() -> Threads:
    return Threads()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.pool.close()
    assert bench.processes() == []


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Any]:
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        folder = tmp_path / f"project{len(made)}"
        folder.mkdir()
        made.append(Bench(folder, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.pool.close()
        assert bench.processes() == []
