"""Runs that wait: many at once, and schedulers that are killed while they begin."""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobctl.model import Run, RunStatus, Trigger, WaitingRun
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.store.records import Registration, new_run_ids
from tests.faults.audit import KILLED, audit, jobs_that_tell, settled
from tests.faults.budget import seconds
from tests.faults.kills import Kills
from tests.support.project import Site, until

JOBS = [f"job-{number}" for number in range(20)]
GROUP = 'group = "g"\n'
TOML = "".join(
    f'[jobs.{job}]\ncall = "work:work"\n{GROUP if number < 5 else ""}' for number, job in enumerate(JOBS)
)
CODE = """
import os
from jobctl import current_run

def work():
    journal = os.open("journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(journal, f"{current_run().run_id}\\n".encode())
    os.close(journal)
"""


@pytest.fixture
def store(site_on_either_store: Site) -> Iterator[RunStore]:
    """The run store of the project, in which 200 runs of 20 jobs are due."""
    site = site_on_either_store
    site.jobs(TOML, CODE)
    now = datetime.now(UTC)
    with closing(open_store(site.environment.get("JOBCTL_STATE") or site.folder / ".jobctl")) as store:
        store.register([Registration(job, job, "", "UTC") for job in JOBS], now)
        ids = new_run_ids(200)
        store.keep([WaitingRun(ids[n], JOBS[n % 20], now, Trigger.MANUAL) for n in range(200)])
        yield store


def ended(store: RunStore) -> list[Run]:
    """All runs, once none waits and none goes on."""
    until(lambda: not store.waiting(limit=1) and not store.unfinished(), 100)
    return list(store.runs(limit=None))


def journal(site: Site) -> Counter[str]:
    """How often each run began, by what the jobs have written themselves."""
    written = site.folder / "journal"
    return Counter(written.read_text().split() if written.exists() else ())


def test_two_schedulers_start_each_waiting_run_once(site_on_either_store: Site, store: RunStore) -> None:
    site = site_on_either_store
    expected = {run.id: run.job_id for run in store.waiting()}
    schedulers = [site.popen("run", "-q") for _ in range(2)]

    runs = ended(store)

    assert {run.id: run.job_id for run in runs} == expected
    assert {run.status for run in runs} == {RunStatus.COMPLETED}
    assert len(runs) == len(expected)
    assert journal(site) == Counter(expected.keys())
    for scheduler in schedulers:
        scheduler.terminate()
        assert scheduler.wait(60) == 0


def test_a_kill_of_the_scheduler_loses_no_waiting_run_and_repeats_none(
    site_on_either_store: Site, store: RunStore
) -> None:
    site = site_on_either_store
    expected = {run.id for run in store.waiting()}
    chance, pause = random.Random(), threading.Event()
    for _ in range(12):
        left = len(store.waiting())
        scheduler = site.popen("run", "-q")
        until(lambda: len(store.waiting()) < left or not left)  # noqa: B023
        pause.wait(chance.uniform(0, 0.2))
        os.kill(scheduler.pid, signal.SIGKILL)
        scheduler.wait()
    site.popen("run", "-q")

    runs = ended(store)

    begun = journal(site)
    assert sorted(run.id for run in runs) == sorted(expected)
    assert {run.reason for run in runs if run.status is not RunStatus.COMPLETED} <= {*KILLED}
    assert set(begun.values()) == {1}
    assert {run.id for run in runs if run.status is RunStatus.COMPLETED} <= begun.keys() <= expected


def test_slots_that_are_caught_up_are_run_once_whatever_is_killed(site_on_either_store: Site) -> None:
    site = site_on_either_store
    names = ("quick", "slow")
    toml = "".join(
        f'[jobs.{name}]\nevery = "1s"\ncatch_up = "each"\ncatch_up_limit = 1000\ncall = "work:{name}"\n'
        for name in names
    )
    code = "def quick(): work('quick', 0.01)\ndef slow(): work('slow', 1.5)\n"
    jobs_that_tell(site, {}, toml, code)
    kills = Kills(site, 2, names)

    kills.go_on(seconds(6))
    settled(site)

    audit(site, reasons={*KILLED, "error"})
    assert kills.rounds


def test_a_backfill_beside_two_schedulers_runs_each_slot_once_in_order(site_on_either_store: Site) -> None:
    site = site_on_either_store
    site.jobs(
        '[jobs.report]\ncron = "0 9 * * *"\ncall = "work:report"\n',
        "from jobctl import current_run\n"
        "def report():\n"
        "    with open('slots', 'a') as file:\n"
        "        print(current_run().slot.isoformat(), file=file)\n",
    )
    for _ in range(2):
        site.run("-q")
    site.call("backfill", "report", "--from", "2026-09-01", "--to", "2026-09-30")
    slots = site.folder / "slots"
    until(lambda: slots.exists() and len(slots.read_text().splitlines()) >= 30, 100)
    until(lambda: not site.json("runs", "--waiting")["waiting"])
    lines = Path(slots).read_text().splitlines()
    assert lines == [f"2026-09-{day:02}T09:00:00+00:00" for day in range(1, 31)]
