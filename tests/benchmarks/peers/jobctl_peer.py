"""jobctl: worker processes, every run recorded before it starts and after it ends."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobctl.events import Event, RunFinished
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job
from jobctl.schedules import Cron, Every
from jobctl.store.open import open_store
from tests.benchmarks.peers.common import answer, memory


def manager(folder: Path) -> LocalJobManager:
    """As ``jobctl run`` makes it."""
    (folder / "noop.py").write_text("def noop():\n    pass\n")
    store = open_store(folder / "state", busy_timeout=timedelta(seconds=1))
    store.use_manual_checkpoints()
    return LocalJobManager(
        store, project=folder, state=folder / "state", environment=dict(os.environ), workers=2
    )


def rows(folder: Path) -> list[tuple[int, int, str]]:
    with closing(sqlite3.connect(folder / "state" / "jobctl.db")) as connection:
        return connection.execute(
            "SELECT scheduled_for, started_at, status FROM runs WHERE status <> 'skipped' ORDER BY scheduled_for"
        ).fetchall()


def burst(folder: Path, jobs: int, seconds: int) -> dict[str, Any]:
    made = manager(folder)
    made.add(Job(f"noop-{n}", "no-op", Cron("* * * * * *"), "noop:noop") for n in range(jobs))
    made.start()
    threading.Event().wait(seconds + 3)
    made.shutdown()
    made.store.close()
    found = rows(folder)
    slots = sorted({slot for slot, _, _ in found})[1 : seconds + 1]  # the first one may be cut by the start
    served = [row for row in found if slots[0] <= row[0] <= slots[-1]]
    return {
        "late_s": [(began - slot) / 1000 for slot, began, status in served if status == "completed"],
        "gaps": slots != list(range(slots[0], slots[0] + seconds * 1000, 1000)),
        "all_runs": len(found),
    }


def drain(folder: Path, jobs: int, _: int) -> dict[str, Any]:
    made = manager(folder)
    ids = [f"noop-{n}" for n in range(jobs)]
    made.add(Job(one, "no-op", Every(timedelta(days=1)), "noop:noop") for one in ids)
    left = jobs
    ended = threading.Event()

    def count(event: Event) -> None:
        nonlocal left
        left -= isinstance(event, RunFinished)
        if not left:
            ended.set()

    made.bus.subscribe(count)
    began = time.time()
    made.start()
    ended.wait(600)
    took = time.time() - began
    made.shutdown()
    made.store.close()
    return {"took_s": took}


def idle(folder: Path, jobs: int, seconds: int) -> dict[str, Any]:
    """The scheduler's process of ``jobctl run``."""
    soon = (datetime.now(UTC).month + 5) % 12 + 1
    lines = [f'[jobs.job-{n}]\ncron = "0 0 1 {soon} *"\ncall = "noop:noop"\n' for n in range(jobs)]
    off = "".join(
        f"[jobs.{one}]\nenabled = false\n" for one in ("repository-sync", "analytics-cache-cleanup")
    )
    (folder / "jobctl.toml").write_text(off + "".join(lines))
    call = [sys.executable, "-m", "jobctl"]
    scheduler = subprocess.Popen(
        [*call, "run", "-q"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        pause = threading.Event()
        while True:
            told = subprocess.run([*call, "status", "--json"], cwd=folder, capture_output=True, check=True)
            if json.loads(told.stdout)["scheduler"]["running"]:
                break
            pause.wait(0.1)
        pause.wait(8)  # the first turn of its duties is behind it
        before = cpu_of(scheduler.pid)
        pause.wait(seconds)
        return {"cpu_s": cpu_of(scheduler.pid) - before, "memory_kib": memory(scheduler.pid)}
    finally:
        scheduler.terminate()
        scheduler.wait()


def cpu_of(pid: int) -> float:
    """Seconds of CPU of the threads of another process; its ``stat`` counts hundredths only."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


if __name__ == "__main__":
    answer(burst=burst, drain=drain, idle=idle)
