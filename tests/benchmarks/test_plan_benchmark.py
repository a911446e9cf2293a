"""Plans in figures: a day of 1,000 jobs, against the planning of all of its slots alone."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from jobctl.model import Job
from jobctl.planning.simulation import Start, make_plan
from jobctl.schedules import Cron
from tests.benchmarks.conftest import Figure, Figures

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

BEGIN = datetime(2026, 11, 30, tzinfo=UTC)
DAY = timedelta(days=1)
JOBS = 1000


def daily(number: int) -> str:
    return f"{number % 60} {number % 24} * * *"


def hourly(number: int) -> str:
    return f"{number % 60} * * * *"


@pytest.mark.parametrize(("kind", "expression", "bar"), [("daily", daily, 1.0), ("hourly", hourly, 10.0)])
def test_a_day_of_a_thousand_jobs(
    kind: str, expression: Callable[[int], str], bar: float, figures: Figures
) -> None:
    jobs = [Job(f"job-{each}", "Job", Cron(expression(each)), "work:run") for each in range(JOBS)]
    began = time.perf_counter()
    plan = make_plan(jobs, Start(), BEGIN, BEGIN + DAY, workers=4, duration=lambda _: timedelta(seconds=2))
    planned = time.perf_counter() - began
    slots = sum(len(plan.slots(job)) for job in jobs)

    assert len(plan.runs) == slots == (JOBS if kind == "daily" else 24 * JOBS)
    figures.check(
        [
            Figure(
                f"plan of a day, {JOBS:,} {kind} jobs",
                f"{planned:.2f} s",
                f"{1e6 * planned / slots:.0f} µs a slot",
                planned,
                bar,
            )
        ]
    )
