"""The local manager with real workers, a real store and real clocks."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jobctl.clock import SystemClock
from jobctl.errors import AlreadyRunningError, StoreError, UnknownJobError, UsageError
from jobctl.events import RunFinished, RunOutput, RunRetrying, RunStarted, SchedulerStarted, SchedulerStopped
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, Reason, Run, RunStatus, Status, Trigger
from jobctl.schedules import Every
from jobctl.store.base import RunStore
from jobctl.store.open import open_store

SOON = 20.0


def write_jobs(project: Path, source: str) -> None:
    (project / "site_jobs.py").write_text(source, encoding="utf-8")


def finished(manager: LocalJobManager, heard: list[object], count: int = 1) -> list[Run]:
    """Wait until ``count`` runs have ended."""
    enough = threading.Event()

    def look(_: object = None) -> None:
        if sum(isinstance(event, RunFinished) for event in list(heard)) >= count:
            enough.set()

    unsubscribe = manager.bus.subscribe(look)
    look()
    assert enough.wait(SOON), heard
    unsubscribe()
    return [event.run for event in list(heard) if isinstance(event, RunFinished)]


def test_a_job_runs_at_once_in_a_worker_and_is_recorded(
    manager: LocalJobManager, heard: list[object], project: Path, store: RunStore
) -> None:
    write_jobs(
        project,
        "import os\ndef hello():\n    print('hello from a worker')\n    return {'pid': os.getpid()}\n",
    )
    manager.schedule_job("hello", "Hello", "site_jobs:hello", 3600)

    manager.start()
    run, *_ = finished(manager, heard)

    assert (run.status, run.trigger, run.reason) == (RunStatus.COMPLETED, Trigger.SCHEDULE, None)
    assert run.result["pid"] == run.pid
    assert store.run(run.id) == run
    assert [event.line for event in heard if isinstance(event, RunOutput)] == ["hello from a worker"]
    status = manager.get_job_status("hello")
    assert status is not None
    assert (status.status, status.run_id) == (Status.COMPLETED, run.id)
    assert status.next_run is not None
    assert run.scheduled_for is not None
    assert status.next_run - run.scheduled_for == timedelta(hours=1)


def test_a_function_is_run_in_a_worker_by_its_name(manager: LocalJobManager, heard: list[object]) -> None:
    import platform

    manager.schedule_job("node", "Node", platform.node, 3600)
    manager.start()

    assert finished(manager, heard)[0].result == platform.node()


def test_a_lambda_runs_in_a_thread(manager: LocalJobManager, heard: list[object]) -> None:
    seen: list[str] = []
    manager.schedule_job("tidy", "Tidy", lambda: seen.append(threading.current_thread().name), 3600)
    manager.start()

    assert finished(manager, heard)[0].status is RunStatus.COMPLETED
    assert seen != [threading.current_thread().name]


def test_a_job_without_a_schedule_can_be_triggered(manager: LocalJobManager, project: Path) -> None:
    write_jobs(project, "def work():\n    raise ValueError('no luck')\n")
    manager.add([Job("work", "Work", None, "site_jobs:work")])

    run = manager.trigger_job("work")
    ended = manager.wait(run.id, SOON)

    assert run.status is RunStatus.RUNNING
    assert (ended.status, ended.reason, ended.error) == (
        RunStatus.FAILED,
        Reason.ERROR,
        "ValueError: no luck",
    )
    assert ended.trigger is Trigger.MANUAL
    status = manager.get_job_status("work")
    assert status is not None
    assert (status.status, status.note) == (Status.FAILED, "no schedule: manual only")


def test_a_running_job_is_not_started_again_from_here_or_elsewhere(
    manager: LocalJobManager, make_manager: object, project: Path, tmp_path: Path
) -> None:
    write_jobs(project, "import time\ndef work():\n    time.sleep(60)\n")
    job = Job("work", "Work", None, "site_jobs:work")
    other = make_manager(store=open_store(tmp_path / "state"))  # type: ignore[operator]
    for one in (manager, other):
        one.add([job])
    run = manager.trigger_job("work")

    for one in (manager, other):
        with pytest.raises(AlreadyRunningError, match=rf"work is already running for .*\(run {run.id[:8]}"):
            one.trigger_job("work")


@pytest.mark.parametrize(
    "call",
    [
        lambda manager, at: manager.trigger_job_later("tick", at),
        lambda manager, at: manager.backfill("tick", at - timedelta(days=1), at),
        lambda manager, at: manager.stop_job("tick", until=at),
        lambda manager, at: manager.stop_all_jobs(until=at),
    ],
)
def test_a_time_without_a_zone_is_refused(
    manager: LocalJobManager, call: Callable[[LocalJobManager, datetime], object]
) -> None:
    manager.add([Job("tick", "Tick", Every(timedelta(hours=1)), "json:dumps")])

    with pytest.raises(UsageError, match=r"^20\d\d-.* has no time zone"):
        call(manager, datetime(2087, 1, 1))

    assert manager.waiting_runs() == []
    (tick,) = manager.get_all_job_statuses()
    assert tick.status is Status.SCHEDULED


def test_an_unknown_job_is_reported_with_the_nearest_id(manager: LocalJobManager) -> None:
    manager.add([Job("work", "Work", None, "site_jobs:work")])

    with pytest.raises(UnknownJobError) as caught:
        manager.trigger_job("wrok")

    assert caught.value.hint == 'did you mean "work"?'


def test_a_failed_attempt_is_followed_by_another_in_the_same_run(
    manager: LocalJobManager, heard: list[object], project: Path, tmp_path: Path, store: RunStore
) -> None:
    marks = tmp_path / "marks"
    write_jobs(
        project,
        f"def work():\n    with open({str(marks)!r}, 'a') as file:\n        file.write('x')\n"
        f"    if len(open({str(marks)!r}).read()) < 3:\n        raise OSError('not yet')\n",
    )
    manager.add(
        [Job("work", "Work", None, "site_jobs:work", retries=3, retry_delay=timedelta(milliseconds=10))]
    )

    run = manager.wait(manager.trigger_job("work").id, SOON)

    assert (run.status, run.attempt, run.error) == (RunStatus.COMPLETED, 3, None)
    assert marks.read_text() == "xxx"
    failed = [(event.run.attempt, event.error) for event in heard if isinstance(event, RunRetrying)]
    assert failed == [(1, "OSError: not yet"), (2, "OSError: not yet")]
    assert len(store.runs()) == 1


def test_a_run_that_is_ended_between_its_attempts_took_the_time_since_the_first(
    manager: LocalJobManager, heard: list[object], project: Path
) -> None:
    write_jobs(project, "def work():\n    raise OSError('not yet')\n")
    manager.add([Job("work", "Work", None, "site_jobs:work", retries=3, retry_delay=timedelta(hours=1))])
    retrying = threading.Event()
    manager.bus.subscribe(lambda event: retrying.set() if isinstance(event, RunRetrying) else None)

    manager.trigger_job("work")
    assert retrying.wait(SOON)
    threading.Event().wait(0.05)
    manager.shutdown(timedelta(0))

    (run,) = [event.run for event in heard if isinstance(event, RunFinished)]
    assert (run.reason, run.error) == (Reason.INTERRUPTED, "OSError: not yet")
    assert run.duration is not None
    assert run.duration >= timedelta(seconds=0.05)


def test_renewed_workers_know_what_was_written_since(manager: LocalJobManager, project: Path) -> None:
    write_jobs(project, "def one():\n    return 1\n")
    manager.add([Job(name, name, None, f"site_jobs:{name}") for name in ("one", "two")])
    manager.renew_workers()
    before = manager.wait(manager.trigger_job("one").id, SOON)
    write_jobs(project, "def one():\n    return 'changed'\ndef two():\n    return 2\n")

    manager.renew_workers()

    after = [manager.wait(manager.trigger_job(name).id, SOON) for name in ("one", "two")]
    assert [run.result for run in (before, *after)] == [1, "changed", 2]
    assert before.pid not in {run.pid for run in after}


def test_a_failure_that_is_final_is_not_tried_again(manager: LocalJobManager, project: Path) -> None:
    write_jobs(
        project,
        "from jobctl import PermanentJobError\ndef work():\n    raise PermanentJobError('wrong token')\n",
    )
    manager.add([Job("work", "Work", None, "site_jobs:work", retries=3, retry_delay=timedelta(hours=1))])

    run = manager.wait(manager.trigger_job("work").id, SOON)

    assert (run.attempt, run.error) == (1, "wrong token")


def test_a_slot_that_comes_while_the_job_runs_is_skipped(
    manager: LocalJobManager, heard: list[object], project: Path
) -> None:
    write_jobs(project, "import time\ndef work():\n    time.sleep(60)\n")
    manager.schedule_job("work", "Work", "site_jobs:work", 1)
    manager.start()

    run, *_ = finished(manager, heard)

    assert (run.status, run.reason) == (RunStatus.SKIPPED, Reason.OVERLAP)
    assert manager.get_job_metrics().skipped >= 1


def test_a_stop_waits_for_what_runs_and_starts_nothing(
    manager: LocalJobManager, heard: list[object], project: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    write_jobs(
        project,
        "import pathlib, select\ndef work():\n"
        f"    while not pathlib.Path({str(gate)!r}).exists():\n        select.select([], [], [], 0.02)\n",
    )
    manager.schedule_job("work", "Work", "site_jobs:work", 1)
    manager.start()
    started = threading.Event()
    manager.bus.subscribe(lambda event: started.set() if isinstance(event, RunStarted) else None)
    assert started.is_set() or any(isinstance(event, RunStarted) for event in heard) or started.wait(SOON)

    stopping = threading.Thread(target=lambda: results.append(manager.shutdown(timedelta(seconds=30))))
    results: list[int] = []
    stopping.start()
    gate.touch()
    stopping.join(SOON)

    assert results == [0]
    runs = [event.run for event in heard if isinstance(event, RunFinished)]
    assert [run.status for run in runs if run.reason is None] == [RunStatus.COMPLETED]
    assert isinstance(heard[-1], SchedulerStopped)


def test_what_does_not_end_in_its_grace_is_ended_and_recorded(
    manager: LocalJobManager, heard: list[object], project: Path, store: RunStore
) -> None:
    write_jobs(project, "import time\ndef work():\n    time.sleep(60)\n")
    manager.add([Job("work", "Work", None, "site_jobs:work")])
    run = manager.trigger_job("work")

    assert manager.shutdown(timedelta(0)) == 1

    kept = store.run(run.id)
    assert kept is not None
    assert (kept.status, kept.reason) == (RunStatus.FAILED, Reason.INTERRUPTED)
    assert kept.error


def test_a_timeout_ends_the_run(manager: LocalJobManager, project: Path) -> None:
    write_jobs(project, "import time\ndef work():\n    time.sleep(60)\n")
    manager.add([Job("work", "Work", None, "site_jobs:work", timeout=timedelta(milliseconds=300))])

    run = manager.wait(manager.trigger_job("work").id, SOON)

    assert (run.status, run.reason) == (RunStatus.FAILED, Reason.TIMEOUT)


def test_stopped_is_kept_over_restarts_and_started_goes_on(
    make_manager: object, project: Path, store: RunStore
) -> None:
    write_jobs(project, "def work():\n    pass\n")
    job = Job("work", "Work", Every(timedelta(hours=1)), "site_jobs:work")
    first = make_manager()  # type: ignore[operator]
    first.add([job])
    first.stop_job("work")
    second = make_manager()  # type: ignore[operator]
    second.add([job])
    heard: list[object] = []
    second.bus.subscribe(heard.append)
    second.start()
    assert second.get_job_status("work").status is Status.STOPPED
    assert not store.runs()

    second.start_job("work")
    status = second.get_job_status("work")

    assert status.status in {Status.SCHEDULED, Status.RUNNING, Status.COMPLETED}
    assert any(isinstance(event, SchedulerStarted) for event in heard)


def test_inside_an_async_application(make_manager: object, project: Path) -> None:
    async def application() -> Run:
        async with make_manager() as manager:  # type: ignore[operator]
            manager.add([Job("work", "Work", None, "site_jobs:work")])
            run = manager.trigger_job("work")
            ended: Run = await asyncio.to_thread(manager.wait, run.id, SOON)
            return ended

    write_jobs(project, "async def work():\n    return 'done'\n")

    assert asyncio.run(application()).result == "done"


def test_starting_and_shutting_down_twice_changes_nothing(manager: LocalJobManager) -> None:
    manager.start()
    manager.start()
    assert manager.shutdown() == 0
    assert manager.shutdown() == 0


@pytest.mark.slow
def test_what_another_process_stops_and_starts_is_heeded(
    make_manager: object, project: Path, tmp_path: Path
) -> None:
    write_jobs(project, "def work():\n    pass\n")
    job = Job("work", "Work", Every(timedelta(seconds=1)), "site_jobs:work")
    scheduler = make_manager()  # type: ignore[operator]
    other = make_manager(store=open_store(tmp_path / "state"))  # type: ignore[operator]
    runs: list[Run] = []
    ran = threading.Event()

    def listen(event: object) -> None:
        if isinstance(event, RunFinished):
            runs.append(event.run)
            ran.set()

    scheduler.bus.subscribe(listen)
    for one in (scheduler, other):
        one.add([job])
    scheduler.start()
    assert ran.wait(SOON)

    other.stop_job("work")
    at_most = len(runs) + 1
    assert not threading.Event().wait(2.5)
    assert len(runs) <= at_most
    assert scheduler.get_job_status("work").status is Status.STOPPED

    ran.clear()
    other.start_job("work")
    assert ran.wait(SOON)


@pytest.mark.slow
def test_a_pause_that_is_over_before_it_is_noticed_ends(
    manager: LocalJobManager, project: Path, tmp_path: Path
) -> None:
    """The scheduler learns of it only when the job is due, and nothing else changes in the store after that."""
    write_jobs(project, "def work(): pass\n")
    ran = threading.Event()

    def listen(event: object) -> None:
        if isinstance(event, RunFinished):
            ran.set()

    manager.bus.subscribe(listen)
    manager.add([Job("work", "Work", Every(timedelta(seconds=4)), "site_jobs:work")])
    manager.start()
    assert ran.wait(SOON)

    now = SystemClock().now()
    with closing(
        open_store(tmp_path / "state")
    ) as other:  # the scheduler sees within 2 s that it has changed
        other.stop(["work"], now, until=now)

    ran.clear()
    assert ran.wait(SOON)
    assert manager.store.jobs()["work"].stopped is None


def test_waiting_for_a_run_that_ended_long_ago(manager: LocalJobManager, project: Path) -> None:
    write_jobs(project, "def work():\n    return 7\n")
    manager.add([Job("work", "Work", None, "site_jobs:work")])
    run = manager.trigger_job("work")
    manager.wait(run.id, SOON)

    manager.shutdown()

    assert manager.wait(run.id, 0).result == 7
    with pytest.raises(TimeoutError):
        manager.wait("0" * 16, 0)


def test_a_fault_in_a_duty_beside_the_loop_ends_it_loudly(
    manager: LocalJobManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a heartbeat it would be held for dead, and others would run its jobs."""

    def faulty(*_: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr("jobctl.scheduler.maintenance.fail_lost_runs", faulty)
    with suppress(StoreError):  # it may have stopped before it was up
        manager.start()

    assert manager.wait_ended(30)
    with pytest.raises(ValueError):
        manager.shutdown()
