"""What every run store keeps of runs for later, and of what people did."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from jobctl.model import Action, ActionKind, Reason, RunStatus, Trigger, WaitingRun
from jobctl.store.base import RunStore
from jobctl.store.records import (
    Cancellation,
    Claim,
    Claimed,
    ClaimOutcome,
    CursorMoved,
    Enqueued,
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


def later(desk: "Desk", minutes: float, job_id: str = "job", **others: object) -> WaitingRun:
    return WaitingRun(new_run_id(), job_id, desk.at(minutes), Trigger.MANUAL, actor="ada@host", **others)  # type: ignore[arg-type]


def claim_of(run: WaitingRun, **others: object) -> Claim:
    claim = Claim(run.id, run.job_id, run.trigger, run.begins_at, slot=run.slot, waits=True, force=True)
    return claim._replace(actor=run.actor, batch=run.batch, **others)  # type: ignore[arg-type]


def start(desk: "Desk", run: WaitingRun, **others: object) -> ClaimOutcome:
    (outcome,) = desk.store.claim(desk.owner, [claim_of(run, **others)])
    return outcome


def test_a_run_is_kept_until_it_is_started(desk: "Desk", store: RunStore) -> None:
    run = later(desk, 10, arguments={"day": "2026-11-01"}, reason="a quiet hour")
    asked = Action(ActionKind.TRIGGER, desk.at(1), "ada@host", "job", run.id, "at 09:10")
    store.keep([run], asked)

    assert store.waiting() == [run] == store.waiting("job")
    assert store.waiting("other") == []
    assert store.waiting_run(run.id[:6]) == run
    assert store.first_waiting() == desk.at(10)
    assert store.due_waiting(desk.at(9), {"job": None}, 9) == []
    assert store.due_waiting(desk.at(10), {"job": None}, 9) == [run]
    assert store.due_waiting(desk.at(10), {"other": None}, 9) == []
    record = store.job("job")
    assert record is not None
    assert (record.waiting, record.waits_until) == (1, desk.at(10))

    outcome = start(desk, run)

    assert isinstance(outcome, Claimed)
    assert (store.waiting(), store.first_waiting()) == ([], None)
    assert store.run(run.id) == outcome.run
    assert (outcome.run.actor, outcome.run.trigger) == ("ada@host", Trigger.MANUAL)
    assert store.actions() == [asked]
    record = store.job("job")
    assert record is not None
    assert record.last == outcome.run


def test_a_waiting_run_is_started_by_one_process_only(desk: "Desk", store: RunStore) -> None:
    run = later(desk, 1)
    store.keep([run])
    other = desk.register_process("owner-2")
    assert isinstance(start(desk, run), Claimed)
    assert desk.store.claim(other, [claim_of(run)]) == [SlotTaken(None)]
    assert desk.end(store.runs()[0])
    assert desk.store.claim(other, [claim_of(run)]) == [SlotTaken(None)]


def test_a_run_of_the_job_or_group_makes_it_wait_longer(desk: "Desk", store: RunStore) -> None:
    run, grouped = later(desk, 1), later(desk, 1, "other")
    store.keep([run, grouped])
    (first,) = store.claim(desk.owner, [desk.wish()._replace(group="g")])
    assert isinstance(first, Claimed)
    wanted = [claim_of(run), claim_of(grouped)._replace(group="g")]
    assert store.claim(desk.owner, wanted) == [Overlap(first.run, None), Overlap(first.run, None)]
    assert store.waiting() == [run, grouped]


def test_of_each_job_the_first_due_run_is_offered(desk: "Desk", store: RunStore) -> None:
    late, early, other = later(desk, 3), later(desk, 2), later(desk, 1, "other")
    same = later(desk, 2)
    store.keep([late, early, other, same])
    assert store.due_waiting(desk.at(5), {"job": None, "other": None}, 9) == [other, early]
    assert store.due_waiting(desk.at(5), {"job": None, "other": None}, 1) == [other]
    assert store.due_waiting(desk.at(5), {"job": None, "other": None}, 0) == []
    assert store.waiting() == [other, early, same, late]


def test_runs_that_are_blocked_take_no_place_from_others(desk: "Desk", store: RunStore) -> None:
    desk.register("one", "two", "busy")
    free = later(desk, 4)
    store.keep([later(desk, 1, "one"), later(desk, 2, "two"), later(desk, 3, "busy"), free])
    groups = {"one": "g", "two": "g", "busy": None, "job": None}
    assert [run.job_id for run in store.due_waiting(desk.at(5), groups, 9)] == ["one", "busy", "job"]
    desk.begin("busy", force=True)
    store.claim(desk.owner, [desk.wish("other", force=True)._replace(group="g")])
    assert store.due_waiting(desk.at(5), groups, 1) == [free]


def test_a_backfill_lets_other_runs_of_its_job_go_first(desk: "Desk", store: RunStore) -> None:
    batch = [later(desk, 1, slot=desk.at(-n), batch="ba7c4") for n in (3, 2)]
    run = later(desk, 4)
    store.keep([*batch, run])
    assert store.due_waiting(desk.at(3), {"job": None}, 1) == batch[:1]
    assert store.due_waiting(desk.at(5), {"job": None}, 1) == [run]


def test_a_slot_that_is_blocked_waits_on_and_leaves_the_cursor(desk: "Desk", store: RunStore) -> None:
    desk.ran(slot=30, now=30)
    desk.begin("job", force=True, now=31)
    runs = [later(desk, 31, slot=desk.at(10)), later(desk, 31, "other", slot=desk.at(11))]
    store.keep(runs)
    desk.begin("other", force=True, now=31)

    outcomes = store.claim(desk.owner, [claim_of(run) for run in runs])

    assert [type(outcome) for outcome in outcomes] == [Overlap, Overlap]
    assert store.waiting() == runs
    assert {run.status for run in store.runs()} == {RunStatus.RUNNING, RunStatus.COMPLETED}
    record = store.job("job")
    assert record is not None
    assert record.cursor == desk.at(30)


def test_the_slot_before_is_the_newest_though_an_older_one_was_run_later(
    desk: "Desk", store: RunStore
) -> None:
    for minutes in (20, 30, 40):
        desk.ran(slot=minutes, now=minutes)
    for minutes in (10, 45):
        run = later(desk, 50, slot=desk.at(minutes), batch="ba7c4")
        store.keep([run])
        assert isinstance(begun := start(desk, run), Claimed)
        assert desk.end(begun.run)
        assert store.previous_slot("job", desk.at(45)) == desk.at(40)
    assert store.previous_slot("job", desk.at(60)) == desk.at(45)
    assert store.previous_slot("job", desk.at(20)) == desk.at(10)
    assert store.previous_slot("job", desk.at(10)) is None


def test_past_slots_begin_at_once_after_the_clock_was_set_back(desk: "Desk", store: RunStore) -> None:
    slots = [later(desk, 60, slot=desk.at(n)) for n in (1, 2)]
    run = later(desk, 50)
    store.keep([*slots, run])

    store.bring_slots_forward(desk.at(5))

    assert store.first_waiting() == desk.at(5)
    assert [each.id for each in store.waiting()] == [slots[0].id, slots[1].id, run.id]
    assert store.waiting_run(run.id) == run


def test_slots_of_a_job_that_is_off_for_good_are_missed(desk: "Desk", store: RunStore) -> None:
    store.enqueue_slots(slots_claim(desk, 2, None), [desk.at(1), desk.at(2)], 24, desk.owner.id)
    run = later(desk, 10)
    store.keep([run])

    store.give_up_slots(["job"])

    record = store.job("job")
    assert record is not None
    assert (record.missed, record.cursor) == (2, desk.at(2))
    assert store.waiting() == [run]


@pytest.mark.slow
def test_a_cancel_and_a_start_at_the_same_instant_give_one_ending(desk: "Desk", store: RunStore) -> None:
    starting, cancelling = desk.again(), desk.again()
    counts = {"before": 0, "after": 0}
    for _ in range(60):
        run = later(desk, 1)
        store.keep([run])
        gate = threading.Barrier(2)

        def begin(run: WaitingRun = run, gate: threading.Barrier = gate) -> ClaimOutcome:
            gate.wait()
            (outcome,) = starting.claim(desk.owner, [claim_of(run)])
            return outcome

        def cancel(run: WaitingRun = run, gate: threading.Barrier = gate) -> bool:
            gate.wait()
            return cancelling.cancel(Cancellation(run.id, "eve@host"), desk.at(2))

        with ThreadPoolExecutor(2) as threads:
            begun, cancelled = threads.submit(begin), threads.submit(cancel)
            outcome, is_asked = begun.result(), cancelled.result()

        assert is_asked
        assert store.waiting() == []
        found = store.run(run.id)
        assert found is not None
        if isinstance(outcome, Claimed):
            counts["after"] += 1
            assert found.status is RunStatus.RUNNING
            assert [each.run_id for each in store.cancellations(desk.owner.id)] == [run.id]
            assert desk.end(found)
        else:
            counts["before"] += 1
            assert (outcome, found.status) == (SlotTaken(None), RunStatus.CANCELLED)
        assert not desk.end(found)
    assert sum(counts.values()) == len(store.runs(limit=None)) == 60


def test_the_slot_of_a_waiting_run_lies_before_the_cursor_and_leaves_it(
    desk: "Desk", store: RunStore
) -> None:
    desk.ran(slot=30, now=30)
    run = later(desk, 31, slot=desk.at(10), batch="ba7c4")
    store.keep([run])

    outcome = start(desk, run)

    assert isinstance(outcome, Claimed)
    assert (outcome.run.scheduled_for, outcome.run.batch) == (desk.at(10), "ba7c4")
    record = store.job("job")
    assert record is not None
    assert record.cursor == desk.at(30)


def test_a_slot_that_was_run_is_not_run_again(desk: "Desk", store: RunStore) -> None:
    desk.ran(slot=30, now=30)
    run = later(desk, 31, slot=desk.at(30))
    store.keep([run])
    assert start(desk, run) == SlotTaken(desk.at(30))
    assert store.waiting() == []


def test_a_run_that_waits_can_be_cancelled(desk: "Desk", store: RunStore) -> None:
    run = later(desk, 10, arguments={"n": 1})
    store.keep([run])

    assert store.cancel(Cancellation(run.id, "eve@host", "not needed"), desk.at(2))

    assert store.waiting() == []
    assert start(desk, run) == SlotTaken(None)
    found = store.run(run.id)
    assert found is not None
    assert (found.status, found.reason, found.finished_at) == (
        RunStatus.CANCELLED,
        Reason.CANCELLED,
        desk.at(2),
    )
    assert found.error == "cancelled by eve@host: not needed, before it began"
    assert found.arguments == {"n": 1}
    assert store.actions() == [Action(ActionKind.CANCEL, desk.at(2), "eve@host", "job", run.id, "not needed")]
    assert not store.cancel(Cancellation(run.id, "eve@host"), desk.at(3))


def test_a_backfill_is_cancelled_as_a_whole(desk: "Desk", store: RunStore) -> None:
    batch = new_run_id()
    others = later(desk, 1)
    store.keep([later(desk, 1, slot=desk.at(n), batch=batch) for n in range(3)] + [others])
    assert len(store.waiting(batch=batch)) == 3

    assert store.cancel_batch(batch, desk.at(2), "eve@host", "wrong days") == 3

    assert store.waiting() == [others]
    (action,) = store.actions()
    assert (action.run_id, action.reason) == (batch, "3 runs of a backfill: wrong days")
    assert store.cancel_batch(batch, desk.at(3), "eve@host") == 0
    assert len(store.actions()) == 1


def slots_claim(desk: "Desk", slot: float, cursor: float | None, missed: int = 0) -> Claim:
    before = None if cursor is None else desk.at(cursor)
    return desk.wish(slot=slot, next_run=slot + 1)._replace(misfires=Misfires(before, missed))


def test_slots_to_catch_up_wait_in_order_and_move_the_cursor(desk: "Desk", store: RunStore) -> None:
    slots = [desk.at(minutes) for minutes in (1, 2, 3)]

    assert store.enqueue_slots(slots_claim(desk, 3, None), slots, 24, desk.owner.id) == Enqueued([])

    assert [run.slot for run in store.waiting("job")] == slots
    assert {run.trigger for run in store.waiting()} == {Trigger.SCHEDULE}
    record = store.job("job")
    assert record is not None
    assert (record.cursor, record.next_run, record.missed) == (desk.at(3), desk.at(4), 0)
    assert store.enqueue_slots(slots_claim(desk, 3, None), slots, 24, desk.owner.id) == SlotTaken(desk.at(3))
    assert store.enqueue_slots(slots_claim(desk, 4, 2), slots, 24, desk.owner.id) == CursorMoved(desk.at(3))
    assert len(store.waiting()) == 3


def test_the_oldest_slots_beyond_the_limit_are_missed(desk: "Desk", store: RunStore) -> None:
    first = [desk.at(minutes) for minutes in (1, 2, 3)]
    store.enqueue_slots(slots_claim(desk, 3, None, missed=4), first, 3, desk.owner.id)
    assert store.enqueue_slots(
        slots_claim(desk, 5, 3), [desk.at(4), desk.at(5)], 3, desk.owner.id
    ) == Enqueued([desk.at(2), desk.at(1)])
    assert [run.slot for run in store.waiting()] == [desk.at(minutes) for minutes in (3, 4, 5)]
    record = store.job("job")
    assert record is not None
    assert record.missed == 6


def test_a_stop_gives_up_slots_that_wait_and_keeps_other_runs(desk: "Desk", store: RunStore) -> None:
    run = later(desk, 10)
    store.keep([run])
    store.enqueue_slots(slots_claim(desk, 2, None), [desk.at(1), desk.at(2)], 24, desk.owner.id)

    store.stop(["job"], desk.at(3), "holidays", desk.at(60), actor="ada@host")

    assert store.waiting() == [run]
    record = store.job("job")
    assert record is not None
    assert record.missed == 2
    assert store.enqueue_slots(slots_claim(desk, 4, 2), [desk.at(4)], 24, desk.owner.id) == Stopped(
        desk.at(3)
    )


def test_who_did_what_is_kept(desk: "Desk", store: RunStore) -> None:
    store.stop(["job"], desk.at(1), "holidays", desk.at(60), actor="ada@host")
    store.start(["job", "other"], desk.at(2), actor="bob@host")
    run = Claim(new_run_id(), "job", Trigger.MANUAL, desk.at(3), force=True, actor="ada@host")
    (begun,) = store.claim(desk.owner, [run])
    assert isinstance(begun, Claimed)
    store.cancel(Cancellation(run.run_id, "eve@host"), desk.at(4))
    desk.end(begun.run)
    again = Claim(new_run_id(), "job", Trigger.MANUAL, desk.at(5), actor="ada@host", rerun_of=run.run_id)
    store.claim(desk.owner, [again])
    desk.ran("other", slot=9)

    done = [
        Action(ActionKind.RERUN, desk.at(5), "ada@host", "job", again.run_id, f"as in run {run.run_id[:8]}"),
        Action(ActionKind.CANCEL, desk.at(4), "eve@host", "job", run.run_id),
        Action(ActionKind.TRIGGER, desk.at(3), "ada@host", "job", run.run_id),
        Action(ActionKind.START, desk.at(2), "bob@host", "job"),
        Action(
            ActionKind.STOP, desk.at(1), "ada@host", "job", reason="until 2026-11-23T10:00:00+00:00: holidays"
        ),
    ]
    assert store.actions() == done
    assert store.actions("other") == []
    assert store.actions(limit=2) == done[:2]
    assert store.actions(since=desk.at(4)) == done[:2]

    store.prune(desk.at(4) + timedelta(days=30), timedelta(days=30), 1000)
    assert store.actions() == done[:2]
