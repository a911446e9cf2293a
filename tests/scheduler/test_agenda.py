from datetime import UTC, datetime, timedelta

from jobctl.model import Job
from jobctl.scheduler.agenda import Agenda
from jobctl.schedules import Cron, Every

T0 = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def every_5m(job_id: str = "sync", catch_up: bool = False) -> Job:
    return Job(job_id, job_id, Every(5 * MINUTE), "m:f", catch_up=catch_up)


def daily_9() -> Job:
    return Job("daily", "daily", Cron("0 9 * * *"), "m:f")


def test_an_interval_that_never_ran_is_due_at_once() -> None:
    agenda = Agenda()
    agenda.put(every_5m(), anchor=T0, cursor=None)

    (due,) = agenda.take_due(T0)

    assert (due.slot, due.should_run) == (T0, True)
    assert agenda.next_due() == T0 + 5 * MINUTE


def test_an_interval_that_never_ran_is_due_once_however_late_and_nothing_was_missed() -> None:
    agenda = Agenda()
    entry = agenda.put(every_5m(), anchor=T0, cursor=None)

    (due,) = agenda.take_due(T0 + 63 * MINUTE)

    assert (due.slot, due.should_run) == (T0 + 60 * MINUTE, True)
    assert entry.missed_before(due.slot, None) == 0


def test_a_restart_keeps_the_cadence() -> None:
    agenda = Agenda()

    agenda.put(every_5m(), anchor=T0, cursor=T0 + 10 * MINUTE)

    assert agenda.next_due() == T0 + 15 * MINUTE


def test_a_cron_job_that_never_ran_waits_for_its_time() -> None:
    agenda = Agenda()

    agenda.put(daily_9(), anchor=T0, cursor=None)

    assert agenda.take_due(T0) == []
    assert agenda.next_due() == datetime(2026, 11, 24, 9, tzinfo=UTC)


def test_slots_that_passed_are_one_due_at_the_newest() -> None:
    agenda = Agenda()
    entry = agenda.put(every_5m(catch_up=True), anchor=T0, cursor=T0)

    (due,) = agenda.take_due(T0 + 33 * MINUTE)

    assert (due.slot, due.should_run) == (T0 + 30 * MINUTE, True)
    assert entry.missed_before(due.slot, T0) == 5
    assert agenda.next_due() == T0 + 35 * MINUTE


def test_a_late_slot_without_catch_up_is_missed() -> None:
    agenda = Agenda()
    agenda.put(daily_9(), anchor=T0, cursor=T0)

    (due,) = agenda.take_due(T0 + timedelta(days=3))

    assert (due.slot, due.should_run) == (datetime(2026, 11, 26, 9, tzinfo=UTC), False)


def test_a_slot_a_little_late_still_runs() -> None:
    agenda = Agenda()
    agenda.put(daily_9(), anchor=T0, cursor=T0)

    (due,) = agenda.take_due(datetime(2026, 11, 24, 9, 0, 59, tzinfo=UTC))

    assert due.should_run


def test_what_another_process_ran_is_passed_over() -> None:
    agenda = Agenda()
    entry = agenda.put(every_5m(), anchor=T0, cursor=T0)

    agenda.advance(entry, T0 + 10 * MINUTE)

    assert agenda.next_due() == T0 + 15 * MINUTE


def test_a_clock_set_back_does_not_stand_still() -> None:
    agenda = Agenda()
    agenda.put(every_5m(), anchor=T0, cursor=T0 + timedelta(hours=2))

    agenda.rebase(T0 + MINUTE)

    assert agenda.next_due() == T0 + 5 * MINUTE


def test_a_clock_set_back_before_the_anchor_does_not_stand_still() -> None:
    agenda = Agenda()
    agenda.put(every_5m(), anchor=T0, cursor=T0)

    agenda.rebase(T0 - timedelta(days=1, minutes=-1))

    assert agenda.next_due() == T0 - timedelta(days=1, minutes=-5)


def test_a_removed_job_is_never_due() -> None:
    agenda = Agenda()
    agenda.put(every_5m(), anchor=T0, cursor=None)

    agenda.remove("sync")

    assert agenda.next_due() is None
    assert agenda.take_due(T0 + timedelta(days=1)) == []


def test_the_soonest_comes_first() -> None:
    agenda = Agenda()
    agenda.put(every_5m("b"), anchor=T0 + MINUTE, cursor=None)
    agenda.put(every_5m("a"), anchor=T0 + 2 * MINUTE, cursor=None)
    agenda.put(every_5m("c"), anchor=T0, cursor=None)

    assert [due.entry.job.id for due in agenda.take_due(T0 + 3 * MINUTE)] == ["c", "b", "a"]
