"""What a plan predicts is what then happens: random jobs in real workers, compared with their plan, slot by slot."""

import os
import random
import sys
import threading
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, OnOverlap, RunStatus
from jobctl.planning.plan import Outcome
from jobctl.planning.simulation import Start, make_plan
from jobctl.schedules import Every
from jobctl.store.open import open_store

UNIT = timedelta(seconds=0.5)
SLOTS_UNTIL = 20
END = 26
WORKERS = 2
MANY = 400
CODE = "import time\ndef rest(seconds):\n    time.sleep(seconds)\n"
FOLLOWER = "follower"
_OUTCOMES = {
    RunStatus.COMPLETED: Outcome.RUNS,
    RunStatus.FAILED: Outcome.RUNS,  # interrupted by the end
    RunStatus.SKIPPED: Outcome.SKIPPED,
    RunStatus.CANCELLED: Outcome.REPLACED,
}

Happened = dict[str, list[tuple[int, str]]]
"""For each job, the slots in units since the beginning, and what became of them."""


def random_jobs(chance: random.Random, unit: timedelta) -> list[Job]:
    """Jobs, each of which takes so many seconds as it is given: never a whole number of units, at which slots are due."""
    jobs: list[Job] = []
    for number in range(chance.randint(3, 5)):
        takes = (chance.randrange(6) + 0.4) * unit
        jobs.append(
            Job(
                f"job-{number}",
                "random",
                Every(chance.choice((3, 4, 6, 8)) * unit),
                "work:rest",
                arguments={"seconds": takes.total_seconds()},
                overlap=chance.choice(list(OnOverlap)),
                group=chance.choice((None, None, "shared")),
            )
        )
    follower = Job(FOLLOWER, "random", None, "work:rest", arguments={"seconds": 0.0}, after=("job-0",))
    return [*jobs, follower]


def compared(rows: Iterable[tuple[str, float, str]]) -> Happened:
    """What is compared, from job, time in units and outcome: of the follower, how often it runs."""
    found: Happened = {}
    for job_id, at, outcome in rows:
        if at < SLOTS_UNTIL:
            found.setdefault(job_id, []).append((0 if job_id == FOLLOWER else round(at), outcome))
    return {job_id: sorted(entries) for job_id, entries in found.items()}


def predicted(jobs: list[Job], unit: timedelta, later: float) -> Happened:
    """By a plan in which each run takes so many units longer."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    plan = make_plan(
        jobs,
        Start(),
        begin,
        begin + END * unit,
        workers=WORKERS,
        duration=lambda job: timedelta(seconds=job.arguments["seconds"]) + later * unit,
    )
    return compared(
        (
            run.job_id,
            ((run.begins_at if run.job_id == FOLLOWER else run.slot or begin) - begin) / unit,
            Outcome.RUNS if run.outcome is Outcome.CONTINUES else run.outcome,
        )
        for run in plan.runs
    )


def stable_jobs(seed: int, unit: timedelta) -> tuple[list[Job], Happened]:
    """Jobs for which it does not matter that real runs take a little longer; else nothing could be compared."""
    chance = random.Random(seed)
    for _ in range(MANY):
        jobs = random_jobs(chance, unit)
        plan = predicted(jobs, unit, 0.0)
        kinds = {outcome for entries in plan.values() for _, outcome in entries}
        if len(kinds) == 3 and all(predicted(jobs, unit, later) == plan for later in (0.15, 0.3)):
            return jobs, plan
    raise AssertionError("no such jobs")


def happened(jobs: list[Job], unit: timedelta, folder: Path) -> Happened:
    """In real processes."""
    project = folder / "project"
    project.mkdir(parents=True)
    (project / "work.py").write_text(CODE)
    with closing(open_store(folder / "state")) as store:
        with LocalJobManager(
            store,
            project=project,
            state=folder / "state",
            environment={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
            workers=WORKERS,
            grace=timedelta(0),
        ) as manager:
            manager.add(jobs)
            manager.start()
            threading.Event().wait((END * unit).total_seconds())
        records = store.jobs()
        runs = [run for job_id in records for run in store.runs(job_id, limit=None)]
    begin = next(iter(records.values())).anchor
    return compared(
        (
            run.job_id,
            ((run.started_at if run.job_id == FOLLOWER else run.scheduled_for or begin) - begin) / unit,
            _OUTCOMES[run.status],
        )
        for run in runs
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 7])
def test_what_it_predicts_happens(seed: int, tmp_path: Path) -> None:
    jobs, expected = stable_jobs(seed, UNIT)
    if happened(jobs, UNIT, tmp_path / "quick") != expected:
        # on a busy machine everything takes longer than planned: once more, slower
        jobs, expected = stable_jobs(seed, 3 * UNIT)
        assert happened(jobs, 3 * UNIT, tmp_path / "slow") == expected
