"""A blocked slot stays in its queue over an edit, a second scheduler, and a restart."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jobctl.events import RunFinished, SlotsMissed
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, OnOverlap, Run
from jobctl.schedules import Every
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from tests.support.managers import Heard, MovableClock
from tests.support.project import until

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
LONG_AGO = timedelta(seconds=100)
LONG = Job("long", "Long", None, "work:long", group="g")
WAITER = Job("waiter", "Waiter", Every(HOUR), "work:work", group="g", overlap=OnOverlap.QUEUE)
MARK = Job("mark", "Mark", Every(HOUR), "work:work")

MakeManager = Callable[..., LocalJobManager]


@pytest.fixture
def gate(project: Path, tmp_path: Path) -> Path:
    """The file that lets the long job end."""
    gate = tmp_path / "gate"
    (project / "work.py").write_text(
        "import pathlib, time\ndef work(): pass\n"
        f"def long():\n    pathlib.Path({str(gate.with_name('began'))!r}).touch()\n"
        f"    while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.02)\n"
    )
    return gate


def runs(store: RunStore, job_id: str) -> list[Run]:
    return [run for run in store.runs(job_id) if run.finished_at is not None]


def let_wait(manager: LocalJobManager, gate: Path, clock: MovableClock, store: RunStore) -> datetime:
    """Have a slot of ``waiter`` wait for a run of ``long``, since more than a minute."""
    manager.add([LONG, WAITER, MARK])
    manager.start()
    until(lambda: len(runs(store, "waiter")) == len(runs(store, "mark")) == 1)
    manager.trigger_job("long")
    until(gate.with_name("began").exists)
    until(lambda: any(run.pid for run, _ in store.unfinished("long")))  # its start is known, by this clock
    record = store.job("waiter")
    assert record is not None
    slot = record.anchor + HOUR
    clock.by += slot - clock.now() + timedelta(seconds=1)
    until(lambda: len(runs(store, "mark")) == 2)
    clock.by += LONG_AGO
    return slot


def hear(manager: LocalJobManager) -> Heard:
    heard = Heard()
    manager.bus.subscribe(heard.append)
    return heard


def served(store: RunStore, slot: datetime) -> None:
    until(lambda: len(runs(store, "waiter")) == 2)
    assert {run.scheduled_for for run in runs(store, "waiter")} == {slot - HOUR, slot}


def test_over_an_edit(make_manager: MakeManager, clock: MovableClock, store: RunStore, gate: Path) -> None:
    manager = make_manager(clock=clock)
    heard = hear(manager)
    slot = let_wait(manager, gate, clock, store)

    manager.add([replace(WAITER, timeout=timedelta(seconds=77), jitter=timedelta(seconds=1))])
    gate.touch()

    served(store, slot)
    assert heard.of(SlotsMissed) == []


def test_over_the_start_of_a_second_scheduler(
    make_manager: MakeManager, clock: MovableClock, store: RunStore, gate: Path, tmp_path: Path
) -> None:
    manager, second = (
        make_manager(clock=clock, store=one) for one in (store, open_store(tmp_path / "state"))
    )
    heard = hear(second)
    slot = let_wait(manager, gate, clock, store)

    second.add([LONG, WAITER, MARK])
    second.start()
    gate.touch()

    served(store, slot)
    assert heard.of(SlotsMissed) == []


def test_over_a_restart_that_ends_the_run_in_its_way(
    make_manager: MakeManager, clock: MovableClock, store: RunStore, gate: Path
) -> None:
    manager = make_manager(clock=clock)
    slot = let_wait(manager, gate, clock, store)
    manager.shutdown(timedelta(0))

    second = make_manager(clock=clock)
    heard = hear(second)
    second.add([LONG, WAITER, MARK])
    second.start()

    served(store, slot)
    assert heard.of(SlotsMissed) == []
    assert not gate.exists()


@pytest.mark.parametrize("away", [LONG_AGO, HOUR])
def test_not_over_a_longer_stop(
    make_manager: MakeManager, clock: MovableClock, store: RunStore, gate: Path, away: timedelta
) -> None:
    manager = make_manager(clock=clock)
    let_wait(manager, gate, clock, store)
    manager.shutdown(timedelta(0))
    clock.by += away

    second = make_manager(clock=clock)
    heard = hear(second)
    second.add([LONG, WAITER, MARK])
    second.start()
    until(lambda: [event for event in heard.of(SlotsMissed) if event.job_id == "waiter"])

    assert [event.run.job_id for event in heard.of(RunFinished)] == []
    assert len(runs(store, "waiter")) == 1
    assert not gate.exists()
