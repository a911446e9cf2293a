"""huey with its SQLite storage: results are kept until they are read."""

import logging
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from huey import SqliteHuey, crontab
from huey.consumer import Consumer

from tests.benchmarks.peers.common import Starts, answer, first_second, idle_here, wait_until

logging.disable(logging.CRITICAL)
STARTS = Starts()


def opened(folder: Path) -> SqliteHuey:
    return SqliteHuey("peer", filename=str(folder / "peer.db"), store_none=True, utc=True)


def consumer(huey: SqliteHuey, workers: int = 2) -> Consumer:
    made = huey.create_consumer(workers=workers, worker_type="thread", check_worker_health=False)
    made.start()
    return made


def noop(due: float) -> None:
    STARTS.started(due)


def burst(folder: Path, jobs: int, seconds: int) -> dict[str, Any]:
    """Scheduled tasks: huey's periodic ones know whole minutes only."""
    huey = opened(folder)
    task = huey.task()(noop)
    first = first_second() + jobs * seconds // 2000
    for due in (first + second for second in range(seconds)):
        for _ in range(jobs):
            task.schedule((due,), eta=datetime.fromtimestamp(due))
    made = consumer(huey)
    wait_until(first + seconds + 5)
    made.stop(graceful=True)
    return {"late_s": STARTS.late}


def drain(folder: Path, jobs: int, _: int) -> dict[str, Any]:
    huey = opened(folder)
    task = huey.task()(noop)
    STARTS.expected = jobs
    began = time.time()
    made = consumer(huey)
    for _ in range(jobs):
        task(began)
    STARTS.ended.wait(600)
    took = time.time() - began
    made.stop(graceful=True)
    return {"took_s": took}


def idle(folder: Path, jobs: int, seconds: int) -> dict[str, Any]:
    huey = opened(folder)
    for job in range(jobs):
        once_a_year = crontab(minute="0", hour="0", day="1", month="1")
        huey.periodic_task(once_a_year, name=f"job-{job}")(threading.get_ident)
    made = consumer(huey)
    found = idle_here(seconds)
    made.stop(graceful=True)
    return found


answer(burst=burst, drain=drain, idle=idle)
