"""A store with many jobs and a long history, and many schedulers on one Postgres store.

``JOBCTL_BENCH_SCALE`` is the part of 100,000 jobs and 10,000,000 runs that is made, ``JOBCTL_BENCH_SCHEDULERS`` and
``JOBCTL_BENCH_SLOTS`` the size of the fleet, ``JOBCTL_BENCH_SECONDS`` how long it is watched.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from jobctl.model import Job, RunStatus
from jobctl.schedules import Cron, Every
from jobctl.store.open import open_store
from tests.benchmarks.conftest import Figure, Figures
from tests.benchmarks.peers.common import memory
from tests.benchmarks.peers.jobctl_peer import cpu_of, manager
from tests.benchmarks.test_store import NOW, best, with_history
from tests.support.postgres import Postgres

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]

SCALE = float(os.environ.get("JOBCTL_BENCH_SCALE", "1"))
JOBS, RUNS = int(100_000 * SCALE), int(10_000_000 * SCALE)
SCHEDULERS = int(os.environ.get("JOBCTL_BENCH_SCHEDULERS", "20"))
SLOTS = int(os.environ.get("JOBCTL_BENCH_SLOTS", "1000"))
SECONDS = int(os.environ.get("JOBCTL_BENCH_SECONDS", "10"))
ROOT = Path(__file__).parents[2]


def test_nothing_grows_with_the_history_but_the_file(tmp_path: Path, figures: Figures) -> None:
    taken: dict[str, list[float]] = {}
    for runs in (RUNS // 10, RUNS):
        folder = tmp_path / str(runs)
        with_history(folder, runs, JOBS).close()
        looks: dict[str, Callable[[], object]] = {"opening": lambda: open_store(folder).close()}  # noqa: B023
        store = open_store(folder)
        looks |= {
            "status of one job": partial(store.job, "job-3"),
            "newest runs": store.runs,
            "newest runs of one job": partial(store.runs, "job-3"),
            "newest failed runs": partial(store.runs, statuses=[RunStatus.FAILED]),
            "metrics of one job": partial(store.metrics, "job-3"),
            "pruning nothing": partial(store.prune, NOW, timedelta(days=36500), 1000),
        }
        for name, look in looks.items():
            taken.setdefault(name, []).append(best(look, 3) * 1000)
        store.close()
    figures.check(
        Figure(
            f"{name}, {JOBS:,} jobs, {RUNS:,} runs", f"{many:.2f} ms", f"{few:.2f} ms, a tenth of the runs",
            many / (few + 0.5), 3,
        )
        for name, (few, many) in taken.items()
    )  # fmt: skip


def test_no_tick_costs_more_with_many_jobs(tmp_path: Path, figures: Figures) -> None:
    """Of jobs that are not due, while one is due each second."""
    rare = Cron(f"0 0 1 {(NOW.month + 5) % 12 + 1} *")
    spent: dict[int, float] = {}
    start = 0.0
    for jobs in (100, JOBS):
        folder = tmp_path / str(jobs)
        folder.mkdir()
        with manager(folder) as made:
            made.add(Job(f"job-{n}", "rare", rare, "noop:noop") for n in range(jobs))
            made.add([Job("tick", "often", Every(timedelta(seconds=1)), "noop:noop")])
            before = time.process_time()
            made.start()
            start = time.process_time() - before
            threading.Event().wait(10)
            before = time.process_time()
            threading.Event().wait(35)
            spent[jobs] = (time.process_time() - before) * 1000
        made.store.close()
    figures.check(
        [
            Figure(
                f"CPU of 35 s with one run a second, {JOBS:,} jobs", f"{spent[JOBS]:.0f} ms, start {start:.1f} s, {memory() // 1024} MiB",
                f"{spent[100]:.0f} ms, 100 jobs", spent[JOBS] / spent[100], 2,
            )
        ]
    )  # fmt: skip


def test_many_schedulers_share_one_store(tmp_path: Path, figures: Figures) -> None:
    """Each slot is run once, and by each scheduler a share."""
    server = Postgres(connections=10 + 6 * SCHEDULERS)
    with ExitStack() as end:
        end.callback(server.close)
        address = server.schema()
        schema = address.rpartition("=")[2]
        fleet = [_member(end, tmp_path / str(n), address) for n in range(SCHEDULERS)]
        for member in fleet:
            assert _answer(member) == "ready"
        threading.Event().wait(SECONDS)  # they learn which jobs are quick
        [[first]] = server.execute("SELECT (extract(epoch FROM now()) * 1000)::bigint")
        used, database = [_cpu(member) for member in fleet], _server_cpu(server)
        threading.Event().wait(SECONDS)
        [[last]] = server.execute("SELECT (extract(epoch FROM now()) * 1000)::bigint")
        database = _server_cpu(server) - database
        used = [_cpu(member) - before for member, before in zip(fleet, used, strict=True)]
        threading.Event().wait(2)
        runs = f"FROM {schema}.runs WHERE scheduled_for >= {first} AND scheduled_for < {last} - 1000"
        [[slots, served]] = server.execute(
            f"SELECT count(DISTINCT (job_id, scheduled_for)), count(*) {runs} AND status <> 'skipped'"
        )
        shares = [row[0] for row in server.execute(f"SELECT count(*) {runs} GROUP BY owner ORDER BY 1")]
    seconds = (last - first) / 1000 - 1
    assert served == slots, "a slot twice"
    rates = f"{min(shares) / seconds:.0f} to {max(shares) / seconds:.0f}"
    figures.table(
        f"{SCHEDULERS} schedulers on one Postgres, {SLOTS} slots a second",
        [
            ["runs/s", "runs/s of a scheduler", "µs of CPU a run: all schedulers", "Postgres"],
            [
                f"{served / seconds:.0f}", rates, f"{sum(used) / served * 1e6:.0f}", f"{database / served * 1e6:.0f}",
            ],
        ],
    )  # fmt: skip
    figures.check(
        [
            Figure("slots that were served", f"{served:,}", f"{SLOTS * seconds:,.0f}", served / (SLOTS * seconds), 0.99, more=True),
            Figure("least share of a scheduler", f"{min(shares)}", f"{served / SCHEDULERS:.0f}, an equal share",
                   min(shares) * SCHEDULERS / served * (len(shares) == SCHEDULERS), 0.1, more=True),
        ]
    )  # fmt: skip


def _member(end: ExitStack, folder: Path, address: str) -> "subprocess.Popen[str]":
    words = [
        sys.executable,
        "-m",
        "tests.benchmarks.peers.fleet_member",
        str(folder),
        address,
        str(SLOTS),
    ]
    member = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def leave() -> None:
        member.stdin.close()  # type: ignore[union-attr]
        member.wait(60)

    end.callback(leave)
    return member


def _answer(member: "subprocess.Popen[str]") -> str:
    assert member.stdout is not None
    return member.stdout.readline().strip()


def _cpu(member: "subprocess.Popen[str]") -> float:
    assert member.stdin is not None
    member.stdin.write("\n")
    member.stdin.flush()
    return float(_answer(member))


def _server_cpu(server: Postgres) -> float:
    """Seconds of CPU of the server's processes, also of those that have ended."""
    leader = int(Path(server.data, "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
    fields = Path(f"/proc/{leader}/stat").read_text().rpartition(")")[2].split()
    seconds = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    for pid in (leader, *map(int, children)):
        with suppress(FileNotFoundError):  # it has ended meanwhile
            seconds += cpu_of(pid)
    return float(seconds)
