"""``overlap = "replace"``: a new slot cancels the run of its job that is in its way, and then runs."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jobctl.clock import iso
from jobctl.events import RunFinished, RunStarted
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, OnOverlap, Reason, Run, RunStatus, Trigger
from jobctl.schedules import Every
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.store.records import Cancellation, Claim, Claimed, Owner, new_run_id, registration
from tests.support.managers import Heard, MovableClock
from tests.support.project import until

HOUR = timedelta(hours=1)
CODE = """
import pathlib, signal, time
def hang(): time.sleep(300)
def quick(): pass
def brief(): time.sleep(0.99)
def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pathlib.Path("stubborn").touch()
    time.sleep(300)
"""
MakeManager = Callable[..., LocalJobManager]


def job(call: str = "hang", every: timedelta | float = HOUR, **more: Any) -> Job:
    settings: dict[str, Any] = {"overlap": OnOverlap.REPLACE, "grace": timedelta(seconds=30), **more}
    return Job("job", "Job", Every(every), f"work:{call}", **settings)


@pytest.fixture(autouse=True)
def code(project: Path) -> None:
    (project / "work.py").write_text(CODE)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], RunStore]]:
    """Opens the same store again, as another process does."""
    place = tmp_path / "state" if request.param == "sqlite" else request.getfixturevalue("postgres").schema()
    opened: list[RunStore] = []

    def again() -> RunStore:
        opened.append(open_store(place))
        return opened[-1]

    yield again
    for store in opened:
        store.close()


def started(manager: LocalJobManager, store: RunStore, clock: MovableClock, one: Job) -> tuple[Run, datetime]:
    """The first run of a job that is on its schedule, and the next slot, which is due now."""
    manager.add([one])
    manager.start()
    (run,) = until(lambda: [run for run, _ in store.unfinished(one.id) if run.pid])
    assert run.scheduled_for is not None
    slot = run.scheduled_for + HOUR
    clock.by += slot - clock.now() + timedelta(seconds=1)
    return run, slot


def ended(store: RunStore, run: Run) -> Run:
    """A run as recorded, once it has ended."""
    (found,) = until(lambda: [each for each in store.runs("job") if each.id == run.id and each.finished_at])
    return found


def test_a_new_slot_cancels_the_run_in_its_way_and_then_runs(
    store: RunStore, make_manager: MakeManager, clock: MovableClock
) -> None:
    manager = make_manager(clock=clock)
    first, slot = started(manager, store, clock, job())

    replaced = ended(store, first)
    (second,) = until(lambda: [run for run, _ in store.unfinished("job") if run.id != first.id])

    assert (replaced.status, replaced.reason) == (RunStatus.CANCELLED, Reason.CANCELLED)
    assert replaced.error == f"cancelled by schedule: replaced by the slot of {iso(slot)}"
    assert second.scheduled_for == slot


@pytest.mark.slow
def test_a_run_that_another_process_runs_is_replaced(
    open_again: Callable[[], RunStore], make_manager: MakeManager, clock: MovableClock
) -> None:
    store = open_again()
    elsewhere = make_manager(store=open_again())
    elsewhere.add([job()])
    manager = make_manager(store=store, clock=clock)
    by_hand = elsewhere.trigger_job("job")

    manager.add([job()])
    manager.start()

    replaced = ended(store, by_hand)
    (second,) = until(lambda: [run for run, _ in store.unfinished("job")])
    assert (replaced.status, replaced.trigger) == (RunStatus.CANCELLED, Trigger.MANUAL)
    assert (replaced.error or "").startswith("cancelled by schedule: replaced by the slot of ")
    assert second.trigger is Trigger.SCHEDULE


@pytest.mark.slow
def test_the_slot_waits_for_a_run_of_another_job_of_its_group(
    store: RunStore, make_manager: MakeManager, clock: MovableClock
) -> None:
    manager = make_manager(clock=clock)
    manager.add(
        [Job("other", "Other", None, "work:hang", group="g"), Job("mark", "Mark", Every(1), "work:quick")]
    )
    other = manager.trigger_job("other")
    manager.add([job("quick", group="g")])
    manager.start()
    until(lambda: len([run for run in store.runs("mark") if run.finished_at]) >= 3)

    assert store.runs("job") == []
    assert [run.id for run, _ in store.unfinished("other")] == [other.id]
    assert manager.cancel_run(other.id)
    assert until(lambda: store.runs("job", statuses=[RunStatus.COMPLETED]))


@pytest.mark.slow
def test_only_the_newest_slot_replaces_a_run_that_takes_its_time_to_end(
    store: RunStore, make_manager: MakeManager, project: Path
) -> None:
    manager = make_manager()
    manager.add([job("stubborn", every=1, grace=timedelta(seconds=3))])
    manager.start()
    until((project / "stubborn").exists)
    (first,) = store.runs("job")

    replaced = ended(store, first)
    (second,) = until(lambda: [run for run in store.runs("job") if run.id != first.id])

    assert replaced.status is RunStatus.CANCELLED
    assert first.scheduled_for is not None
    assert second.scheduled_for is not None
    assert second.status is RunStatus.RUNNING
    record = store.job("job")
    assert record is not None
    assert record.missed == (second.scheduled_for - first.scheduled_for) / timedelta(seconds=1) - 1 >= 1


def test_a_request_by_a_person_is_not_replaced_by_that_of_a_slot(
    store: RunStore, clock: MovableClock
) -> None:
    owner = Owner("one", "scheduler", "here", 1, "1", "boot", clock.now())
    store.register_process(owner)
    store.register([registration(job())], clock.now())
    claim = Claim(new_run_id(), "job", Trigger.MANUAL, clock.now())
    assert isinstance(store.claim(owner, [claim])[0], Claimed)
    by_ada = Cancellation(claim.run_id, "ada@here", "wrong", now=True)

    assert store.cancel(by_ada, claim.at)
    assert not store.cancel(Cancellation(claim.run_id, "schedule", "replaced"), claim.at, first=True)

    assert store.cancellations(owner.id) == [by_ada]


@pytest.mark.slow
def test_a_run_that_ends_while_it_is_replaced_has_one_ending(
    store: RunStore, make_manager: MakeManager
) -> None:
    """Each run takes about as long as the interval."""
    manager, heard = make_manager(), Heard()
    manager.bus.subscribe(heard.append)
    manager.add([job("brief", every=1)])
    manager.start()
    enough = threading.Event()
    manager.bus.subscribe(lambda _: enough.set() if len(heard.of(RunFinished)) >= 8 else None)
    assert enough.wait(60)
    manager.shutdown()

    runs = store.runs("job", limit=None)
    assert sorted(event.run.id for event in heard.of(RunFinished)) == sorted(run.id for run in runs)
    assert len(heard.of(RunStarted)) == len(runs) == len({run.scheduled_for for run in runs})
    assert {run.status for run in runs} <= {RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED}
    (totals,) = store.metrics("job").jobs
    assert totals.successful_jobs == sum(run.status is RunStatus.COMPLETED for run in runs)
    ordered = sorted(runs, key=lambda run: run.started_at)
    assert all(
        earlier.finished_at is not None and earlier.finished_at <= later.started_at
        for earlier, later in pairwise(ordered)
    )
