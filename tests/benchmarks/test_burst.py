"""1,000 no-op jobs due in the same instant each second for 30 s, in workers and recorded.

Against APScheduler 3 with its SQLite job store (which keeps only the next run time) in the same
run, both in a process of their own. Prints the table; asserts that every slot ran, and the ratio.
Sizes can be changed: ``JOBCTL_BENCH_JOBS``, ``JOBCTL_BENCH_SECONDS``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

JOBS = int(os.environ.get("JOBCTL_BENCH_JOBS", "1000"))
SECONDS = int(os.environ.get("JOBCTL_BENCH_SECONDS", "30"))

OURS = """
import json, os, sys, threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job
from jobctl.runs.choose import open_store
from jobctl.schedules import Cron

def main(folder, jobs, seconds):
    (folder / "noop.py").write_text("def noop():\\n    pass\\n")
    state = folder / "state"
    store = open_store(state, busy_timeout=timedelta(seconds=1))
    store.checkpoint_by_hand()
    manager = LocalJobManager(store, project=folder, state=state, environment=dict(os.environ), workers=2)
    manager.add(Job(f"noop-{n}", "no-op", Cron("* * * * * *"), "noop:noop") for n in range(jobs))
    manager.start()
    threading.Event().wait(seconds + 3)
    manager.shutdown()
    store.close()
    import sqlite3
    rows = sqlite3.connect(state / "jobctl.db").execute(
        "select job_id, scheduled_for, started_at, status from runs").fetchall()
    json.dump(rows, sys.stdout)

main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
"""

THEIRS = """
import json, logging, sys, threading, time
from pathlib import Path
from typing import Any
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.triggers.cron import CronTrigger

ROWS = []
def noop(n):
    ROWS.append((n, time.time()))

def main(folder, jobs, seconds):
    logging.disable(logging.CRITICAL)
    scheduler = BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(url=f"sqlite:///{folder}/theirs.db")},
        executors={"default": ThreadPoolExecutor(10)}, timezone="UTC")
    scheduler.start(paused=True)
    for n in range(jobs):
        scheduler.add_job(noop, CronTrigger(second="*", timezone="UTC"), args=[n], id=str(n))
    scheduler.resume()
    threading.Event().wait(seconds + 3)
    scheduler.shutdown(wait=False)
    json.dump(ROWS, sys.stdout)

if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
"""


def measure(script: str, folder: Path) -> list[list[Any]]:
    folder.mkdir()
    file = folder / "bench_main.py"
    file.write_text(script)
    done = subprocess.run(
        [sys.executable, str(file), str(folder), str(JOBS), str(SECONDS)],
        stdout=subprocess.PIPE,
        check=True,
        cwd=folder,
    )
    rows: list[list[Any]] = json.loads(done.stdout)
    return rows


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def test_a_burst_each_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("apscheduler", reason="needs the bench group")
    ours = measure(OURS, tmp_path / "ours")
    theirs = measure(THEIRS, tmp_path / "theirs")

    slots = sorted({row[1] for row in ours})[1 : SECONDS + 1]
    wanted = set(slots)
    served = [row for row in ours if row[1] in wanted]
    late = [row[2] - row[1] for row in served]
    # their start minus the second that it belongs to: lateness beyond a second cannot be told, and favours them
    their_late = [(at - int(at)) * 1000 for _, at in theirs]
    their_share = len(theirs) / (JOBS * (SECONDS + 3))

    with capsys.disabled():
        print(f"\n{JOBS} no-op jobs a second, {SECONDS} s: start minus due")
        print(
            f"  jobctl       p50 {percentile(late, 0.5):6.0f} ms  p99 {percentile(late, 0.99):6.0f} ms  served 100 %"
        )
        print(
            f"  APScheduler  p50 {percentile(their_late, 0.5):6.0f} ms  p99 {percentile(their_late, 0.99):6.0f} ms"
            f"  served {their_share:.0%}"
        )
        print(f"  ratio of p99 {percentile(late, 0.99) / percentile(their_late, 0.99):.2f}")

    assert slots == list(range(int(slots[0]), int(slots[0]) + SECONDS * 1000, 1000))
    assert len(served) == JOBS * SECONDS
    assert {row[3] for row in served} == {"completed"}
    assert percentile(late, 0.99) < percentile(their_late, 0.99)
