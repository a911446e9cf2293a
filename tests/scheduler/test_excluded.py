"""Slots on excluded dates: recorded once a date, never missed, never caught up."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobctl.events import RunFinished, SlotsMissed
from jobctl.model import CatchUp, Job, OnOverlap, Reason, Run, RunStatus
from jobctl.scheduler.agenda import Agenda
from jobctl.schedules import Excluding, parse_schedule
from jobctl.schedules.excluding import parse_dates
from jobctl.store.base import RunStore
from tests.support.managers import Heard, MakeManager, MovableClock
from tests.support.project import until

CHRISTMAS = "2026-12-24..2026-12-26"
HOUR = timedelta(hours=1)


def job(schedule: str, *excluded: str, job_id: str = "tick", **more: object) -> Job:
    found = Excluding(parse_schedule(schedule), map(parse_dates, excluded or (CHRISTMAS,)))
    return Job(job_id, job_id, found, "site_jobs:work", exclude=excluded, **more)  # type: ignore[arg-type]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# The agenda


def test_the_first_slot_of_each_excluded_date_comes_by_itself() -> None:
    agenda = Agenda()
    entry = agenda.put(job("every 1s"), at("2026-12-01T00:00"), at("2026-12-23T23:59:58"))
    eve, christmas = at("2026-12-24T00:00"), at("2026-12-25T00:00")

    (before,) = agenda.take_due(eve - timedelta(seconds=1))
    assert (before.slot, before.is_excluded, entry.due) == (
        at("2026-12-23T23:59:59"),
        False,
        at("2026-12-27T00:00"),
    )
    assert agenda.next_due() == eve
    (due,) = agenda.take_due(eve)
    assert (due.slot, due.is_excluded, due.should_run) == (eve, True, False)
    assert agenda.next_due() == christmas
    assert entry.cursor == at("2026-12-23T23:59:58")  # an older slot may still wait


def test_excluded_slots_that_passed_are_not_served_later() -> None:
    agenda = Agenda()
    agenda.put(job("0 * * * *", catch_up=True), at("2026-12-01T00:00"), at("2026-12-23T22:00"))

    found = agenda.take_due(at("2026-12-27T02:00"))

    assert [(due.slot, due.is_excluded) for due in found] == [(at("2026-12-27T02:00"), False)]
    # 23:00 on the day before, and 00:00 and 01:00 on the day after
    assert found[0].misfires().count == 3


def test_an_edited_calendar_is_followed_and_the_same_one_changes_nothing() -> None:
    agenda = Agenda()
    anchor, cursor = at("2026-12-01T00:00"), at("2026-12-23T22:00")
    agenda.put(job("0 * * * *"), anchor, cursor)

    assert agenda.renew(job("0 * * * *", timeout=HOUR), anchor) is not None
    assert agenda.renew(job("0 * * * *", "2026-12-31"), anchor) is None


# A real scheduler


@pytest.fixture
def play(
    project: Path, make_manager: MakeManager, clock: MovableClock
) -> Callable[[str, Sequence[Job]], Heard]:
    """Schedule jobs from a moment on; returns what is heard."""
    file = project.joinpath("site_jobs.py")

    def start(text: str, jobs: Sequence[Job]) -> Heard:
        if not file.exists():
            file.write_text("def work():\n    pass\n")
        clock.by = at(text) - (clock.now() - clock.by)
        manager = make_manager(clock=clock)
        heard = Heard()
        manager.bus.subscribe(heard.append)
        manager.add(jobs)
        manager.start()
        return heard

    return start


def skipped(heard: Heard) -> list[Run]:
    return [event.run for event in heard.of(RunFinished) if event.run.status is RunStatus.SKIPPED]


def completed(heard: Heard, job_id: str) -> list[Run]:
    runs = [event.run for event in heard.of(RunFinished) if event.run.job_id == job_id]
    return [run for run in runs if run.status is RunStatus.COMPLETED]


def test_a_day_is_one_skipped_run_and_no_miss(
    play: Callable[[str, Sequence[Job]], Heard], store: RunStore, clock: MovableClock
) -> None:
    follower = Job("follower", "follower", None, "site_jobs:work", after=("tick",))
    heard = play("2026-12-25T12:00", [job("every 1s", "2026-12-25"), follower])

    (run,) = until(lambda: skipped(heard))
    assert (run.reason, run.error) == (Reason.EXCLUDED, "2026-12-25 is excluded")
    record = store.job("tick")
    assert record is not None
    assert record.next_run is not None
    assert timedelta(0) <= record.next_run - at("2026-12-26T00:00") < timedelta(seconds=1)
    assert record.last is None
    clock.by += at("2026-12-25T23:59:59") - clock.now()
    until(lambda: completed(heard, "tick") and completed(heard, "follower"))

    assert heard.of(SlotsMissed) == []
    assert len(skipped(heard)) == 1
    assert [each.id for each in store.runs(statuses=[RunStatus.SKIPPED])] == [run.id]
    assert completed(heard, "follower")[0].started_at >= at("2026-12-26T00:00")
    (totals,) = [one for one in store.metrics().jobs if one.id == "tick"]
    assert (totals.skipped, totals.failed_jobs) == (1, 0)


@pytest.mark.parametrize("catch_up", list(CatchUp))
def test_excluded_slots_are_not_caught_up(
    catch_up: CatchUp,
    play: Callable[[str, Sequence[Job]], Heard],
    make_manager: MakeManager,
    store: RunStore,
    clock: MovableClock,
) -> None:
    jobs = [job("0 * * * *", catch_up=catch_up)]
    clock.by = at("2026-12-23T22:30") - clock.now()
    first = make_manager(clock=clock)
    first.add(jobs)
    first.start()
    first.shutdown()

    heard = play("2026-12-27T01:30", jobs)
    wanted = {CatchUp.NONE: 0, CatchUp.LAST: 1, CatchUp.EACH: 3}[catch_up]
    until(lambda: len(completed(heard, "tick")) == wanted and (wanted or heard.of(SlotsMissed)))

    slots = sorted(run.scheduled_for for run in store.runs() if run.scheduled_for)
    every = [at("2026-12-23T23:00"), at("2026-12-27T00:00"), at("2026-12-27T01:00")]
    assert slots == every[3 - wanted :]
    assert sum(event.count for event in heard.of(SlotsMissed)) == 3 - wanted


WAITS = """
from pathlib import Path

def work():
    Path("began").touch()
    while not Path("go").exists():
        pass
"""


def test_a_slot_that_waits_is_run_although_an_excluded_one_comes(
    play: Callable[[str, Sequence[Job]], Heard], project: Path, clock: MovableClock
) -> None:
    project.joinpath("site_jobs.py").write_text(WAITS)
    heard = play("2026-12-23T23:58:50", [job("*/20 * * * * *", "2026-12-24", overlap=OnOverlap.QUEUE)])
    clock.by += timedelta(seconds=11)
    until(project.joinpath("began").exists)
    clock.by += timedelta(minutes=1)
    until(lambda: skipped(heard))
    project.joinpath("go").touch()
    until(lambda: len(completed(heard, "tick")) == 2)

    slots = [run.scheduled_for for run in completed(heard, "tick")]
    assert slots == [at("2026-12-23T23:59:00"), at("2026-12-23T23:59:40")]


def test_a_manual_run_starts_all_the_same(
    play: Callable[[str, Sequence[Job]], Heard], make_manager: MakeManager, clock: MovableClock
) -> None:
    heard = play("2026-12-25T12:00", [job("every 1s")])
    until(lambda: skipped(heard))
    manager = make_manager(clock=clock)
    manager.add([job("every 1s")])

    run = manager.wait(manager.trigger_job("tick").id, 30)

    assert run.status is RunStatus.COMPLETED
