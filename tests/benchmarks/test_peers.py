"""jobctl beside its peers and floors, each in a process of its own, all in the same run.

Prints a table with all of them, and asserts the ratios of the bars. ``JOBCTL_BENCH_SECONDS`` is how long each
burst lasts, ``JOBCTL_BENCH_PEERS`` names some of them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.conftest import Figure, Figures

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

SECONDS = int(os.environ.get("JOBCTL_BENCH_SECONDS", "10"))
PEERS = {
    "jobctl_peer": ("jobctl", "all"),
    "apscheduler_memory": ("APScheduler 3, memory", "nothing"),
    "apscheduler_sqlite": ("APScheduler 3, SQLite", "next times"),
    "huey_sqlite": ("huey, SQLite", "results"),
    "schedule_loop": ("schedule", "nothing"),
    "asyncio_timer": ("floor: asyncio timers", "nothing"),
    "heap_sqlite": ("floor: heap, threads, SQLite", "all"),
}
CHOSEN = os.environ.get("JOBCTL_BENCH_PEERS", ",".join(PEERS)).split(",")
SIZES = (10, 100, 1000)
DRAIN = {"apscheduler_sqlite": 2000}
ROOT = Path(__file__).parents[2]


def measure(peer: str, what: str, folder: Path, jobs: int, seconds: int = 0) -> dict[str, Any]:
    folder.mkdir(parents=True)
    words = [
        sys.executable,
        "-m",
        f"tests.benchmarks.peers.{peer}",
        what,
        str(folder),
        str(jobs),
        str(seconds),
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class Measured:
    """Everything that was found out about one peer."""

    def __init__(self, peer: str, folder: Path) -> None:
        self.name, self.keeps = PEERS[peer]
        self.bursts = {
            jobs: measure(peer, "burst", folder / f"burst-{jobs}", jobs, SECONDS) for jobs in SIZES
        }
        jobs = DRAIN.get(peer, 10_000)
        drained = measure(peer, "drain", folder / "drain", jobs)
        self.rate = jobs / drained["took_s"] if drained else None
        self.idle = {
            jobs: measure(peer, "idle", folder / f"idle-{jobs}", jobs, 30 if jobs < 100 else 1)
            for jobs in (13, 10_000)
        }

    def late(self, jobs: int, part: float) -> float:
        """In milliseconds, of the runs that were served."""
        return percentile(self.bursts[jobs]["late_s"], part) * 1000

    def served(self, jobs: int) -> float:
        return len(self.bursts[jobs]["late_s"]) / (jobs * SECONDS)

    @property
    def cpu_a_run(self) -> float:
        """Microseconds of each further run, from the smallest burst to the largest: starting does not count."""
        (few, little), (many, much) = (
            (burst.get("all_runs", len(burst["late_s"])), burst["cpu_s"])
            for burst in (self.bursts[SIZES[0]], self.bursts[SIZES[-1]])
        )
        return float((much - little) / max(1, many - few) * 1e6)

    @property
    def mebibytes(self) -> tuple[float, float]:
        small, large = (self.idle[jobs]["memory_kib"] / 1024 for jobs in (13, 10_000))
        return small, large

    def row(self) -> list[str]:
        lateness = [
            f"{self.late(jobs, 0.5):.1f} / {self.late(jobs, 0.99):.1f}"
            + ("" if self.served(jobs) > 0.999 else f" ({self.served(jobs):.0%} served)")
            for jobs in SIZES
        ]
        rate = "-" if self.rate is None else f"{self.rate:,.0f}"
        memory = "{:.0f} / {:.0f}".format(*self.mebibytes)
        idle = f"{self.idle[13]['cpu_s'] * 1000:.0f} ms"
        return [self.name, self.keeps, *lateness, rate, f"{self.cpu_a_run:.0f}", idle, memory]


HEAD = [
    "start minus due, ms, p50 / p99", "keeps", "10 jobs a second", "100", "1,000", "runs/s", "µs of CPU a run",
    "idle CPU, 30 s", "MiB, 13 / 10,000 jobs",
]  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measured]:
    for module in ("apscheduler", "huey", "schedule"):
        pytest.importorskip(module, reason="needs the bench group")
    return {peer: Measured(peer, tmp_path_factory.mktemp(peer)) for peer in CHOSEN}


def test_the_table_of_all(measured: dict[str, Measured], figures: Figures) -> None:
    figures.table("Beside its peers", [HEAD, *(one.row() for one in measured.values())])


@pytest.mark.parametrize(("jobs", "bar"), [(10, 1.5), (100, 1.0), (1000, 1.0)], ids=str)
def test_every_run_is_served_on_time(
    measured: dict[str, Measured], figures: Figures, jobs: int, bar: float
) -> None:
    ours, theirs = measured["jobctl_peer"], measured["apscheduler_memory"]
    assert not ours.bursts[jobs]["gaps"]
    assert ours.served(jobs) == 1
    late, their_late = ours.late(jobs, 0.99), theirs.late(jobs, 0.99)
    figure = Figure(
        f"p99 of start minus due, {jobs:,} jobs each second", f"{late:.0f} ms",
        f"{their_late:.0f} ms, APScheduler in memory", late / their_late, bar,
    )  # fmt: skip
    figures.add(figure)
    assert figure.kept, figure


COMPARED: dict[str, Callable[[dict[str, Measured]], Figure]] = {
    "cpu": lambda all_: Figure(
        "CPU a recorded run", f"{all_['jobctl_peer'].cpu_a_run:.0f} µs",
        f"{all_['heap_sqlite'].cpu_a_run:.0f} µs, the floor that keeps all",
        all_["jobctl_peer"].cpu_a_run / all_["heap_sqlite"].cpu_a_run,
        max(4.5, 100 / all_["heap_sqlite"].cpu_a_run),
    ),
    "rate": lambda all_: Figure(
        "recorded runs a second", f"{all_['jobctl_peer'].rate or 0:,.0f}",
        f"{all_['apscheduler_memory'].rate or 0:,.0f}, APScheduler in memory",
        (all_["jobctl_peer"].rate or 0) / (all_["apscheduler_memory"].rate or 1),
        min(0.5, 12_000 / (all_["apscheduler_memory"].rate or 1)), more=True,
    ),
    "rate with SQLite": lambda all_: Figure(
        "recorded runs a second", f"{all_['jobctl_peer'].rate or 0:,.0f}",
        f"{all_['apscheduler_sqlite'].rate or 0:,.0f}, APScheduler with SQLite",
        (all_["jobctl_peer"].rate or 0) / (all_["apscheduler_sqlite"].rate or 1), 5, more=True,
    ),
    "rate of huey": lambda all_: Figure(
        "recorded runs a second", f"{all_['jobctl_peer'].rate or 0:,.0f}",
        f"{all_['huey_sqlite'].rate or 0:,.0f}, huey with SQLite",
        (all_["jobctl_peer"].rate or 0) / (all_["huey_sqlite"].rate or 1), 1, more=True,
    ),
    "memory": lambda all_: Figure(
        "memory of an idle scheduler, 13 jobs", f"{all_['jobctl_peer'].mebibytes[0]:.0f} MiB",
        f"{all_['heap_sqlite'].mebibytes[0]:.0f} MiB, the floor",
        all_["jobctl_peer"].mebibytes[0] / all_["heap_sqlite"].mebibytes[0], 2.7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", COMPARED)
def test_what_it_costs(measured: dict[str, Measured], figures: Figures, what: str) -> None:
    figure = COMPARED[what](measured)
    figures.add(figure)
    assert figure.kept, figure


def test_an_idle_scheduler_costs_next_to_nothing(measured: dict[str, Measured]) -> None:
    """10 ms of CPU in 30 s, and 2 KiB for each job."""
    idle = measured["jobctl_peer"].idle
    assert idle[13]["cpu_s"] <= 0.01
    assert (idle[10_000]["memory_kib"] - idle[13]["memory_kib"]) / 9_987 <= 2
