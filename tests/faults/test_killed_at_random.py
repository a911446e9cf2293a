"""Schedulers, workers and manual runs are killed at random, again and again; then everything must add up."""

import os
import random
import signal
import threading
import time
from contextlib import suppress

from tests.faults.audit import KILLED, audit, jobs_that_tell, settled
from tests.faults.budget import seconds
from tests.faults.kills import Kills
from tests.support.project import Site, marked

JOBS = {"quick": 0.01, "medium": 0.4, "long": 1.5}


def test_after_any_kills_everything_adds_up(site: Site) -> None:
    jobs_that_tell(site, JOBS)
    kills = Kills(site, 1, list(JOBS))

    kills.go_on(seconds(4))
    settled(site)

    runs = audit(site, reasons={*KILLED, "error"})  # a job may fail of a signal
    print(f"{kills.rounds} rounds, {len(runs)} runs")
    assert kills.rounds


def test_the_scheduler_goes_on_whatever_becomes_of_its_workers(site: Site) -> None:
    jobs_that_tell(site, {"quick": 0.01, "medium": 0.3})
    scheduler = site.run("-q")
    chance, pause, killed = random.Random(), threading.Event(), 0
    end = time.monotonic() + seconds(2)
    while time.monotonic() < end:
        pause.wait(chance.uniform(0, 0.2))
        below = [pid for pid in marked(site.mark) if pid != scheduler.pid]
        if below:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(below), signal.SIGKILL)
                killed += 1
    assert scheduler.poll() is None
    scheduler.terminate()
    assert scheduler.wait(60) == 0

    runs = audit(site, reasons={"crashed"})
    print(f"{killed} kills, {len(runs)} runs")
    assert killed
