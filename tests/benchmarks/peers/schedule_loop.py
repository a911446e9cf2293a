"""schedule, with the loop of its README. Nothing is kept, and jobs run one after the other in the loop."""

import threading
import time
from pathlib import Path
from typing import Any

import schedule

from tests.benchmarks.peers.common import Starts, answer, idle_here

STARTS = Starts()


def loop(until: float) -> None:
    pause = threading.Event()
    while time.time() < until:
        schedule.run_pending()
        pause.wait(1)


def burst(_: Path, jobs: int, seconds: int) -> dict[str, Any]:
    def noop(number: int) -> None:
        due = made[number].next_run
        assert due is not None
        STARTS.started(due.timestamp())

    made = [schedule.every(1).seconds.do(noop, number) for number in range(jobs)]
    loop(time.time() + seconds)
    return {"late_s": STARTS.late}


def idle(_: Path, jobs: int, seconds: int) -> dict[str, Any]:
    for _number in range(jobs):
        schedule.every(1000).days.do(print)
    threading.Thread(target=loop, args=(time.time() + 3600,), daemon=True).start()
    return idle_here(seconds)


answer(burst=burst, idle=idle)
