"""What every run store keeps: starting and ending runs, slots, cursors and the clock generations."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from jobctl.errors import UnknownToStoreError, UsageError
from jobctl.model import Reason, Run, RunStatus, Trigger
from jobctl.store.base import RunStore
from jobctl.store.records import (
    Cancellation,
    Claim,
    Claimed,
    CursorMoved,
    Ending,
    Misfires,
    Overlap,
    SlotTaken,
    Stopped,
    new_run_id,
)

if TYPE_CHECKING:
    from tests.store.conftest import Desk


@pytest.fixture(autouse=True)
def known(desk: "Desk") -> None:
    desk.register("job", "other")


def test_a_claim_records_the_run_before_it_starts(desk: "Desk", store: RunStore) -> None:
    answer = desk.claim(slot=5, next_run=6)
    assert isinstance(answer, Claimed)
    expected = Run(
        answer.run.id,
        "job",
        RunStatus.RUNNING,
        Trigger.SCHEDULE,
        desk.at(5),
        scheduled_for=desk.at(5),
        host="here",
    )
    assert answer.run == expected == store.run(expected.id)
    record = store.job("job")
    assert record is not None
    assert (record.cursor, record.next_run, record.last) == (desk.at(5), desk.at(6), expected)


def test_a_job_has_one_unfinished_run(desk: "Desk", store: RunStore) -> None:
    first = desk.begin()
    assert desk.claim() == Overlap(first, None)
    assert isinstance(desk.claim("other"), Claimed)
    assert desk.end(first)
    assert isinstance(desk.claim(), Claimed)
    assert len(store.runs("job")) == 2


@pytest.mark.slow
def test_a_slot_that_comes_while_the_job_runs_is_recorded_as_skipped(desk: "Desk", store: RunStore) -> None:
    running = desk.begin(slot=1)
    answer = desk.claim(slot=2, now=2.5, next_run=3)
    assert isinstance(answer, Overlap)
    assert answer.running == running
    skipped = answer.skipped
    assert skipped is not None
    assert (skipped.status, skipped.reason) == (RunStatus.SKIPPED, Reason.OVERLAP)
    assert (skipped.scheduled_for, skipped.finished_at) == (desk.at(2), desk.at(2.5))
    assert store.run(skipped.id) == skipped

    record = store.job("job")
    assert record is not None
    assert (record.cursor, record.next_run) == (desk.at(2), desk.at(3))
    assert record.last == running, "a skipped slot is no run of the job"
    assert store.metrics().skipped == 1
    assert store.metrics().total_executions == 0
    desk.end(running)
    assert isinstance(desk.claim(slot=2), SlotTaken)


def test_a_slot_is_run_once(desk: "Desk") -> None:
    desk.ran(slot=5)
    assert desk.claim(slot=5) == SlotTaken(desk.at(5))
    assert desk.claim(slot=4) == SlotTaken(desk.at(5)), "what lies before the cursor is dealt with"
    assert isinstance(desk.claim(slot=6), Claimed)


@pytest.mark.slow
def test_a_slot_is_run_once_even_if_its_schedule_came_back(desk: "Desk") -> None:
    desk.ran(slot=5)
    desk.register("job", schedule="every 2m", minutes=5)
    desk.register("job", schedule="every 1m", minutes=5)
    assert desk.claim(slot=5) == SlotTaken(desk.at(5))


def test_a_batch_is_answered_in_order(desk: "Desk", store: RunStore) -> None:
    desk.register("stopped")
    store.stop(["stopped"], desk.at(0))
    answers = store.claim(
        desk.owner,
        [desk.wish("job", 1), desk.wish("job", 1), desk.wish("job", 2), desk.wish("stopped", 1)],
    )
    assert [type(one) for one in answers] == [Claimed, SlotTaken, Overlap, Stopped]


def test_a_batch_is_one_transaction(desk: "Desk", store: RunStore) -> None:
    with pytest.raises(UnknownToStoreError, match="unregistered"):
        store.claim(desk.owner, [desk.wish("job", 1), desk.wish("unregistered", 1)])
    assert store.runs() == []
    assert isinstance(desk.claim(slot=1), Claimed)


def test_a_run_id_is_used_once(desk: "Desk", store: RunStore) -> None:
    wish = desk.wish()
    (answer,) = store.claim(desk.owner, [wish])
    assert isinstance(answer, Claimed)
    desk.end(answer.run)
    with pytest.raises(UsageError, match=wish.run_id):
        store.claim(desk.owner, [wish])


def test_a_stopped_job_starts_by_force_only(desk: "Desk", store: RunStore) -> None:
    store.stop(["job"], desk.at(3))
    assert desk.claim(slot=4) == Stopped(desk.at(3))
    assert desk.claim() == Stopped(desk.at(3))
    assert store.runs() == []
    assert isinstance(desk.claim(force=True), Claimed)


def test_a_manual_run_does_not_change_the_schedule(desk: "Desk", store: RunStore) -> None:
    store.save_next_runs({"job": desk.at(7)})
    desk.ran()
    record = store.job("job")
    assert record is not None
    assert (record.cursor, record.next_run) == (None, desk.at(7))
    assert isinstance(desk.claim(slot=1), Claimed)


# The clock is set back


def test_a_clock_generation_begins_once(desk: "Desk", store: RunStore) -> None:
    assert store.clock_generation() == 1
    assert store.next_clock_generation(1) == 2
    assert desk.again().next_clock_generation(1) == 2, "another process saw the same jump"
    assert store.next_clock_generation(2) == 3
    assert desk.again().clock_generation() == 3


def test_an_interval_goes_on_at_once(desk: "Desk", store: RunStore) -> None:
    desk.ran(slot=60)
    generation = store.next_clock_generation(1)
    answer = desk.claim(slot=5, generation=generation)
    assert isinstance(answer, Claimed)
    desk.end(answer.run)
    assert desk.claim(slot=5, generation=generation) == SlotTaken(desk.at(5))
    assert isinstance(desk.claim(slot=60, generation=generation), Claimed), "its instant comes a second time"


def test_a_fixed_time_is_not_run_again(desk: "Desk", store: RunStore) -> None:
    desk.end(desk.begin(slot=30, fixed=True))
    desk.end(desk.begin(slot=60, fixed=True))
    generation = store.next_clock_generation(1)
    assert isinstance(desk.claim(slot=15, generation=generation, fixed=True), Claimed), "it never was"
    desk.end(store.runs(limit=1)[0])
    assert desk.claim(slot=30, generation=generation, fixed=True) == SlotTaken(desk.at(30))
    assert desk.claim(slot=60, generation=generation, fixed=True) == SlotTaken(desk.at(60))


def test_a_fixed_time_that_was_run_does_not_hold_up_those_between(desk: "Desk", store: RunStore) -> None:
    desk.end(desk.begin(slot=10, fixed=True))
    desk.end(desk.begin(slot=10_000, fixed=True))  # the clock was a week ahead
    generation = store.next_clock_generation(1)
    assert desk.claim(slot=10, generation=generation, fixed=True) == SlotTaken(desk.at(10))
    assert isinstance(desk.claim(slot=20, generation=generation, fixed=True), Claimed)


def test_a_process_of_an_older_clock_generation_gives_no_slot_a_second_key(
    desk: "Desk", store: RunStore
) -> None:
    desk.ran(slot=60)
    generation = store.next_clock_generation(1)
    desk.end(desk.begin(slot=5, generation=generation))
    desk.end(desk.begin(slot=6, generation=1))  # it has not noticed the jump yet
    assert desk.claim(slot=6, generation=generation) == SlotTaken(desk.at(6))


def test_a_process_of_an_older_clock_generation_may_be_the_first_in_the_new_one(
    desk: "Desk", store: RunStore
) -> None:
    generation = store.next_clock_generation(1)
    desk.end(desk.begin(slot=6, generation=1))
    assert desk.claim(slot=6, generation=generation) == SlotTaken(desk.at(6))


def test_misfires_are_counted_in_a_new_clock_generation(desk: "Desk", store: RunStore) -> None:
    desk.ran(slot=60)
    store.next_clock_generation(1)
    assert store.pass_slots("job", desk.at(5), Misfires(desk.at(60), 3)) is None
    assert store.pass_slots("job", desk.at(4), Misfires(desk.at(5), 3)) == SlotTaken(desk.at(5))
    record = store.job("job")
    assert record is not None
    assert (record.cursor, record.missed) == (desk.at(5), 4)


# Misfires


def test_misfires_are_counted_once(desk: "Desk", store: RunStore) -> None:
    four = Misfires(None, 4)
    assert store.pass_slots("job", desk.at(5), four) is None
    second = desk.again()
    assert second.pass_slots("job", desk.at(5), four) == SlotTaken(desk.at(5)), (
        "a second scheduler saw the same"
    )
    assert store.pass_slots("job", desk.at(3), Misfires(None, 2)) == SlotTaken(desk.at(5))
    record = store.job("job")
    assert record is not None
    assert (record.cursor, record.missed) == (desk.at(5), 5)
    assert store.metrics().skipped == store.metrics("job").jobs[0].skipped == 5
    assert desk.claim(slot=5) == SlotTaken(desk.at(5))


def test_what_was_missed_before_a_slot_is_counted_with_its_claim(desk: "Desk", store: RunStore) -> None:
    desk.ran(slot=5)

    counted = [(8, Misfires(desk.at(5), 2)), (12, Misfires(desk.at(8), 3)), (12, Misfires(desk.at(8), 3))]
    wishes = [desk.wish("job", slot)._replace(misfires=misfires) for slot, misfires in counted]
    begun, skipped, taken = store.claim(desk.owner, wishes)

    assert isinstance(begun, Claimed)
    assert isinstance(skipped, Overlap)
    assert taken == SlotTaken(desk.at(12))
    record = store.job("job")
    assert record is not None
    assert (record.missed, record.cursor) == (5, desk.at(12))


def test_misfires_that_were_counted_from_another_cursor_are_refused(desk: "Desk", store: RunStore) -> None:
    """Another scheduler has moved the cursor meanwhile: what it dealt with would be counted as missed."""
    wish = desk.wish("job", 8)._replace(misfires=Misfires(desk.at(2), 5))
    assert store.claim(desk.owner, [wish]) == [CursorMoved(None)]
    assert store.pass_slots("job", desk.at(8), Misfires(desk.at(2), 5)) == CursorMoved(None)
    desk.ran(slot=5)
    before = (store.job("job"), store.runs(), store.metrics())

    assert store.claim(desk.owner, [wish]) == [CursorMoved(desk.at(5))]
    assert store.pass_slots("job", desk.at(8), Misfires(None, 7)) == CursorMoved(desk.at(5))
    assert (store.job("job"), store.runs(), store.metrics()) == before

    (answer,) = store.claim(desk.owner, [wish._replace(misfires=Misfires(desk.at(5), 2))])
    assert isinstance(answer, Claimed)
    record = store.job("job")
    assert record is not None
    assert (record.missed, record.cursor) == (2, desk.at(8))


def test_a_slot_that_was_run_is_not_missed(desk: "Desk", store: RunStore) -> None:
    desk.ran(slot=5)
    away = Misfires(None, 4)
    assert store.pass_slots("job", desk.at(5), away) == SlotTaken(desk.at(5)), "by a scheduler that was away"
    assert store.metrics().skipped == 0


# Ends


def test_an_end_is_kept_as_recorded(desk: "Desk", store: RunStore) -> None:
    run = desk.begin(slot=1)
    began = run.started_at + timedelta(milliseconds=20)
    ending = Ending(
        run.id,
        run.job_id,
        RunStatus.FAILED,
        began,
        began + timedelta(milliseconds=1500),
        timedelta(milliseconds=1499),
        reason=Reason.ERROR,
        error="no [red]luck[/]\x00é",
        result={"processed": 3, "errors": ["é"], "deep": [None, 1.5, True]},
        pid=99,
        attempt=3,
    )
    assert store.finish([ending]) == [True]
    kept = desk.again().run(run.id)
    assert kept is not None
    for name in ("status", "started_at", "finished_at", "duration", "reason", "error", "result", "pid"):
        told = getattr(kept, name)
        # Postgres keeps no NUL in a text
        assert (
            told in {getattr(ending, name), "no [red]luck[/]\ufffdé"}
            if name == "error"
            else told == getattr(ending, name)
        )
    assert (kept.attempt, kept.scheduled_for, kept.host) == (3, desk.at(1), "here")


@pytest.mark.slow
def test_an_end_counts_once(desk: "Desk", store: RunStore) -> None:
    run = desk.begin()
    ending = desk.ending(run)
    unknown = ending._replace(run_id=new_run_id())
    assert store.finish([ending, ending, unknown]) == [True, False, False]
    assert not desk.end(run, reason=Reason.ERROR)
    kept = store.run(run.id)
    assert kept is not None
    assert kept.status is RunStatus.COMPLETED
    assert store.metrics().total_executions == 1


def test_a_long_run_notes_its_worker_and_attempt(desk: "Desk", store: RunStore) -> None:
    run = desk.begin()
    store.update_run(run.id, retry_at=desk.at(3))
    store.update_run(run.id, pid=12)
    waits = store.run(run.id)
    assert waits is not None
    assert (waits.pid, waits.attempt, waits.retry_at) == (12, 1, desk.at(3))
    store.update_run(run.id, attempt=2)
    noted = store.run(run.id)
    assert noted is not None
    assert (noted.pid, noted.attempt, noted.retry_at) == (12, 2, None)
    desk.end(run)
    store.update_run(run.id, pid=13)
    ended = store.run(run.id)
    assert ended is not None
    assert ended.pid == 12


def test_of_a_group_one_runs_at_a_time(desk: "Desk", store: RunStore) -> None:
    desk.register("one", "two", "other")
    first = desk.wish("one", 1)._replace(group="exports")
    second = desk.wish("two", 1)._replace(group="exports")
    third = desk.wish("other", 1)._replace(group="imports")

    begun, held, free = store.claim(desk.owner, [first, second, third])

    assert isinstance(begun, Claimed)
    assert isinstance(held, Overlap)
    assert held.running == begun.run
    assert held.skipped is not None
    assert (held.skipped.job_id, held.skipped.reason) == ("two", Reason.OVERLAP)
    assert isinstance(free, Claimed)
    by_hand = desk.wish("two")._replace(group="exports")
    assert isinstance(store.claim(desk.owner, [by_hand])[0], Overlap)
    assert desk.end(begun.run)
    assert isinstance(store.claim(desk.owner, [by_hand])[0], Claimed)


def test_who_queues_leaves_nothing_and_comes_again(desk: "Desk", store: RunStore) -> None:
    desk.register("job")
    running = desk.begin("job", 1)
    wish = desk.wish("job", 2)._replace(queue=True)

    (held,) = store.claim(desk.owner, [wish])

    assert isinstance(held, Overlap)
    assert held.skipped is None
    assert [run.id for run in store.runs("job")] == [running.id]
    assert desk.end(running)
    (begun,) = store.claim(desk.owner, [wish])
    assert isinstance(begun, Claimed)
    assert begun.run.scheduled_for == desk.at(2)
    assert store.metrics("job").skipped == 0


def test_a_job_knows_its_last_success_and_whether_it_fails_now(desk: "Desk", store: RunStore) -> None:
    def known() -> tuple[datetime | None, bool | None]:
        record = store.job("job")
        assert record is not None
        return record.last_success, record.failing

    assert known() == (None, None)
    good = desk.ran(slot=1)
    success = good.started_at + timedelta(seconds=1)
    assert known() == (success, False)

    desk.begin(slot=2)
    assert known() == (success, False)  # while it runs, what was before holds
    store.fail_lost_runs(desk.owner.id, desk.at(3))
    desk.owner = desk.register_process("owner-2")
    assert known() == (success, True)
    desk.end(desk.begin(slot=4), reason=Reason.TIMEOUT)
    assert known() == (success, True)

    again = desk.ran(slot=5)
    assert known() == (again.started_at + timedelta(seconds=1), False)


def test_a_request_to_end_a_run_reaches_its_process_alone(desk: "Desk", store: RunStore) -> None:
    run = desk.begin()
    other = desk.register_process("owner-2")
    asked = Cancellation(run.id, "ada@host", "too slow")

    assert store.cancel(asked, desk.at(1))
    assert store.cancellations(desk.owner.id) == [asked]
    assert store.cancellations(other.id) == []
    assert store.cancel(asked._replace(now=True), desk.at(1))
    assert store.cancellations(desk.owner.id) == [asked._replace(now=True)]
    assert store.run(run.id) == run  # only its process ends it


def test_a_run_that_has_ended_cannot_be_asked_to_end(desk: "Desk", store: RunStore) -> None:
    run = desk.begin()
    assert desk.end(run)
    assert not store.cancel(Cancellation(run.id, "ada@host"), desk.at(1))
    assert not store.cancel(Cancellation("0" * 16, "ada@host"), desk.at(1))
    assert store.cancellations(desk.owner.id) == []


def test_a_cancelled_run_counts_as_neither_completed_nor_failed(desk: "Desk", store: RunStore) -> None:
    desk.ran(seconds=2)
    before, run = store.metrics(), desk.begin()
    ending = desk.ending(run, 60)._replace(
        status=RunStatus.CANCELLED, reason=Reason.CANCELLED, error="cancelled by ada@host"
    )
    assert list(store.finish([ending])) == [True]
    assert list(store.finish([ending, desk.ending(run)])) == [False, False]  # one ending

    record, after = store.job("job"), store.metrics()
    assert record is not None
    assert record.last is not None
    assert (record.last.status, record.last.error, record.failing) == (
        RunStatus.CANCELLED,
        "cancelled by ada@host",
        False,
    )
    assert (after.total_executions, after.failed_jobs, after.average_job_duration) == (
        before.total_executions,
        before.failed_jobs,
        before.average_job_duration,
    )
    assert isinstance(desk.claim(), Claimed)  # its job is free again


def test_an_excluded_slot_is_recorded_once_and_moves_no_cursor(desk: "Desk", store: RunStore) -> None:
    desk.claim(slot=1, next_run=9)
    claim = Claim(
        new_run_id(), "job", Trigger.SCHEDULE, desk.at(5), slot=desk.at(5), clock_generation=1, fixed=True
    )

    (first,) = store.skip_excluded(desk.owner, [(claim, "2026-12-25 is excluded")])
    again = store.skip_excluded(desk.owner, [(claim._replace(run_id=new_run_id()), "2026-12-25 is excluded")])

    assert first is not None
    assert again == [None]
    assert store.run(first.id) == first
    assert (first.status, first.reason, first.error) == (
        RunStatus.SKIPPED,
        Reason.EXCLUDED,
        "2026-12-25 is excluded",
    )
    record = store.job("job")
    assert record is not None
    assert (record.cursor, record.next_run, record.missed) == (desk.at(1), desk.at(9), 0)
    assert [one.skipped for one in store.metrics().jobs if one.id == "job"] == [1]
