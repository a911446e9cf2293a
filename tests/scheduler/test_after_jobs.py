"""Jobs that run after others, by a real scheduler."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.errors import UsageError
from jobctl.events import RunFinished
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, Run, RunStatus, Trigger
from jobctl.scheduler.after_jobs import due_slot
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.store.records import JobRecord
from tests.support.managers import MakeManager, MovableClock
from tests.support.project import until

pytestmark = pytest.mark.slow

SOON = 60.0
START = datetime(2026, 11, 23, 9, tzinfo=UTC)
CODE = """
import pathlib
from jobctl import current_run

def work(): pass
def fail(): raise ValueError("no")
def tell(): return {"slot": str(current_run().slot)}
def hold():
    while not pathlib.Path("go").exists(): pass
"""


@pytest.fixture
def jobs(manager: LocalJobManager, project: Path) -> LocalJobManager:
    """``both`` runs after ``one`` and ``two``; ``fails`` and ``hold`` are other jobs without a schedule."""
    (project / "work.py").write_text(CODE)
    manager.add(
        [manual("one"), manual("two"), manual("other"), manual("hold", "hold"), manual("fails", "fail")]
    )
    manager.add([after("both", "one", "two", call="tell")])
    manager.start()
    return manager


def manual(job_id: str, call: str = "work", **more: Any) -> Job:
    return Job(job_id, job_id, None, f"work:{call}", **more)


def after(job_id: str, *names: str, call: str = "work", **more: Any) -> Job:
    return manual(job_id, call, after=names, **more)


def run(manager: LocalJobManager, job_id: str) -> Run:
    return manager.wait(manager.trigger_job(job_id).id, SOON)


def ran(manager: LocalJobManager, job_id: str, times: int = 1) -> list[Run]:
    """The runs of a job, newest first, once so many have ended."""
    seen = threading.Event()

    def count() -> list[Run]:
        return [found for found in manager.runs(job_id) if found.finished_at is not None]

    manager.bus.subscribe(
        lambda event: seen.set() if isinstance(event, RunFinished) and len(count()) >= times else None
    )
    assert len(count()) >= times or seen.wait(SOON)
    return count()


def none_more(manager: LocalJobManager, job_id: str, times: int = 0) -> None:
    """A run that is started later has ended, and the job has still run only so often."""
    run(manager, "other")
    assert len(manager.runs(job_id)) == times


def test_it_runs_once_when_all_have_completed_since_its_last_start(jobs: LocalJobManager) -> None:
    run(jobs, "one")
    none_more(jobs, "both")
    run(jobs, "one")
    none_more(jobs, "both")
    last = run(jobs, "two")
    (first,) = ran(jobs, "both")
    none_more(jobs, "both", 1)
    run(jobs, "two")
    none_more(jobs, "both", 1)
    run(jobs, "one")
    ran(jobs, "both", 2)
    none_more(jobs, "both", 2)

    assert (first.trigger, first.scheduled_for) == (Trigger.SCHEDULE, last.finished_at)
    assert first.result == {"slot": str(last.finished_at)}
    assert (status := jobs.get_job_status("both")) is not None
    assert (status.schedule, status.note, status.next_run) == ("after one, two", None, None)


def test_a_run_that_failed_does_not_count(jobs: LocalJobManager) -> None:
    jobs.add([after("hopes", "fails")])

    run(jobs, "fails")

    none_more(jobs, "hopes")


def test_what_completed_before_the_job_was_known_does_not_count(jobs: LocalJobManager) -> None:
    run(jobs, "one")
    jobs.add([after("late", "one")])
    none_more(jobs, "late")

    run(jobs, "one")

    ran(jobs, "late")


def test_a_changed_list_begins_anew(jobs: LocalJobManager) -> None:
    run(jobs, "one")
    jobs.add([after("both", "one")])
    none_more(jobs, "both")

    run(jobs, "one")

    ran(jobs, "both")


def test_a_run_by_hand_is_a_start_too(jobs: LocalJobManager) -> None:
    run(jobs, "one")
    run(jobs, "both")

    run(jobs, "two")

    none_more(jobs, "both", 1)
    run(jobs, "one")
    ran(jobs, "both", 2)


def test_it_runs_again_when_it_has_ended_if_all_have_completed_meanwhile(
    jobs: LocalJobManager, project: Path
) -> None:
    jobs.add([after("slow", "one", call="hold")])
    run(jobs, "one")
    until(lambda: jobs.runs("slow"))
    run(jobs, "one")
    none_more(jobs, "slow", 1)

    (project / "go").touch()

    found = ran(jobs, "slow", 2)
    assert {one.status for one in found} == {RunStatus.COMPLETED}
    none_more(jobs, "slow", 2)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_it_waits_for_a_run_of_its_group(
    jobs: LocalJobManager, make_manager: MakeManager, project: Path, tmp_path: Path, elsewhere: bool
) -> None:
    holder = jobs
    if elsewhere:
        holder = make_manager(store=open_store(tmp_path / "state"))
    holder.add([manual("long", "hold", group="g")])
    jobs.add([after("next", "one", group="g")])
    long = holder.trigger_job("long")
    run(jobs, "one")
    none_more(jobs, "next")

    (project / "go").touch()

    held = holder.wait(long.id, SOON)
    (found,) = ran(jobs, "next")
    assert held.finished_at is not None
    assert found.started_at >= held.finished_at
    assert found.status is RunStatus.COMPLETED


def test_it_waits_for_a_worker(make_manager: MakeManager, project: Path) -> None:
    (project / "work.py").write_text(CODE)
    manager = make_manager(workers=1)
    manager.add(
        [manual("one"), manual("hold", "hold"), after("a", "one"), after("b", "one"), after("c", "b")]
    )
    manager.start()
    first = manager.trigger_job("one")
    long = manager.trigger_job("hold")
    manager.wait(first.id, SOON)

    (project / "go").touch()

    manager.wait(long.id, SOON)
    assert [one.status for name in "abc" for one in ran(manager, name)] == [RunStatus.COMPLETED] * 3


def test_a_stopped_job_does_not_run_and_what_completed_meanwhile_is_not_caught_up(
    jobs: LocalJobManager,
) -> None:
    run(jobs, "one")
    jobs.stop_job("both")
    run(jobs, "two")
    none_more(jobs, "both")

    jobs.start_job("both")

    none_more(jobs, "both")
    run(jobs, "one")
    none_more(jobs, "both")
    run(jobs, "two")
    ran(jobs, "both")


def test_a_pause_of_another_process_begins_and_ends_by_itself(
    jobs: LocalJobManager, store: RunStore, tmp_path: Path
) -> None:
    other = open_store(tmp_path / "state")
    end = datetime.now(UTC) + timedelta(seconds=1)
    other.stop(["both"], datetime.now(UTC), until=end)
    run(jobs, "one")
    run(jobs, "two")
    none_more(jobs, "both")

    until(lambda: (record := store.job("both")) and record.stopped is None)

    run(jobs, "one")
    run(jobs, "two")
    ran(jobs, "both")
    other.close()


def test_a_job_that_is_not_enabled_does_not_run(jobs: LocalJobManager) -> None:
    jobs.add([after("off", "one", enabled=False), after("lacks", "one", unmet="A is not set")])

    run(jobs, "one")

    none_more(jobs, "off")
    none_more(jobs, "lacks")


def test_without_such_jobs_nothing_is_looked_up(
    manager: LocalJobManager, project: Path, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "work.py").write_text(CODE)
    manager.add([manual("one"), after("gone", "one")])
    manager.start()
    run(manager, "one")
    ran(manager, "gone")
    manager.remove(["gone"])
    asked = threading.Event()
    monkeypatch.setattr(store, "jobs", lambda *_: asked.set())

    run(manager, "one")
    run(manager, "one")

    assert not asked.is_set()


def test_it_is_due_at_once_after_the_clock_was_set_back(
    make_manager: MakeManager, clock: MovableClock, project: Path
) -> None:
    (project / "work.py").write_text(CODE)
    clock.by = timedelta(hours=2)
    manager = make_manager(clock=clock)
    manager.add([manual("one"), manual("other"), after("next", "one")])
    manager.start()
    run(manager, "one")
    ran(manager, "next")
    clock.by = timedelta(0)
    none_more(manager, "next", 1)

    run(manager, "one")

    ran(manager, "next", 2)
    none_more(manager, "next", 2)


def test_jobs_that_run_after_each_other_are_refused(jobs: LocalJobManager) -> None:
    with pytest.raises(UsageError, match="after each other: one after both after one"):
        jobs.add([after("one", "both")])

    assert (status := jobs.get_job_status("one")) is not None
    assert status.schedule is None


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def record(job_id: str, *, success: float | None = None, **more: Any) -> JobRecord:
    completed = None if success is None else at(success)
    return JobRecord(job_id, job_id, "", "UTC", more.pop("anchor", at(0)), last_success=completed, **more)


def started(minutes: float, status: RunStatus = RunStatus.COMPLETED) -> Run:
    return Run("0123", "job", status, Trigger.MANUAL, at(minutes))


@pytest.mark.parametrize(
    ("of_job", "one", "two", "slot"),
    [
        ({}, 1, 2, 2),
        ({}, 3, 2, 3),
        ({}, 1, None, None),
        ({}, 0, 2, None),
        ({"cursor": at(2)}, 3, 2, None),
        ({"cursor": at(2)}, 3, 4, 4),
        ({"cursor": at(2), "last": started(5)}, 3, 4, None),
        ({"last": started(1)}, 3, 4, 4),
        ({"last": started(1, RunStatus.FAILED)}, 3, 4, 4),
        ({"last": started(1, RunStatus.RUNNING)}, 3, 4, None),
        ({"cursor": at(90)}, 3, 4, 4),
        ({"cursor": at(2)}, 90, 4, None),
        ({"anchor": at(90), "cursor": at(90)}, 3, 4, 4),
    ],
)  # fmt: skip
def test_when_it_is_due(
    of_job: dict[str, Any], one: float | None, two: float | None, slot: float | None
) -> None:
    """Times are minutes; those beyond an hour are from before the clock was set back."""
    records = {"one": record("one", success=one), "two": record("two", success=two)}

    found = due_slot(record("job", **of_job), ("one", "two"), records, at(60))

    assert found == (None if slot is None else at(slot))


def test_it_is_never_due_after_a_job_that_the_store_does_not_know() -> None:
    assert due_slot(record("job"), ("one",), {}, at(60)) is None


def test_a_record_that_has_changed_since_it_was_read_is_read_again(
    jobs: LocalJobManager, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if another scheduler had started the job between the query and the claim."""
    run(jobs, "one")
    read: Callable[..., Any] = store.jobs
    past: list[Any] = []

    def old(*ids: Any) -> Any:
        found = read(*ids)
        if "both" in found and not past:
            past.append(found)
            return {**found, "both": record("both", anchor=found["both"].anchor, cursor=at(-1))}
        return found

    monkeypatch.setattr(store, "jobs", old)
    run(jobs, "two")

    ran(jobs, "both")
    assert past
    none_more(jobs, "both", 1)
