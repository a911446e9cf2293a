"""APScheduler 3, by itself or with its SQLite job store, which keeps the next run times and no history."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger

from tests.benchmarks.peers.common import Starts, first_second, idle_here, wait_until

logging.disable(logging.CRITICAL)
STARTS = Starts()


def noop() -> None:
    """Due at a whole second; a delay of more than one second looks like being early for the next."""
    now = datetime.now(UTC).timestamp()
    STARTS.started(float(int(now)))


def far() -> None:
    """Never called."""


def scheduler(folder: Path, *, kept: bool) -> BackgroundScheduler:
    store = SQLAlchemyJobStore(url=f"sqlite:///{folder}/peer.db") if kept else MemoryJobStore()
    return BackgroundScheduler(
        jobstores={"default": store},
        executors={"default": ThreadPoolExecutor(10)},
        job_defaults={"misfire_grace_time": 60},
        timezone=UTC,
    )


def burst(folder: Path, jobs: int, seconds: int, *, kept: bool) -> dict[str, Any]:
    made = scheduler(folder, kept=kept)
    made.start(paused=True)
    first = first_second() + jobs // 500
    for job in range(jobs):
        trigger = CronTrigger(
            second="*",
            timezone=UTC,
            start_date=datetime.fromtimestamp(first, UTC),
            end_date=datetime.fromtimestamp(first + seconds - 1, UTC),
        )
        made.add_job(noop, trigger, id=str(job))
    made.resume()
    wait_until(first + seconds + 3)
    made.shutdown(wait=True)
    return {"late_s": STARTS.late}


def drain(folder: Path, jobs: int, _: int, *, kept: bool) -> dict[str, Any]:
    made = scheduler(folder, kept=kept)
    made.start(paused=True)
    now = datetime.now(UTC)
    for job in range(jobs):
        made.add_job(noop, DateTrigger(now), id=str(job), misfire_grace_time=None)
    STARTS.expected = jobs
    began = datetime.now(UTC)
    made.resume()
    STARTS.ended.wait(600)
    took = (datetime.now(UTC) - began).total_seconds()
    made.shutdown(wait=True)
    return {"took_s": took}


def idle(folder: Path, jobs: int, seconds: int, *, kept: bool) -> dict[str, Any]:
    made = scheduler(folder, kept=kept)
    made.start(paused=True)
    for job in range(jobs):
        made.add_job(
            far, CronTrigger(month=(datetime.now(UTC).month + 5) % 12 + 1, timezone=UTC), id=str(job)
        )
    made.resume()
    found = idle_here(seconds)
    made.shutdown(wait=False)
    return found
