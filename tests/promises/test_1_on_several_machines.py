"""Promises 1 and 2 where schedulers on several machines share a Postgres store, and any of them may die.

A machine is a pid namespace of its own: nobody else sees its processes, and all of them die with it.
``JOBCTL_TEST_SECONDS`` says how long the killing goes on.
"""

import os
import random
import signal
import subprocess
import threading
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tests.support.machine import boot, has_machines
from tests.support.postgres import Postgres
from tests.support.project import Site, until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SECONDS = float(os.environ.get("JOBCTL_TEST_SECONDS", "20"))
JOBS = "".join(f'[jobs.{name}]\nevery = "1s"\ncall = "work:{name}"\n' for name in ("quick", "medium", "long"))
CODE = """
import os, time

def note(job, word):
    with open(f"{job}.log", "a") as file:
        file.write(f"{word} {os.environ['JOBCTL_WORKER']} {time.monotonic()}\\n")

def work(job, seconds):
    note(job, "begin")
    time.sleep(seconds)
    note(job, "end")

def quick(): work("quick", 0)
def medium(): work("medium", 0.4)
def long(): work("long", 1.5)
"""


@pytest.fixture
def site(site: Site, postgres: Postgres) -> Site:
    site.jobs(JOBS, CODE)
    site.environment["JOBCTL_STATE"] = postgres.schema()
    return site


def check(site: Site) -> None:
    """What must hold whatever was killed and when."""
    runs = site.runs()
    slots = Counter((run["job_id"], run["scheduled_for"]) for run in runs if run["scheduled_for"])
    assert set(slots.values()) <= {1}, "a slot twice"
    assert not [run for run in runs if run["status"] == "running"]
    totals = {one["id"]: one for one in site.json("metrics")["jobs"]}
    for job in ("quick", "medium", "long"):
        mine = [run for run in runs if run["job_id"] == job]
        ended = Counter(run["status"] for run in mine)
        assert totals[job]["successful_jobs"] == ended["completed"]
        assert totals[job]["failed_jobs"] == ended["failed"]
        assert {run["reason"] for run in mine if run["status"] == "failed"} <= {
            "lost",
            "interrupted",
            "crashed",
        }
        due = sorted(datetime.fromisoformat(run["scheduled_for"]) for run in mine if run["scheduled_for"])
        span = round((due[-1] - due[0]) / timedelta(seconds=1)) + 1
        missed = totals[job]["skipped"] - ended["skipped"]
        assert len(due) + missed == span, "a slot lost"
        _check_no_overlap((site.folder / f"{job}.log").read_text(), job)


def _check_no_overlap(log: str, job: str) -> None:
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    begun: dict[str, float] = {}
    for line in log.splitlines():
        word, worker, at = line.split()
        if word == "begin":
            begun[worker] = float(at)
        else:
            times[job].append((begun[worker], float(at)))
    spans = sorted(times[job])
    for (_, end), (begin, _) in pairwise(spans):
        assert end <= begin, f"{job} over itself"


def test_schedulers_killed_at_random_lose_nothing(site: Site) -> None:
    """On one machine: what a killed scheduler leaves is settled at once by the others."""
    chance = random.Random(4711)
    schedulers = [site.popen("run", stdout=subprocess.DEVNULL) for _ in range(4)]
    pause = threading.Event()
    rounds = 0
    passed = 0.0
    while passed < SECONDS:
        step = chance.uniform(0.3, 1.5)
        pause.wait(step)
        passed += step
        victim = chance.randrange(len(schedulers))
        schedulers[victim].send_signal(signal.SIGKILL)
        schedulers[victim].wait()
        schedulers[victim] = site.popen("run", stdout=subprocess.DEVNULL)
        if chance.random() < 0.3:
            site.popen("trigger", chance.choice(["quick", "medium", "long"]), stdout=subprocess.DEVNULL)
        rounds += 1
    until(lambda: site.json("status")["scheduler"]["running"])
    for process in schedulers:
        process.terminate()
    for process in site.started:
        process.wait()

    site.nothing_left()
    assert rounds > 5
    check(site)


@pytest.mark.skipif(not has_machines(), reason="pid namespaces cannot be made here")
def test_a_machine_that_dies_frees_its_jobs_when_its_lease_has_passed(site: Site, postgres: Postgres) -> None:
    site.jobs(
        '[jobs.hang]\nevery = "1s"\ncall = "work:hang"\n',
        "import time\nfrom pathlib import Path\ndef hang():\n    if not Path('healed').exists():\n        time.sleep(300)\n",
    )
    first = boot(site, "run")
    try:
        (held,) = until(lambda: [run for run in site.runs("hang") if run["status"] == "running"])
        assert site.call("trigger", "hang").returncode == 3
    finally:
        first.kill()
        first.wait()
    (site.folder / "healed").touch()

    assert site.call("trigger", "hang").returncode == 3, "its lease has not passed"
    schema = site.environment["JOBCTL_STATE"].rpartition("=")[2]
    postgres.silent_for(schema, 55)  # of the 60 of its lease
    until(lambda: site.call("trigger", "hang").returncode == 0)

    (lost,) = [run for run in site.runs("hang") if run["run_id"] == held["run_id"]]
    assert (lost["status"], lost["reason"]) == ("failed", "lost")
