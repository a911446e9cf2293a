"""A run store that cannot be written stops starts, not the scheduler; what ended meanwhile is kept."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from jobctl.events import RunFinished, RunStarted, StoreRecovered, StoreUnavailable
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, RunStatus
from jobctl.schedules import Every
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from tests.support.managers import Heard

SOON = 20.0


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[RunStore]:
    """A store that waits for others only a moment, as the scheduler's does."""
    store = open_store(tmp_path / "state", busy_timeout=timedelta(milliseconds=50))
    yield store
    store.close()


def wait_for(manager: LocalJobManager, heard: Heard, enough: Callable[[Heard], bool]) -> None:
    done = threading.Event()
    unsubscribe = manager.bus.subscribe(lambda _: done.set() if enough(heard) else None)
    if enough(heard):
        done.set()
    assert done.wait(SOON), heard
    unsubscribe()


def test_while_it_is_held_nothing_starts_and_nothing_is_lost(
    impatient: RunStore, make_manager: Callable[..., LocalJobManager], project: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    (project / "site_jobs.py").write_text(
        "import pathlib, select\n"
        f"def gated():\n    while not pathlib.Path({str(gate)!r}).exists():\n        select.select([], [], [], 0.02)\n"
        "def tick():\n    pass\n"
    )
    manager = make_manager(store=impatient)
    heard = Heard()
    manager.bus.subscribe(heard.append)
    manager.add([Job("gated", "Gated", None, "site_jobs:gated")])
    manager.schedule_job("tick", "Tick", "site_jobs:tick", 1)
    manager.start()
    run = manager.trigger_job("gated")
    wait_for(manager, heard, lambda heard: any(one.run.job_id == "tick" for one in heard.of(RunFinished)))

    with closing(sqlite3.connect(tmp_path / "state" / "jobctl.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = len(heard.of(RunStarted))
        wait_for(manager, heard, lambda heard: bool(heard.of(StoreUnavailable)))
        gate.touch()
        with pytest.raises(TimeoutError):
            manager.wait(run.id, 0.5)
        assert len(heard.of(RunStarted)) == started
        other.execute("COMMIT")

    ended = manager.wait(run.id, SOON)
    assert ended.status is RunStatus.COMPLETED
    assert impatient.run(run.id) == ended
    wait_for(manager, heard, lambda heard: len(heard.of(RunStarted)) > started)
    assert len(heard.of(StoreUnavailable)) == len(heard.of(StoreRecovered)) == 1
    assert "locked by another process" in heard.of(StoreUnavailable)[0].problem


def test_a_stop_waits_a_while_for_the_store(
    impatient: RunStore, make_manager: Callable[..., LocalJobManager], project: Path, tmp_path: Path
) -> None:
    (project / "site_jobs.py").write_text("def work():\n    pass\n")
    manager = make_manager(store=impatient)
    heard = Heard()
    manager.bus.subscribe(heard.append)
    manager.add([Job("work", "Work", Every(3600), "site_jobs:work")])
    with closing(sqlite3.connect(tmp_path / "state" / "jobctl.db", isolation_level=None)) as other:
        manager.start()
        wait_for(manager, heard, lambda heard: bool(heard.of(RunStarted)))
        other.execute("PRAGMA busy_timeout = 5000")
        other.execute("BEGIN IMMEDIATE")
        stopping = threading.Thread(target=manager.shutdown)
        stopping.start()
        stopping.join(0.3)
        other.execute("COMMIT")
        stopping.join(SOON)

    assert not stopping.is_alive()
    (run,) = impatient.runs()
    assert run.status is RunStatus.COMPLETED
