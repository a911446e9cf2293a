"""Clocks that jump, and schedulers that were away: real workers, a wall clock that can be moved."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobctl.events import ClockJumped, ClocksDiffer, RunFinished, SlotsMissed
from jobctl.managers.local import LocalJobManager
from jobctl.model import Job, RunStatus
from jobctl.schedules import Cron, Every
from jobctl.store.base import RunStore
from tests.support.managers import MovableClock
from tests.support.project import until

SOON = 20.0
HOUR = timedelta(hours=1)


def hear(
    manager: LocalJobManager, enough: Callable[[list[object]], bool]
) -> tuple[list[object], threading.Event]:
    heard: list[object] = []
    done = threading.Event()

    def listen(event: object) -> None:
        heard.append(event)
        if enough(heard):
            done.set()

    manager.bus.subscribe(listen)
    return heard, done


def ended(heard: list[object]) -> int:
    return sum(isinstance(event, RunFinished) for event in heard)


@pytest.fixture(autouse=True)
def work(project: Path) -> None:
    (project / "site_jobs.py").write_text("def work():\n    pass\n", encoding="utf-8")


def one(job_id: str, schedule: Every | Cron, *, catch_up: bool = False) -> Job:
    return Job(job_id, job_id, schedule, "site_jobs:work", catch_up=catch_up)


def test_after_a_stop_one_run_makes_up_for_all_that_was_missed(
    make_manager: Callable[..., LocalJobManager], clock: MovableClock, store: RunStore
) -> None:
    jobs = [
        one("hourly", Cron("0 * * * *"), catch_up=True),
        one("patient", Cron("0 * * * *")),
    ]
    first = make_manager(clock=clock)
    first.add(jobs)
    first.start()
    first.shutdown()
    clock.by += 10 * HOUR
    # half past, so that no slot is within a minute
    clock.by += timedelta(minutes=30 - clock.now().minute)

    second = make_manager(clock=clock)
    second.add(jobs)
    heard, done = hear(
        second, lambda heard: ended(heard) >= 1 and sum(isinstance(one, SlotsMissed) for one in heard) == 2
    )
    second.start()
    assert done.wait(SOON), heard

    (run,) = store.runs()
    assert (run.job_id, run.status) == ("hourly", RunStatus.COMPLETED)
    assert run.scheduled_for is not None
    assert run.scheduled_for.minute == 0
    missed = {event.job_id: event for event in heard if isinstance(event, SlotsMissed)}
    assert missed["hourly"].runs_now
    assert not missed["patient"].runs_now
    assert missed["patient"].count - missed["hourly"].count == 1
    assert second.get_job_metrics().skipped == missed["patient"].count + missed["hourly"].count


def test_the_clock_jumps_forward_over_slots(
    make_manager: Callable[..., LocalJobManager], clock: MovableClock, store: RunStore
) -> None:
    manager = make_manager(clock=clock)
    manager.add([one("often", Every(timedelta(minutes=10)), catch_up=True)])
    heard, done = hear(manager, lambda heard: ended(heard) >= 2)
    first_run = threading.Event()
    manager.bus.subscribe(lambda event: first_run.set() if isinstance(event, RunFinished) else None)
    manager.start()
    assert first_run.wait(SOON)

    clock.by += timedelta(minutes=65)
    assert done.wait(SOON), heard

    assert [round(event.by.total_seconds() / 60) for event in heard if isinstance(event, ClockJumped)] == [65]
    (missed,) = [event for event in heard if isinstance(event, SlotsMissed)]
    assert (missed.count, missed.runs_now) == (5, True)
    newest, oldest = store.runs()
    assert newest.scheduled_for is not None
    assert oldest.scheduled_for is not None
    assert newest.scheduled_for - oldest.scheduled_for == timedelta(minutes=60)


@pytest.mark.slow
def test_the_clock_is_set_back_and_intervals_go_on_at_once(
    make_manager: Callable[..., LocalJobManager], clock: MovableClock, store: RunStore
) -> None:
    manager = make_manager(clock=clock)
    manager.add([one("often", Every(timedelta(seconds=1)))])
    heard, done = hear(
        manager,
        lambda heard: (
            ended(heard[[isinstance(one, ClockJumped) for one in heard].index(True) :]) >= 2
            if any(isinstance(one, ClockJumped) for one in heard)
            else False
        ),
    )
    first_run = threading.Event()
    manager.bus.subscribe(lambda event: first_run.set() if isinstance(event, RunFinished) else None)
    manager.start()
    assert first_run.wait(SOON)

    clock.by -= HOUR

    assert done.wait(SOON), heard
    assert len({run.scheduled_for for run in store.runs(limit=None)}) == len(store.runs(limit=None))


@pytest.mark.slow
def test_the_clock_is_set_back_and_a_fixed_time_is_not_run_again(
    make_manager: Callable[..., LocalJobManager], clock: MovableClock, store: RunStore
) -> None:
    now = clock.now()
    soon = now + timedelta(seconds=3)
    fixed = Cron(f"{soon.second} {soon.minute} {soon.hour} * * *")
    manager = make_manager(clock=clock)
    manager.add([one("fixed", fixed), one("often", Every(timedelta(seconds=1)))])

    def both(heard: list[object]) -> bool:
        jobs = [event.run.job_id for event in heard if isinstance(event, RunFinished)]
        return "fixed" in jobs

    heard, ran = hear(manager, both)
    manager.start()
    assert ran.wait(SOON), heard
    again = threading.Event()
    due_again = soon + timedelta(seconds=2)
    manager.bus.subscribe(
        lambda event: (
            again.set()
            if isinstance(event, RunFinished)
            and event.run.job_id == "often"
            and event.run.scheduled_for is not None
            and any(isinstance(one, ClockJumped) for one in heard)
            and event.run.scheduled_for > due_again
            else None
        )
    )

    clock.by -= timedelta(seconds=5)
    assert again.wait(SOON), heard

    assert len(store.runs("fixed")) == 1


def test_after_the_clock_was_set_back_without_a_scheduler_jobs_go_on_at_once(
    make_manager: Callable[..., LocalJobManager], clock: MovableClock, store: RunStore
) -> None:
    jobs = [one("interval", Every(timedelta(minutes=10))), one("fixed", Cron("0 0 1 1 *"), catch_up=True)]
    clock.by += 1000 * HOUR
    with make_manager(clock=clock) as ahead:
        ahead.add(jobs)
        until(lambda: store.metrics().successful_jobs == 1)
    epoch = store.clock_generation()
    clock.by -= 1000 * HOUR

    back = make_manager(clock=clock)
    heard, _ = hear(back, lambda _: False)
    back.add(jobs)
    back.start()
    again = make_manager(clock=clock)
    again.add(jobs)
    again.start()

    assert [round(event.by / HOUR) for event in heard if isinstance(event, ClockJumped)] == [-1000]
    assert store.clock_generation() == epoch + 1, "one epoch for one jump, whoever starts"
    for manager in (back, again):
        due = {status.id: status.next_run for status in manager.get_all_job_statuses()}
        assert due["interval"] is not None
        assert due["interval"] <= clock.now() + timedelta(minutes=10)
        assert due["fixed"] == datetime(clock.now().year + 1, 1, 1, tzinfo=UTC)
    clock.by += timedelta(minutes=10)
    until(lambda: store.metrics().successful_jobs == 2)


def seconds_ago(store: RunStore, clock: MovableClock) -> float:
    """How far behind the clock the newest slot lies; negative: ahead."""
    slot = store.runs(limit=1)[0].scheduled_for
    assert slot is not None
    return (clock.now() - slot).total_seconds()


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [Every(timedelta(seconds=1)), Cron("* * * * * *")], ids=str)
def test_small_steps_repeat_no_slot(
    schedule: Every | Cron,
    make_manager: Callable[..., LocalJobManager],
    clock: MovableClock,
    store: RunStore,
) -> None:
    manager = make_manager(clock=clock)
    manager.add([one("often", schedule)])
    heard, _ = hear(manager, lambda _: False)
    manager.start()
    until(lambda: ended(heard) >= 2)
    epoch = store.clock_generation()

    for step in (-3, 2.5, -2.5, -3, 4):
        jumps = sum(isinstance(event, ClockJumped) for event in heard)
        clock.by += timedelta(seconds=step)
        until(lambda: sum(isinstance(event, ClockJumped) for event in heard) > jumps)  # noqa: B023
        seen = ended(heard)
        until(lambda: ended(heard) >= seen + 2)  # noqa: B023

    slots = [run.scheduled_for for run in store.runs(limit=None)]
    assert len({*slots}) == len(slots)
    assert store.clock_generation() == epoch
    assert {event.waits for event in heard if isinstance(event, ClockJumped) and event.by < timedelta(0)} == {
        True
    }


@pytest.mark.slow
def test_a_restart_or_a_second_scheduler_after_a_small_step_repeats_no_slot(
    make_manager: Callable[..., LocalJobManager], clock: MovableClock, store: RunStore
) -> None:
    jobs = [one("often", Every(timedelta(seconds=1)))]
    first = make_manager(clock=clock)
    first.add(jobs)
    heard, _ = hear(first, lambda _: False)
    first.start()
    until(lambda: ended(heard) >= 2)
    epoch = store.clock_generation()
    clock.by -= timedelta(seconds=4)

    second = make_manager(clock=clock)
    second.add(jobs)
    heard_there, _ = hear(second, lambda _: False)
    second.start()
    first.shutdown()
    until(lambda: ended(heard_there) >= 2)

    slots = [run.scheduled_for for run in store.runs(limit=None)]
    assert len({*slots}) == len(slots)
    assert store.clock_generation() == epoch


@pytest.mark.slow
def test_steps_that_add_up_do_not_hold_jobs_for_long(
    make_manager: Callable[..., LocalJobManager], clock: MovableClock, store: RunStore
) -> None:
    manager = make_manager(clock=clock)
    manager.add([one("often", Every(timedelta(seconds=1)))])
    heard, _ = hear(manager, lambda _: False)
    manager.start()
    until(lambda: ended(heard) >= 1)
    epoch = store.clock_generation()

    for _ in range(2):
        jumps = [event for event in heard if isinstance(event, ClockJumped)]
        clock.by -= timedelta(seconds=45)
        until(lambda: sum(isinstance(event, ClockJumped) for event in heard) > len(jumps))  # noqa: B023

    seen = ended(heard)
    until(lambda: ended(heard) >= seen + 2)
    assert store.clock_generation() == epoch + 1
    assert [event.waits for event in heard if isinstance(event, ClockJumped)] == [True, False]
    assert seconds_ago(store, clock) < 30


@pytest.mark.slow
def test_who_comes_late_to_a_slot_that_another_ran_counts_no_miss(
    make_manager: Callable[..., LocalJobManager], clock: MovableClock, store: RunStore
) -> None:
    late = MovableClock()
    managers = [make_manager(clock=clock), make_manager(clock=late)]
    jobs = [one("rare", Every(timedelta(minutes=10)))]
    for manager in managers:
        manager.add(jobs)
        manager.start()
    until(lambda: store.metrics().successful_jobs == 1)

    clock.by += timedelta(minutes=10)
    until(lambda: store.metrics().successful_jobs == 2)
    heard, woken = hear(managers[1], lambda heard: any(isinstance(one, ClockJumped) for one in heard))
    late.by += timedelta(minutes=12)
    assert woken.wait(SOON)
    managers[1].stop_job("rare")  # answered once that turn of its loop is over

    assert not [event for event in heard if isinstance(event, SlotsMissed)]
    assert store.metrics().skipped == 0


@pytest.mark.slow
def test_a_scheduler_whose_clock_is_ahead_holds_up_others_no_longer_than_it_lives(
    make_manager: Callable[..., LocalJobManager], clock: MovableClock
) -> None:
    here = make_manager(clock=clock)
    here.add([one("tick", Every(1))])
    heard, differ = hear(here, lambda heard: any(isinstance(one, ClocksDiffer) for one in heard))
    here.start()
    until(lambda: ended(heard))
    ahead = MovableClock()
    ahead.by = HOUR
    there = make_manager(clock=ahead)
    there.add([one("tick", Every(1))])
    begun, served = hear(there, lambda heard: ended(heard) > 0)
    there.start()
    assert served.wait(SOON), begun
    assert differ.wait(SOON), heard
    maintenance = here._maintenance
    assert maintenance is not None
    maintenance._check_clock()
    assert not any(isinstance(one, ClockJumped) for one in heard), "whose clock is right cannot be known"
    there.shutdown()
    before = ended(heard)

    maintenance._check_clock()

    until(lambda: ended(heard) >= before + 2)
