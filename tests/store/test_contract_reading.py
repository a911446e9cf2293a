"""What every run store keeps: jobs, owners, history, totals, pruning and cached results."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from jobctl.errors import FencedError, UsageError
from jobctl.model import Reason, RunStatus, SentNotification
from jobctl.store.base import RunStore
from jobctl.store.records import Claim, Claimed, JobRecord, Misfires, Registration

if TYPE_CHECKING:
    from tests.store.conftest import Desk

DAY = 24 * 60
MONTH = timedelta(days=30)


# Jobs


def test_a_job_is_registered_once(desk: "Desk", store: RunStore) -> None:
    desk.register("one", "two", schedule="0 9 * * *", timezone="Europe/Berlin")
    expected = JobRecord("one", "One", "0 9 * * *", "Europe/Berlin", desk.at(0))
    assert store.job("one") == expected
    assert list(store.jobs()) == ["one", "two"]
    assert store.job("three") is None
    assert store.jobs(["two", "three"]) == {"two": store.job("two")}
    assert store.jobs([]) == {}
    assert list(store.jobs([*map(str, range(2000)), "two", "one"])) == ["one", "two"]

    desk.ran("one", 3)
    desk.register("one", schedule="0 9 * * *", timezone="Europe/Berlin", minutes=9)
    again = store.job("one")
    assert again is not None
    assert (again.anchor, again.cursor) == (desk.at(0), desk.at(3))


@pytest.mark.parametrize(("schedule", "timezone"), [("every 2m", "UTC"), ("every 1m", "Asia/Tokyo")])
def test_another_schedule_resets_anchor_and_cursor(
    desk: "Desk", store: RunStore, schedule: str, timezone: str
) -> None:
    desk.register("job")
    run = desk.ran(slot=3)
    store.save_next_runs({"job": desk.at(4)})
    desk.register("job", schedule=schedule, timezone=timezone, minutes=9)
    record = store.job("job")
    assert record is not None
    assert (record.schedule, record.timezone) == (schedule, timezone)
    assert (record.anchor, record.cursor, record.next_run) == (desk.at(9), None, None)
    assert record.last is not None
    assert record.last.id == run.id


def test_registering_answers_with_the_records(desk: "Desk", store: RunStore) -> None:
    desk.register("one", "two", "three")
    wanted = [Registration(one, one, "every 1m", "UTC") for one in ("three", "one")]
    found = store.register(wanted, desk.at(5))
    assert found == {"one": store.job("one"), "three": store.job("three")}
    assert found["one"].name == "one", "a new name is taken over"
    assert store.register([], desk.at(5)) == {}


def test_next_due_times_are_kept(desk: "Desk", store: RunStore) -> None:
    desk.register("one", "two")
    store.save_next_runs({"one": desk.at(4), "two": desk.at(5)})
    store.save_next_runs({"two": None, "unknown": desk.at(1)})
    assert {job: record.next_run for job, record in desk.again().jobs().items()} == {
        "one": desk.at(4),
        "two": None,
    }


def test_a_stop_is_kept(desk: "Desk", store: RunStore) -> None:
    desk.register("one", "two")
    store.save_next_runs({"one": desk.at(4)})
    store.stop(["one"], desk.at(3), "too loud")
    store.stop(["one"], desk.at(4), "still")
    desk.register("one", minutes=5)
    record = desk.again().job("one")
    assert record is not None
    assert (record.stopped, record.stop_reason, record.next_run) == (desk.at(3), "still", None)
    other = store.job("two")
    assert other is not None
    assert other.stopped is None


def test_a_start_passes_over_what_was_missed(desk: "Desk", store: RunStore) -> None:
    desk.register("job", "fresh", "busy")
    desk.ran("job", 3)
    desk.ran("busy", 3)
    store.stop(["job", "fresh"], desk.at(3))
    store.start(["job", "fresh", "busy"], desk.at(60))
    records = store.jobs()
    assert (records["job"].cursor, records["job"].anchor) == (desk.at(60), desk.at(0))
    assert (records["fresh"].cursor, records["fresh"].anchor) == (None, desk.at(60))
    assert records["busy"].cursor == desk.at(3), "it was not stopped"
    assert all(record.stopped is None and record.stop_reason is None for record in records.values())


def test_a_notification_is_recorded_once(desk: "Desk", store: RunStore) -> None:
    desk.register("sync")

    other = desk.again()
    assert not other.set_failure_notified("sync", failing=False)
    assert [one.set_failure_notified("sync", failing=True) for one in (store, other)] == [True, False]
    record = other.job("sync")
    assert record is not None
    assert record.failure_notified
    assert other.set_failure_notified("sync", failing=False)
    assert not store.jobs()["sync"].failure_notified


def test_the_change_token_shows_changes_of_others(desk: "Desk", store: RunStore) -> None:
    desk.register("job")
    token = store.change_token()
    assert store.change_token() == token
    desk.again().stop(["job"], desk.at(0))
    assert store.change_token() != token


# Owners


def test_owners_come_and_go(desk: "Desk", store: RunStore) -> None:
    second = desk.register_process("owner-2", minutes=1)
    by_hand = desk.register_process("by-hand", "trigger", minutes=2)
    assert store.owners() == [desk.owner, second, by_hand]
    assert store.heartbeat("owner-2")
    assert store.heartbeat("owner-2")
    store.sign_off("owner-1", desk.at(6))
    store.sign_off("by-hand", desk.at(6))
    (left,) = store.owners()
    assert (left.id, left.heartbeats, left.ended) == ("owner-2", 2, None)
    store.sign_off("owner-2", desk.at(7))
    (newest,) = store.owners()
    assert (newest.id, newest.ended, newest.killed) == ("owner-2", desk.at(7), False)


def test_the_runs_of_a_dead_owner_are_lost(desk: "Desk", store: RunStore) -> None:
    desk.register("one", "two", "ended", "another")
    lost = {desk.begin("one", 1).id, desk.begin("two", 1).id}
    desk.ran("ended", 1)
    other = desk.register_process("owner-2", minutes=1)
    (theirs,) = store.claim(other, [desk.wish("another", 1)])
    assert isinstance(theirs, Claimed)

    runs = store.fail_lost_runs("owner-1", desk.at(9))

    assert {run.id for run in runs} == lost
    for run in runs:
        assert (run.status, run.reason, run.finished_at) == (RunStatus.FAILED, Reason.LOST, desk.at(9))
        assert run.duration is None, "nobody knows when it ended"
        assert run.error
        assert store.run(run.id) == run
    assert [run for run, _ in store.unfinished()] == [theirs.run]
    assert store.fail_lost_runs("owner-1", desk.at(10)) == []
    metrics = store.metrics()
    assert (metrics.total_executions, metrics.failed_jobs) == (3, 2)
    assert metrics.average_job_duration == timedelta(seconds=1)
    (again,) = store.claim(other, [desk.wish("one", 2)])
    assert isinstance(again, Claimed), "its job is free again"


def test_a_dead_owner_is_marked_as_killed(desk: "Desk", store: RunStore) -> None:
    store.fail_lost_runs("owner-1", desk.at(9))
    (owner,) = store.owners()
    assert (owner.ended, owner.killed) == (desk.at(9), True)


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_process_that_was_declared_dead_can_write_nothing_more(
    desk: "Desk", store: RunStore, forgotten: bool
) -> None:
    desk.register("job")
    desk.register_process("owner-2", minutes=1)
    run = desk.begin(slot=1)
    store.fail_lost_runs("owner-1", desk.at(9))
    if forgotten:
        store.prune(desk.at(90 * DAY), MONTH, 5)
        assert [owner.id for owner in store.owners()] == ["owner-2"]
    before = (store.job("job"), store.runs(), store.owners(), store.clock_generation())

    assert not store.heartbeat("owner-1")
    assert not store.is_registered("owner-1")
    assert not desk.end(run)
    for write in (
        lambda: desk.claim(slot=2),
        lambda: store.save_next_runs({"job": desk.at(5)}, "owner-1"),
        lambda: store.pass_slots("job", desk.at(5), Misfires(None, 0), "owner-1"),
        lambda: store.next_clock_generation(1, "owner-1"),
    ):
        with pytest.raises(FencedError):
            write()
    store.update_run(run.id, pid=5, attempt=2)

    assert (store.job("job"), store.runs(), store.owners(), store.clock_generation()) == before
    desk.owner = desk.register_process("owner-3", minutes=10)
    assert isinstance(desk.claim(slot=2), Claimed), "under a new registration it goes on"


def test_a_process_that_sent_a_heartbeat_is_not_declared_dead(desk: "Desk", store: RunStore) -> None:
    desk.register("job")
    run = desk.begin()
    (seen,) = store.owners()
    assert store.heartbeat(seen.id)

    assert store.fail_lost_runs(seen.id, desk.at(9), seen.heartbeats) == []

    ((kept, owner),) = store.unfinished()
    assert (kept, owner.ended) == (run, None)
    (seen,) = store.owners()
    assert len(store.fail_lost_runs(seen.id, desk.at(9), seen.heartbeats)) == 1


def test_what_is_said_of_a_lease_is_kept(desk: "Desk", store: RunStore) -> None:
    store.set_leased("owner-1")
    store.observe("owner-1", "seen by another")
    (owner,) = desk.again().owners()
    assert (owner.leased, owner.observed) == (True, "seen by another")


def test_a_run_that_ended_is_not_lost(desk: "Desk", store: RunStore) -> None:
    desk.register("job")
    run = desk.begin()
    desk.again().finish([desk.ending(run)])
    assert store.fail_lost_runs("owner-1", desk.at(9)) == []
    kept = store.run(run.id)
    assert kept is not None
    assert kept.status is RunStatus.COMPLETED


def test_unfinished_runs_come_with_their_owner(desk: "Desk", store: RunStore) -> None:
    desk.register("one", "two")
    first, second = desk.begin("one"), desk.begin("two")
    assert sorted(store.unfinished(), key=lambda one: one[0].job_id) == [
        (first, desk.owner),
        (second, desk.owner),
    ]
    assert store.unfinished("two") == [(second, desk.owner)]
    desk.end(second)
    assert store.unfinished("two") == []


# History


def test_runs_are_listed_newest_first(desk: "Desk", store: RunStore) -> None:
    desk.register("one", "two")
    ids = [desk.ran("one" if n % 2 else "two", n).id for n in range(30)]
    assert [run.id for run in store.runs()] == ids[:-21:-1]
    assert [run.id for run in store.runs(limit=None)] == ids[::-1]
    assert [run.id for run in store.runs("one", limit=2)] == [ids[29], ids[27]]
    assert [run.id for run in store.runs(since=desk.at(27))] == [ids[29], ids[28], ids[27]]
    assert store.runs("three") == []


def test_runs_are_listed_by_status(desk: "Desk", store: RunStore) -> None:
    desk.register("job")
    done = desk.ran(slot=1)
    failed = desk.begin(slot=2)
    desk.end(failed, reason=Reason.TIMEOUT)
    running = desk.begin(slot=3)
    desk.claim(slot=4)
    wanted = {
        (RunStatus.COMPLETED,): [done.id],
        (RunStatus.FAILED,): [failed.id],
        (RunStatus.RUNNING, RunStatus.FAILED): [running.id, failed.id],
    }
    for statuses, ids in wanted.items():
        assert [run.id for run in store.runs("job", statuses=statuses)] == ids
    assert len(store.runs(statuses=[RunStatus.SKIPPED])) == 1


def test_a_run_is_found_by_the_beginning_of_its_id(desk: "Desk", store: RunStore) -> None:
    desk.register("one", "two")
    for job, run_id in (("one", "abcd000000000001"), ("two", "abcd00000000000f")):
        wish = desk.wish(job)
        store.claim(desk.owner, [Claim(run_id, job, wish.trigger, wish.at)])
    found = store.run("abcd00000000000f")
    assert found is not None
    assert found.job_id == "two"
    with pytest.raises(UsageError, match="abcd0"):
        store.run("abcd0")
    for nothing in ("abcd1", "abc", "", "%", "ABCD000000000001", "abcd00000000000g"):
        assert store.run(nothing) is None


# Totals


def test_totals_of_nothing(store: RunStore) -> None:
    metrics = store.metrics()
    assert (metrics.total_executions, metrics.success_rate, metrics.average_job_duration) == (0, None, None)
    assert metrics.jobs == ()


def test_totals_and_percentiles(desk: "Desk", store: RunStore) -> None:
    desk.register("job", "other")
    for second in range(1, 101):
        desk.ran(slot=second, seconds=second)
    run = desk.begin("other", 1)
    desk.end(run, seconds=50.5, reason=Reason.ERROR)

    metrics = store.metrics()
    assert (metrics.total_executions, metrics.successful_jobs, metrics.failed_jobs) == (101, 100, 1)
    assert metrics.success_rate == pytest.approx(100 / 101)
    assert metrics.average_job_duration == timedelta(seconds=50.5)
    job, other = metrics.jobs
    assert (job.id, other.id) == ("job", "other")
    assert (job.p50, job.p95, job.max) == tuple(timedelta(seconds=n) for n in (50, 95, 100))
    assert (other.p50, other.p95, other.max) == (timedelta(seconds=50.5),) * 3
    assert sum(one.count for one in job.histogram) == 100
    assert [(one.from_ms, one.to_ms, one.count) for one in other.histogram] == [(50_000, 55_000, 1)]
    assert store.metrics("other").jobs == (other,)
    assert store.metrics("other").total_executions == 1


@pytest.mark.slow
def test_percentiles_are_of_the_newest_thousand(desk: "Desk", store: RunStore) -> None:
    desk.register("job")
    for slot in range(1, 1101):
        (answer,) = store.claim(desk.owner, [desk.wish("job", slot)])
        assert isinstance(answer, Claimed)
        store.finish([desk.ending(answer.run, seconds=9 if slot <= 100 else 1)])
    (totals,) = store.metrics().jobs
    assert (totals.p95, totals.max) == (timedelta(seconds=1), timedelta(seconds=9))
    assert [one.count for one in totals.histogram] == [1000]
    assert totals.total_executions == 1100


# Pruning


@pytest.mark.slow
def test_pruning_keeps_what_is_young_or_among_the_newest(desk: "Desk", store: RunStore) -> None:
    desk.register("often", "seldom")
    often = [desk.ran("often", n).id for n in range(1, 11)]
    seldom = [desk.ran("seldom", n).id for n in (1, 2)]
    young = [desk.ran("often", 40 * DAY + n).id for n in range(2)]
    before = store.metrics()

    pruned = store.prune(desk.at(40 * DAY), MONTH, 5)

    assert sorted(pruned.runs) == sorted(("often", one) for one in often[:7])
    assert {run.id for run in store.runs(limit=None)} == {*often[7:], *young, *seldom}
    after = store.metrics()
    assert after.last_cleanup == desk.at(40 * DAY)
    assert before.last_cleanup is None
    assert (after.total_executions, after.average_job_duration) == (14, before.average_job_duration)
    assert store.prune(desk.at(40 * DAY), MONTH, 5).runs == []


def test_pruning_leaves_the_young_however_many(desk: "Desk", store: RunStore) -> None:
    desk.register("job")
    for slot in range(1, 11):
        desk.ran(slot=slot)
    assert store.prune(desk.at(60), MONTH, 2).runs == []
    assert len(store.runs(limit=None)) == 10


@pytest.mark.slow
def test_pruning_removes_more_than_a_batch(desk: "Desk", store: RunStore) -> None:
    desk.register("job")
    for slot in range(1, 1204):
        (answer,) = store.claim(desk.owner, [desk.wish("job", slot)])
        assert isinstance(answer, Claimed)
        store.finish([desk.ending(answer.run)])
    assert len(store.prune(desk.at(40 * DAY), MONTH, 3).runs) == 1200
    assert len(store.runs(limit=None)) == 3


def test_pruning_leaves_what_runs_and_what_ran_last(desk: "Desk", store: RunStore) -> None:
    desk.register("busy", "skipping")
    running = desk.begin("busy", 1)
    last = desk.begin("skipping", 1)
    for slot in range(2, 8):
        desk.claim("busy", slot)
        desk.claim("skipping", slot)
    desk.end(last)
    store.prune(desk.at(90 * DAY), MONTH, 1)
    assert [run for run, _ in store.unfinished()] == [running]
    record = store.job("skipping")
    assert record is not None
    assert record.last is not None
    assert record.last.id == last.id


def test_skipped_runs_of_each_job_newest_first(desk: "Desk", store: RunStore) -> None:
    desk.register("busy", "free")
    desk.ran("free", 1)
    running = desk.begin("busy", 1)
    for slot in range(2, 6):
        desk.claim("busy", slot)
    desk.end(running)

    found = store.skipped_runs(["busy", "free"], desk.at(3), most=2)

    assert {job_id: [run.at for run in runs] for job_id, runs in found.items()} == {
        "busy": [desk.at(5), desk.at(4)],
        "free": [],
    }
    assert store.run(found["busy"][0].id) == store.runs("busy", statuses=[RunStatus.SKIPPED])[0]


def test_notifications_are_kept_and_pruned_but_for_the_last_of_a_job(desk: "Desk", store: RunStore) -> None:
    sent = [
        SentNotification(desk.at(n), job_id, "failure", "mail", "ops@example.com", run_id, error)
        for n, (job_id, run_id, error) in enumerate(
            [("job", "a", None), ("job", "b", "refused"), ("other", None, None), ("job", "c", None)]
        )
    ]
    store.keep_notifications(sent[:1])
    store.keep_notifications(sent[1:])

    assert store.notifications("job") == [sent[3], sent[1], sent[0]]
    assert store.notifications("job", limit=1) == [sent[3]]
    assert store.notifications("none") == []

    store.prune(desk.at(1) + MONTH, MONTH, 5)
    assert (store.notifications("job"), store.notifications("other")) == ([sent[3], sent[1]], [sent[2]])
    store.prune(desk.at(90 * DAY), MONTH, 5)
    assert (store.notifications("job"), store.notifications("other")) == ([sent[3]], [sent[2]])


def test_pruning_forgets_owners_that_are_gone(desk: "Desk", store: RunStore) -> None:
    desk.register("job")
    for n in range(3):
        desk.register_process(f"by-hand-{n}", "trigger", n)
        store.sign_off(f"by-hand-{n}", desk.at(n))
    gone = desk.register_process("gone", "trigger", 5)
    (answer,) = store.claim(gone, [desk.wish("job")])
    assert isinstance(answer, Claimed)
    store.sign_off("gone", desk.at(6))
    store.prune(desk.at(40 * DAY), MONTH, 5)
    assert [owner.id for owner in store.owners()] == ["owner-1", "gone"]
    assert store.unfinished()[0][1].id == "gone"


# Cached results


def test_cached_results_live_until_they_expire(desk: "Desk", store: RunStore) -> None:
    value = {"months": [1, 2.5, None], "word": "é"}
    store.cache_put({"b": value}, desk.at(0), desk.at(10))
    store.cache_put({"a": 1}, desk.at(0), desk.at(5))
    found = desk.again().cache_get("b", desk.at(9))
    assert found is not None
    assert (found.key, found.value, found.computed_at, found.expires_at) == (
        "b",
        value,
        desk.at(0),
        desk.at(10),
    )
    assert store.cache_get("a", desk.at(5)) is None
    assert store.cache_get("c", desk.at(0)) is None
    assert [one.key for one in store.cached()] == ["a", "b"]
    store.cache_put({"b": 2}, desk.at(1), desk.at(20))
    assert [one.value for one in store.cached()] == [1, 2]
    assert store.cache_purge(desk.at(5)) == 1
    assert [one.key for one in store.cached()] == ["b"]


def test_folding_and_closing_change_nothing(desk: "Desk", store: RunStore) -> None:
    desk.register("job")
    run = desk.ran()
    store.checkpoint()
    other = desk.again()
    other.close()
    other.close()
    kept = store.run(run.id)
    assert kept is not None
    assert str(desk.again().place) == store.place
