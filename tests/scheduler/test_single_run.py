"""One run in the calling thread, as ``jobctl trigger`` makes it."""

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.clock import SystemClock
from jobctl.errors import AlreadyRunningError, NotRunError
from jobctl.events import Event, RunOutput, RunRetrying
from jobctl.model import Job, Reason, Run, RunStatus, Trigger
from jobctl.scheduler.single_run import SingleRun
from jobctl.settings.masking import Mask
from jobctl.store.base import RunStore
from jobctl.store.records import Cancellation

CODE = (
    "import time\ndef work():\n    print('hello')\n    return 7\n"
    "def fail():\n    raise ValueError('no luck')\ndef hang():\n    time.sleep(300)\n"
)
MakeSingleRun = Callable[..., SingleRun]


@pytest.fixture
def make_single_run(store: RunStore, project: Path, tmp_path: Path) -> Iterator[MakeSingleRun]:
    (project / "site_jobs.py").write_text(CODE)
    made: list[SingleRun] = []

    def make(function: str, **settings: Any) -> SingleRun:
        single = SingleRun(
            store,
            Job("work", "Work", None, f"site_jobs:{function}", **settings),
            project=project,
            state=tmp_path / "state",
            environment={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
            most_logs=1_000_000,
            mask=Mask(),
            clock=SystemClock(),
        )
        made.append(single)
        return single

    yield make
    for single in made:
        single.close()


def start(single: SingleRun) -> Run:
    return single.start(Trigger.MANUAL, {}, None)


def never() -> bool:
    return False


def test_it_runs_once_and_is_recorded(make_single_run: MakeSingleRun, store: RunStore) -> None:
    single = make_single_run("work")

    started = start(single)
    ended = single.wait(started.id, never)
    single.close()

    assert (started.status, ended.status, ended.result) == (RunStatus.RUNNING, RunStatus.COMPLETED, 7)
    assert store.run(started.id) == ended
    assert all(owner.ended is not None for owner in store.owners())


def test_a_second_one_is_refused_while_it_runs(make_single_run: MakeSingleRun) -> None:
    start(make_single_run("hang"))

    with pytest.raises(AlreadyRunningError, match="work is already running for "):
        start(make_single_run("work"))


def test_a_job_whose_needs_are_unmet_is_refused(make_single_run: MakeSingleRun, store: RunStore) -> None:
    with pytest.raises(NotRunError, match="work was not run: SITE_URL is not set"):
        start(make_single_run("work", unmet="SITE_URL is not set"))

    assert store.runs() == []


def test_a_stop_ends_it_while_it_waits_for_its_next_attempt(make_single_run: MakeSingleRun) -> None:
    single = make_single_run("fail", retries=1, retry_delay=timedelta(minutes=5))
    retrying: list[RunRetrying] = []
    single.bus.subscribe(lambda event: retrying.append(event) if isinstance(event, RunRetrying) else None)

    ended = single.wait(start(single).id, lambda: bool(retrying))

    assert (ended.status, ended.reason, ended.error) == (
        RunStatus.FAILED,
        Reason.INTERRUPTED,
        "ValueError: no luck",
    )


def test_a_fault_of_maintenance_ends_it_and_is_raised(
    make_single_run: MakeSingleRun, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr("jobctl.scheduler.single_run._MAINTENANCE_AFTER_S", 0.0)
    monkeypatch.setattr("jobctl.scheduler.maintenance.fail_lost_runs", faulty)
    single = make_single_run("hang")
    started = start(single)

    with pytest.raises(ValueError, match="a fault"):
        single.wait(started.id, never)

    recorded = store.run(started.id)
    assert recorded is not None
    assert recorded.reason is Reason.INTERRUPTED


def test_a_run_that_fails_while_it_is_cancelled_is_not_retried(
    make_single_run: MakeSingleRun, store: RunStore, project: Path
) -> None:
    (project / "site_jobs.py").write_text(
        "def fail():\n    print('begun')\n    open('go').read()\n    raise ValueError('no luck')\n"
    )
    os.mkfifo(project / "go")
    single = make_single_run("fail", retries=3, retry_delay=timedelta(hours=1))

    def cancel(event: Event) -> None:
        """Before the scheduler looks for cancellations: the report of the failure is on its way then."""
        if isinstance(event, RunOutput) and event.line == "begun":
            (worker,) = single._pool._workers
            (project / "go").write_text("")
            select.select([worker.result], [], [])
            threading.Event().wait(single._runs.cancellation_interval_s)
            store.cancel(Cancellation(event.run_id, "ada@host"), started.started_at)

    single.bus.subscribe(cancel)
    started = start(single)

    ended = single.wait(started.id, never)

    assert (ended.status, ended.reason, ended.error) == (
        RunStatus.CANCELLED,
        Reason.CANCELLED,
        "cancelled by ada@host",
    )
