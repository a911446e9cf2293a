"""Control in figures: how soon a run is dead after its cancel, what a run's context costs, and a backlog of later runs."""

import os
import select
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from timeit import repeat

import pytest

from jobctl.execution.messages import Description
from jobctl.execution.worker_run import WorkerControls, make_context
from jobctl.model import RunStatus, Trigger, WaitingRun
from jobctl.store.open import open_store
from jobctl.store.records import Cancellation, new_run_ids
from tests.benchmarks.conftest import Figure, Figures
from tests.benchmarks.peers.jobctl_peer import cpu_of
from tests.support.postgres import Postgres
from tests.support.project import until

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

PROGRAM = Path(sys.executable).parent / "jobctl"
OTHERS_OFF = "builtin = false\n"
ROUNDS = 10
BACKLOG = 100_000
IDLE_S = 20


@pytest.mark.parametrize(("kind", "bar"), [("one machine", 0.3), ("two machines, on Postgres", 2.5)])
def test_a_cancelled_run_is_dead_soon(
    kind: str, bar: float, tmp_path: Path, postgres: Postgres, figures: Figures
) -> None:
    """A program that ends at SIGTERM; from the request, by another process, to its death. The slowest of ten."""
    place: Path | str = tmp_path / ".jobctl" if bar < 1 else postgres.schema()
    (tmp_path / "jobctl.toml").write_text(
        f'{OTHERS_OFF}[jobs.sleeps]\nevery = "1s"\ncommand = ["sh", "-c", "echo $$ > pid; exec sleep 600"]\n'
    )
    environment = {**os.environ, "JOBCTL_STATE": str(place)}
    process = subprocess.Popen(
        [PROGRAM, "run", "-q"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
    )
    taken = []
    try:
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        with closing(open_store(place)) as store:
            for number in range(ROUNDS):
                (run,) = until(lambda: store.runs(statuses=[RunStatus.RUNNING]))
                pid = int(until((tmp_path / "pid").read_text))
                sleeper = os.pidfd_open(pid)
                threading.Event().wait(0.5 + number / ROUNDS / 5)  # at another phase of its checks
                began = time.monotonic()
                store.cancel(Cancellation(run.id, "benchmark"), datetime.now(UTC))
                assert select.select([sleeper], [], [], 30)[0]
                taken.append(time.monotonic() - began)
                os.close(sleeper)
                until(lambda: (found := store.run(run.id)) and found.status is RunStatus.CANCELLED)  # noqa: B023
                until(lambda: (tmp_path / "pid").read_text().strip() != str(pid))  # noqa: B023
    finally:
        process.terminate()
        process.wait()
    slowest = max(taken)
    figures.check([Figure(f"cancel to dead, {kind}, s", f"{slowest:.2f} s", "1 s", slowest, bar)])


def test_the_context_of_a_run_is_cheap(figures: Figures) -> None:
    """Made as a worker does it for a job that asks; for others it is not made."""
    task = Description(1, False, "job", "schedule", 1, 1, 3600.0)

    def make() -> None:
        make_context(task, "0123456789abcdef", 1_800_000_000_000, 1_800_000_000.0, WorkerControls(1, 1))

    times = 10_000
    took = min(repeat(make, number=times, repeat=5)) / times * 1e6
    figures.check([Figure("context of a run, µs", f"{took:.1f} µs", "1 µs", took, 5)])


def test_a_backlog_of_later_runs_costs_an_idle_scheduler_nothing(tmp_path: Path, figures: Figures) -> None:
    """CPU time of an idle scheduler over 20 s, with and without 100,000 runs that begin in a year."""
    spent: dict[str, list[float]] = {"without": [], "with": []}
    for number in range(3):
        for name, times in spent.items():
            folder = tmp_path / f"{name}-{number}"
            folder.mkdir()
            (folder / "jobctl.toml").write_text(
                f'{OTHERS_OFF}[jobs.idle]\ncron = "0 0 1 1 *"\ncommand = ["true"]\n'
            )
            if name == "with":
                begin = datetime.now(UTC) + timedelta(days=365)
                with closing(open_store(folder / ".jobctl")) as store:
                    store.keep(
                        [
                            WaitingRun(run_id, "idle", begin + timedelta(seconds=at), Trigger.MANUAL)
                            for at, run_id in enumerate(new_run_ids(BACKLOG))
                        ]
                    )
            process = subprocess.Popen([PROGRAM, "run", "-q"], cwd=folder, stdout=subprocess.DEVNULL)
            try:
                threading.Event().wait(8)
                before = cpu_of(process.pid)
                threading.Event().wait(IDLE_S)
                times.append(cpu_of(process.pid) - before)
            finally:
                process.terminate()
                process.wait()
    ours, theirs = (median(spent[name]) * 1000 for name in ("with", "without"))
    figures.check(
        [
            Figure(
                "idle for 20 s with 100,000 later runs", f"{ours:.1f} ms", f"{theirs:.1f} ms without", ours / theirs, 1.1
            )
        ]
    )  # fmt: skip
