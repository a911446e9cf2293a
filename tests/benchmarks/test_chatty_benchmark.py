"""What a chatty job costs: how late others start under a live table, and without one, and the scheduler's CPU time."""

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import mean, quantiles

import pytest

from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from tests.benchmarks.conftest import Figure, Figures
from tests.benchmarks.peers.jobctl_peer import cpu_of
from tests.benchmarks.test_scheduler_benchmark import OTHERS_OFF
from tests.support.project import until

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

LINES = 2000
OTHERS = 5
ROUNDS = 4
SLOTS = 10
_CODE = f"""
def chat():
    for number in range({LINES}):
        print(f"line {{number}} of what a chatty job has to say about its work")

def tick():
    pass
"""


def test_a_chatty_job_makes_the_others_no_later_under_a_live_table(tmp_path: Path, figures: Figures) -> None:
    late: dict[str, list[float]] = {"live": [], "plain": []}
    cpu: dict[str, list[float]] = {"live": [], "plain": []}
    for number in range(2 * ROUNDS):  # in turn: what else the machine does counts for both
        name, words = (("live", []), ("plain", ["--no-live"]))[number % 2]
        folder = tmp_path / str(number)
        folder.mkdir()
        jobs = {"chatty": "chat", **{f"tick-{number}": "tick" for number in range(OTHERS)}}
        (folder / "work.py").write_text(_CODE)
        (folder / "jobctl.toml").write_text(
            OTHERS_OFF
            + "".join(
                f'[jobs.{job}]\ncron = "* * * * * *"\ncall = "work:{call}"\n' for job, call in jobs.items()
            )
        )
        with _scheduler(folder, words) as pid:
            with closing(_store(folder)) as store:
                until(lambda: len(store.runs("tick-0", limit=None)) > SLOTS, 120)
                cpu[name].append(cpu_of(pid) * 1000)
                late[name] += [
                    (run.started_at - run.scheduled_for).total_seconds() * 1000
                    for number in range(OTHERS)
                    for run in store.runs(f"tick-{number}", limit=SLOTS)
                    if run.scheduled_for is not None
                ]
    found = []
    for what, live, plain in (
        ("mean", mean(late["live"]), mean(late["plain"])),
        ("p95", quantiles(late["live"], n=20)[-1], quantiles(late["plain"], n=20)[-1]),
    ):
        found.append(
            Figure(
                f"lateness beside a job that prints {LINES:,} lines a second, live to plain, {what}",
                f"{live:.1f} ms",
                f"{plain:.1f} ms",
                live / plain,
                1.2,
            )
        )
    live, plain = mean(cpu["live"]), mean(cpu["plain"])
    found.append(
        Figure(
            f"CPU of {SLOTS} seconds of it, live to plain",
            f"{live:.0f} ms",
            f"{plain:.0f} ms",
            live / plain,
            1.2,
        )
    )
    figures.check(found)


def _store(folder: Path) -> RunStore:
    until((folder / ".jobctl" / "jobctl.db").exists)
    return open_store(folder / ".jobctl")


@contextmanager
def _scheduler(folder: Path, words: list[str]) -> Iterator[int]:
    """``jobctl run`` at a terminal that is read as fast as it goes; its pid."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "jobctl", "run", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    reader = threading.Thread(target=_read, args=(ours,))
    reader.start()
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        reader.join()
        os.close(ours)


def _read(terminal: int) -> None:
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:  # its last writer has gone
        return
