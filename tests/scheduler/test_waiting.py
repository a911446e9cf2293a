"""Runs that wait, beside changes of their jobs, of the clock and of the run store."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.events import StoreUnavailable
from jobctl.managers.local import LocalJobManager
from jobctl.model import CatchUp, Job, OnOverlap, RunStatus, Trigger
from jobctl.schedules import Every
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from tests.support.managers import Heard, MovableClock
from tests.support.project import until

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
CODE = """
import time
from pathlib import Path
from jobctl import current_run

def tell():
    run = current_run()
    with open("told", "a") as file:
        print(run.job_id, run.slot, file=file)

def hold():
    tell()
    while not Path("go").exists():
        time.sleep(0.02)
"""
MakeManager = Callable[..., LocalJobManager]


def manual(job_id: str = "job", call: str = "tell", **more: Any) -> Job:
    return Job(job_id, job_id, None, f"work:{call}", **more)


def hourly(job_id: str = "job", call: str = "tell", **more: Any) -> Job:
    settings: dict[str, Any] = {"catch_up": CatchUp.EACH, **more}
    return Job(job_id, job_id, Every(HOUR), f"work:{call}", **settings)


@pytest.fixture(autouse=True)
def code(project: Path) -> None:
    (project / "work.py").write_text(CODE)


def statuses(store: RunStore, job_id: str = "job") -> list[RunStatus]:
    return [run.status for run in store.runs(job_id, limit=None)]


def held(manager: LocalJobManager, store: RunStore, job_id: str = "job") -> None:
    """A run of the job goes on, started by hand."""
    manager.trigger_job(job_id)
    until(lambda: [run for run, _ in store.unfinished(job_id) if run.pid])


def test_a_job_that_cannot_run_now_is_run_once_it_can(
    store: RunStore, make_manager: MakeManager, clock: MovableClock
) -> None:
    manager = make_manager(clock=clock)
    jobs = [manual("removed"), manual("lacking"), manual("disabled"), manual("stopped")]
    manager.add([*jobs, manual("mark")])
    manager.stop_job("stopped")
    for job in jobs:
        manager.trigger_job_later(job.id, clock.now() + HOUR)
    manager.remove(["removed"])
    manager.add([manual("lacking", unmet="TOKEN is not set"), manual("disabled", enabled=False)])
    manager.start()
    clock.by += HOUR
    manager.trigger_job_later("mark", clock.now() + SECOND / 100)

    until(lambda: statuses(store, "mark") == [RunStatus.COMPLETED])
    until(lambda: statuses(store, "disabled") == statuses(store, "stopped") == [RunStatus.COMPLETED])
    assert [run.job_id for run in manager.waiting_runs()] == ["removed", "lacking"]

    manager.add([manual("removed"), manual("lacking")])

    until(lambda: statuses(store, "removed") == statuses(store, "lacking") == [RunStatus.COMPLETED])
    assert manager.waiting_runs() == []


def test_runs_that_are_blocked_delay_no_others(store: RunStore, make_manager: MakeManager) -> None:
    """Of two workers one is free, and four jobs of a group wait longer than the job that can run."""
    manager = make_manager()
    group = [manual(f"grouped-{n}", "hold", group="g") for n in range(5)]
    manager.add([*group, manual("free")])
    manager.start()
    held(manager, store, "grouped-0")
    now = manager._clock.now()
    for job in group:
        manager.trigger_job_later(job.id, now + SECOND)
    manager.trigger_job_later("free", now + 2 * SECOND)

    until(lambda: statuses(store, "free") == [RunStatus.COMPLETED])

    assert len(manager.waiting_runs()) == 5


def test_slots_of_a_job_that_is_disabled_are_missed(
    store: RunStore, make_manager: MakeManager, clock: MovableClock, project: Path
) -> None:
    manager = make_manager(clock=clock)
    manager.add([hourly(call="hold")])
    manager.start()
    until((project / "told").exists)
    clock.by += 3 * HOUR
    until(lambda: len(manager.waiting_runs()) == 3)
    by_hand = manager.trigger_job_later("job", clock.now() + 5 * HOUR)

    manager.add([hourly(enabled=False)])
    (project / "go").touch()

    assert manager.waiting_runs() == [by_hand]
    record = store.job("job")
    assert record is not None
    assert record.missed == 3
    until(lambda: statuses(store) == [RunStatus.COMPLETED])


@pytest.mark.parametrize(
    "changed",
    [
        hourly(catch_up=CatchUp.LAST),
        Job("job", "job", Every(2 * HOUR), "work:tell", catch_up=CatchUp.EACH),
        hourly(catch_up_limit=1),
    ],
    ids=["catch_up", "schedule", "limit"],
)
def test_slots_that_wait_are_run_though_the_schedule_is_changed(
    changed: Job, store: RunStore, make_manager: MakeManager, clock: MovableClock, project: Path
) -> None:
    manager = make_manager(clock=clock)
    manager.add([hourly(call="hold")])
    manager.start()
    until((project / "told").exists)
    clock.by += 3 * HOUR
    slots = until(lambda: [run.slot for run in manager.waiting_runs()] if manager.waiting_runs() else [])
    assert len(slots) == 3

    manager.add([changed])
    (project / "go").touch()

    until(lambda: not manager.waiting_runs())
    until(lambda: not store.unfinished())
    run = [run.scheduled_for for run in reversed(store.runs("job", limit=None))]
    assert [slot for slot in run if slot in slots] == slots
    assert len(run) == len(set(run))


def test_a_clock_that_is_set_back_delays_no_slot_and_starts_no_run_early(
    store: RunStore, make_manager: MakeManager, clock: MovableClock, project: Path
) -> None:
    manager = make_manager(clock=clock)
    manager.add([hourly(call="hold"), manual("other")])
    manager.start()
    until((project / "told").exists)
    clock.by += 3 * HOUR
    until(lambda: len(manager.waiting_runs()) == 3)
    by_hand = manager.trigger_job_later("other", clock.now() + HOUR / 2)

    clock.by -= 2 * HOUR
    (project / "go").touch()

    until(lambda: manager.waiting_runs() == [by_hand])
    until(lambda: not store.unfinished())
    slots = [run.scheduled_for for run in store.runs("job", limit=None)]
    assert len(slots) == len(set(slots)) == 4
    assert set(statuses(store)) == {RunStatus.COMPLETED}

    clock.by += 3 * HOUR

    until(lambda: statuses(store, "other") == [RunStatus.COMPLETED])


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[RunStore]:
    """A store that waits for others only a moment, as the scheduler's does."""
    store = open_store(tmp_path / "state", busy_timeout=timedelta(milliseconds=50))
    yield store
    store.close()


def test_while_the_store_is_held_slots_are_not_lost(
    impatient: RunStore, make_manager: MakeManager, clock: MovableClock, project: Path, tmp_path: Path
) -> None:
    manager = make_manager(store=impatient, clock=clock)
    heard = Heard()
    manager.bus.subscribe(heard.append)
    names = [f"job-{n}" for n in range(6)]
    turns: list[int] = []
    manager.on_turn = lambda: turns.append(1)
    manager.add([hourly(name) for name in names])
    manager.start()
    until(lambda: all(statuses(impatient, name) == [RunStatus.COMPLETED] for name in names))

    with closing(sqlite3.connect(tmp_path / "state" / "jobctl.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        clock.by += HOUR
        until(lambda: heard.of(StoreUnavailable))
        clock.by += 2 * HOUR
        turns.clear()
        until(lambda: len(turns) > 3)
        other.execute("COMMIT")

    until(lambda: all(statuses(impatient, name) == [RunStatus.COMPLETED] * 4 for name in names))
    told = (project / "told").read_text().splitlines()
    assert len(told) == len(set(told)) == 24


@pytest.mark.slow
def test_a_slot_replaces_one_run_and_not_those_that_begin_meanwhile(
    tmp_path: Path, make_manager: MakeManager, clock: MovableClock, project: Path
) -> None:
    """Another process starts one waiting run after another, while a slot of this one wants to replace it."""
    stores = [open_store(tmp_path / "state") for _ in range(2)]
    job = replace(hourly(call="hold", catch_up=CatchUp.NONE), overlap=OnOverlap.REPLACE)
    try:
        there, here = (make_manager(store=store, clock=clock) for store in stores)
        there.add([replace(job, schedule=None)])
        there.start()
        for _ in range(4):
            there.trigger_job_later("job", clock.now() + SECOND / 10)
        until(lambda: len(there.waiting_runs()) == 3)
        here.add([job])
        here.start()
        until(lambda: RunStatus.CANCELLED in statuses(stores[0]))
        (project / "go").touch()

        until(lambda: len(statuses(stores[0])) == 5 and not stores[0].unfinished())

        assert sorted(statuses(stores[0])) == [RunStatus.CANCELLED] + [RunStatus.COMPLETED] * 4
    finally:
        here.shutdown()
        there.shutdown()
        for store in stores:
            store.close()


def test_a_function_of_an_application_is_run_later(store: RunStore, make_manager: MakeManager) -> None:
    """It cannot be imported by name, so that it runs in a thread of this process."""
    told: list[int] = []
    manager = make_manager(autostart=True)
    manager.schedule_job("job", "Job", lambda n=1: told.append(n), HOUR)
    until(lambda: statuses(store) == [RunStatus.COMPLETED])

    kept = manager.trigger_job_later("job", manager._clock.now() + SECOND / 10, arguments={"n": 7})

    until(lambda: statuses(store) == [RunStatus.COMPLETED] * 2)
    assert told == [1, 7]
    run = store.run(kept.id)
    assert run is not None
    assert (run.trigger, run.arguments) == (Trigger.MANUAL, {"n": 7})


def test_a_forked_child_keeps_a_run_that_the_parent_starts(
    store: RunStore, make_manager: MakeManager
) -> None:
    manager = make_manager()
    manager.add([manual()])
    manager.start()
    child = os.fork()
    if child == 0:
        try:
            manager.trigger_job_later("job", manager._clock.now() + SECOND / 2)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0

    until(lambda: statuses(store) == [RunStatus.COMPLETED])

    assert manager.waiting_runs() == []
