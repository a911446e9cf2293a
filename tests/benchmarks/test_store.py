"""The run store against bare sqlite3 in the same run: recorded runs a second, and looks over a large history.

Adds its findings to the table of figures; asserts the bars. ``JOBCTL_BENCH_RUNS`` changes the size of the history.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from jobctl.model import RunStatus, Trigger
from jobctl.store.open import open_store
from jobctl.store.records import (
    Claim,
    Claimed,
    Ending,
    Misfires,
    Owner,
    Registration,
    new_run_id,
    new_run_ids,
)
from jobctl.store.sqlite import SQLiteRunStore
from tests.benchmarks.conftest import Figure, Figures

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
RUNS = int(os.environ.get("JOBCTL_BENCH_RUNS", "1000000"))
BATCH = 100
TAKEN = 20_000


def best(does: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of some tries: the others were held up by something else."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        does()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def opened(folder: Path, jobs: int) -> SQLiteRunStore:
    store = open_store(folder)
    assert isinstance(store, SQLiteRunStore)
    store.register([Registration(f"job-{n}", "a job", "every 1m", "UTC") for n in range(jobs)], NOW)
    return store


def record_bare(folder: Path) -> float:
    """Runs a second of the same two writes with one index and no answers."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "bare.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE runs (id TEXT PRIMARY KEY, job TEXT, slot INT, status TEXT, at INT)")
        connection.execute("CREATE UNIQUE INDEX one_a_slot ON runs (job, slot)")
        begin = time.perf_counter()
        for batch in range(TAKEN // BATCH):
            ids = [new_run_id() for _ in range(BATCH)]
            connection.execute("BEGIN IMMEDIATE")
            for n, run_id in enumerate(ids):
                connection.execute(
                    "INSERT INTO runs VALUES (?, ?, ?, 'running', 0)", (run_id, f"job-{n}", batch)
                )
            connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
            for run_id in ids:
                connection.execute("UPDATE runs SET status = 'completed', at = 1 WHERE id = ?", (run_id,))
            connection.execute("COMMIT")
        return TAKEN / (time.perf_counter() - begin)


def record(folder: Path) -> float:
    """Runs a second through the store, claimed and finished in batches."""
    owner = Owner("owner", "scheduler", "here", 1, "1", "boot", NOW)
    with closing(opened(folder, BATCH)) as store:
        store.register_process(owner)
        begin = time.perf_counter()
        for batch in range(TAKEN // BATCH):
            slot = NOW + timedelta(seconds=batch)
            known = Misfires(None if batch == 0 else slot - timedelta(seconds=1), 0)
            wanted = [
                Claim(run_id, f"job-{n}", Trigger.SCHEDULE, slot, slot=slot, next_run=slot, misfires=known)
                for n, run_id in enumerate(new_run_ids(BATCH))
            ]
            begun = [one.claim for one in store.claim(owner, wanted) if isinstance(one, Claimed)]
            took = timedelta(milliseconds=1)
            store.finish(
                [Ending(claim.run_id, claim.job_id, RunStatus.COMPLETED, slot, slot, took) for claim in begun]
            )
        taken = time.perf_counter() - begin
        assert store.metrics().successful_jobs == TAKEN
    return TAKEN / taken


def test_recorded_runs_a_second(tmp_path: Path, figures: Figures) -> None:
    bare = max(record_bare(tmp_path / f"bare-{n}") for n in range(3))
    ours = max(record(tmp_path / f"ours-{n}") for n in range(3))
    figures.check(
        [
            Figure(
                "run store: runs a second",
                f"{ours:,.0f}",
                f"{bare:,.0f}, bare sqlite3",
                ours / bare,
                1 / 6,
                more=True,
            )
        ]
    )


def with_history(folder: Path, runs: int, jobs: int = 10) -> SQLiteRunStore:
    """Jobs with so many runs, written past the store to be quick."""
    store = opened(folder, jobs)
    with closing(sqlite3.connect(store.place)) as connection, connection:
        connection.executemany(
            "INSERT INTO runs (id, job_id, status, trigger, scheduled_for, epoch, started_at, finished_at,"
            " duration_ms, host) VALUES (?, ?, 'completed', 'schedule', ?, 1, ?, ?, ?, 'here')",
            ((f"{n:016x}", f"job-{n % jobs}", n, n, n, n % 777) for n in range(runs)),
        )
        connection.execute(
            "UPDATE jobs SET completed = ?, timed = ?, last_run ="
            " (SELECT max(seq) FROM runs WHERE job_id = jobs.id AND duration_ms IS NOT NULL)",
            (runs // jobs, runs // jobs),
        )
    return store


def test_a_large_history_costs_no_more(tmp_path: Path, figures: Figures) -> None:
    sizes = (1000, 20_000, RUNS)
    looks: dict[str, list[float]] = {}
    for runs in sizes:
        with closing(with_history(tmp_path / str(runs), runs)) as store:
            tried: dict[str, Callable[[], object]] = {
                "metrics": store.metrics,
                "status of one": partial(store.job, "job-3"),
                "newest 20": store.runs,
                "newest 20 of one": partial(store.runs, "job-3"),
                "newest 20 failed": partial(store.runs, statuses=[RunStatus.FAILED]),
                "pruning nothing": partial(store.prune, NOW, timedelta(days=36500), 1000),
            }
            for name, look in tried.items():
                looks.setdefault(name, []).append(best(look))
    ms = [[name, *(f"{one * 1000:.3f}" for one in taken)] for name, taken in looks.items()]
    figures.table("ms over a history of ten jobs", [["look", *(f"{size:,} runs" for size in sizes)], *ms])
    figures.check(  # from 1,000 runs a job on, percentiles cost the same; the rest is noise of looks that take none
        Figure(
            f"run store: {name} over {RUNS:,} runs", f"{many * 1000:.3f} ms", f"{some * 1000:.3f} ms over {sizes[1]:,}",
            many / (some + 0.0003), 3,
        )
        for name, (_, some, many) in looks.items()
    )  # fmt: skip


def test_ten_thousand_jobs(tmp_path: Path, figures: Figures) -> None:
    with closing(opened(tmp_path / "state", 10_000)) as store:
        connection = store._connections.get()
        plain = best(lambda: connection.execute("SELECT * FROM jobs").fetchall())
        ours = best(store.jobs)
    figures.check(
        [
            Figure(
                "run store: records of 10,000 jobs", f"{ours * 1000:.1f} ms", f"{plain * 1000:.1f} ms, plain rows",
                ours / plain, 12,
            )
        ]
    )  # fmt: skip
