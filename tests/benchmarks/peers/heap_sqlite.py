"""A floor that keeps everything: a heap, two threads, and SQLite rows before and after, in grouped commits."""

import heapq
import os
import queue
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.common import answer, first_second, idle_here

THREADS = 2
Run = tuple[str, int, float]


class Floor:
    """What anybody would write first: rows one by one, many to a commit, and the two indexes that a promise needs."""

    def __init__(self, folder: Path) -> None:
        self.rows = sqlite3.connect(folder / "floor.db", isolation_level=None)
        self.rows.execute("PRAGMA journal_mode = WAL")
        self.rows.execute("PRAGMA synchronous = NORMAL")
        self.rows.execute(
            "CREATE TABLE runs (id TEXT PRIMARY KEY, job INT, due REAL, status TEXT, began REAL, ended REAL)"
        )
        self.rows.execute("CREATE UNIQUE INDEX one_a_slot ON runs (job, due)")
        self.rows.execute("CREATE UNIQUE INDEX one_at_a_time ON runs (job) WHERE status = 'running'")
        self.heap: list[tuple[float, int]] = []
        self.pool = ThreadPoolExecutor(THREADS)
        self.done: queue.SimpleQueue[tuple[float, float, str]] = queue.SimpleQueue()
        self.late: list[float] = []
        self.ended = 0

    def work(self, run: str, due: float) -> None:
        began = time.time()
        self.late.append(began - due)
        self.done.put((began, time.time(), run))

    def start_due(self) -> None:
        due: list[Run] = []
        now = time.time()
        while self.heap and self.heap[0][0] <= now and len(due) < 128:
            instant, job = heapq.heappop(self.heap)
            due.append((os.urandom(8).hex(), job, instant))
        if due:
            self.rows.execute("BEGIN IMMEDIATE")
            for one in due:
                self.rows.execute("INSERT INTO runs (id, job, due, status) VALUES (?, ?, ?, 'running')", one)
            self.rows.execute("COMMIT")
            for run, _, instant in due:
                self.pool.submit(self.work, run, instant)

    def end_done(self, most: float) -> None:
        try:
            ended = [self.done.get(timeout=most)] if most > 0 else [self.done.get_nowait()]
        except queue.Empty:
            return
        while not self.done.empty():
            ended.append(self.done.get())
        self.rows.execute("BEGIN IMMEDIATE")
        for one in ended:
            self.rows.execute("UPDATE runs SET status = 'done', began = ?, ended = ? WHERE id = ?", one)
        self.rows.execute("COMMIT")
        self.ended += len(ended)

    def run(self, runs: int) -> None:
        while self.ended < runs:
            self.start_due()
            rest = max(0.0, self.heap[0][0] - time.time()) if self.heap else 1.0
            self.end_done(min(rest, 1.0))
        self.pool.shutdown()


def burst(folder: Path, jobs: int, seconds: int) -> dict[str, Any]:
    floor = Floor(folder)
    first = first_second()
    for second in range(seconds):
        for job in range(jobs):
            heapq.heappush(floor.heap, (first + second, job))
    floor.run(jobs * seconds)
    return {"late_s": floor.late}


def drain(folder: Path, jobs: int, _: int) -> dict[str, Any]:
    floor = Floor(folder)
    began = time.time()
    for job in range(jobs):
        heapq.heappush(floor.heap, (began, job))
    floor.run(jobs)
    return {"took_s": time.time() - began}


def idle(folder: Path, jobs: int, seconds: int) -> dict[str, Any]:
    floor = Floor(folder)
    for job in range(jobs):
        heapq.heappush(floor.heap, (time.time() + 100_000, job))
    threading.Thread(target=floor.run, args=(1,), daemon=True).start()
    return idle_here(seconds)


answer(burst=burst, drain=drain, idle=idle)
