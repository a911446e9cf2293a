"""What the engine knows, in jobctl's words: statuses, runs, totals; and runs started and followed there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobctl.errors import AlreadyRunningError, ServiceError, UnknownJobError, UnknownRunError
from jobctl.model import Reason, RunStatus, Status, Trigger
from jobctl.schedules import Excluding
from jobctl.store.base import RunStore
from tests.support.trigger_dev import Cloud, Fault
from tests.trigger_dev.conftest import MakeManager, job

SAID = {
    "run_id": "abcd",
    "job_id": "a-job",
    "status": "completed",
    "reason": None,
    "result": {"processed": 3},
}


@pytest.mark.parametrize(
    ("word", "status", "run_status", "reason"),
    [
        ("PENDING_VERSION", Status.SCHEDULED, RunStatus.RUNNING, None),
        ("QUEUED", Status.SCHEDULED, RunStatus.RUNNING, None),
        ("DEQUEUED", Status.RUNNING, RunStatus.RUNNING, None),
        ("EXECUTING", Status.RUNNING, RunStatus.RUNNING, None),
        ("WAITING", Status.RUNNING, RunStatus.RUNNING, None),
        ("COMPLETED", Status.COMPLETED, RunStatus.COMPLETED, None),
        ("CANCELED", Status.SCHEDULED, RunStatus.CANCELLED, Reason.CANCELLED),
        ("FAILED", Status.FAILED, RunStatus.FAILED, Reason.ERROR),
        ("CRASHED", Status.FAILED, RunStatus.FAILED, Reason.CRASHED),
        ("SYSTEM_FAILURE", Status.FAILED, RunStatus.FAILED, Reason.CRASHED),
        ("TIMED_OUT", Status.FAILED, RunStatus.FAILED, Reason.TIMEOUT),
        ("EXPIRED", Status.FAILED, RunStatus.FAILED, Reason.LOST),
        ("SOMETHING_NEW", Status.RUNNING, RunStatus.RUNNING, None),
    ],
)
def test_each_word_of_the_engine_has_one_of_ours(
    word: str,
    status: Status,
    run_status: RunStatus,
    reason: Reason | None,
    make_manager: MakeManager,
    cloud: Cloud,
) -> None:
    cloud.schedule("a-job")
    cloud.run("a-job", word)
    manager = make_manager(job("a-job"))

    shown = manager.get_job_status("a-job")
    (run,) = manager.runs("a-job")

    assert shown is not None
    assert (shown.status, run.status, run.reason) == (status, run_status, reason)


def test_a_status_comes_from_the_schedule_and_the_newest_run(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.schedule("a-job")
    cloud.schedule("b-job", active=False)
    cloud.run("a-job", "COMPLETED", ago=500)
    newest = cloud.run("a-job", "FAILED", ago=100, took=2.5, error="no such table")
    manager = make_manager(job("a-job"), job("b-job"), job("c-job"), job("d-job", "every 30s"))

    failed, stopped, missing, refused = manager.get_all_job_statuses()

    assert (failed.status, failed.run_id, failed.error) == (Status.FAILED, newest, "no such table")
    assert failed.duration == timedelta(seconds=2.5)
    assert failed.next_run is not None
    assert failed.next_run > datetime.now(UTC)
    assert (stopped.status, stopped.note, stopped.next_run) == (Status.STOPPED, "stopped", None)
    assert (missing.status, missing.note) == (
        Status.STOPPED,
        "not registered at Trigger.dev: jobctl run does that",
    )
    assert (refused.status, refused.note) == (
        Status.STOPPED,
        "every 30s cannot be a cron schedule: cron counts in whole minutes",
    )


def test_the_status_of_many_jobs_needs_few_requests(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.tasks = {f"job-{number}" for number in range(13)}
    for task in cloud.tasks:
        cloud.schedule(task)
        cloud.run(task)
    manager = make_manager(*(job(one) for one in sorted(cloud.tasks)))

    assert {one.status for one in manager.get_all_job_statuses()} == {Status.COMPLETED}
    assert len(cloud.asked) == 3  # schedules, runs and delayed runs


def test_a_run_that_the_list_lacks_is_remembered(
    make_manager: MakeManager, cloud: Cloud, remembering: RunStore
) -> None:
    """The list lags behind, and on some servers stays empty for ever."""
    cloud.unlisted = True
    cloud.schedule("a-job")
    run = make_manager(job("a-job"), store=remembering).trigger_job("a-job")

    shown = make_manager(job("a-job"), store=remembering).get_job_status("a-job")

    assert shown is not None
    assert shown.run_id == run.id


def test_totals_are_made_of_the_engines_runs(make_manager: MakeManager, cloud: Cloud) -> None:
    for number in range(120):
        cloud.run("a-job", "COMPLETED", ago=1000 + number, took=(number + 1) / 10)
    cloud.run("a-job", "TIMED_OUT", took=20)
    cloud.run("a-job", "EXECUTING")
    cloud.run("unknown", "FAILED")
    cloud.run("a-job", "CANCELED", took=900)
    cloud.run("a-job", "COMPLETED", ago=20 * 86_400, took=0.1)  # the list's own period is a week

    metrics = make_manager(job("a-job"), job("b-job")).get_job_metrics()

    ours, none = metrics.jobs
    assert (metrics.total_executions, metrics.successful_jobs, metrics.failed_jobs) == (122, 121, 1)
    assert (ours.p50, ours.p95, ours.max) == tuple(timedelta(seconds=one) for one in (6.0, 11.5, 20))
    assert (none.total_executions, none.average_job_duration) == (0, None)


def test_runs_are_chosen_by_the_engine(make_manager: MakeManager, cloud: Cloud) -> None:
    old = cloud.run("a-job", "FAILED", ago=7200)
    new = cloud.run("a-job", "CRASHED", ago=60)
    cloud.run("a-job", "COMPLETED", ago=30)
    manager = make_manager(job("a-job"), job("b-job"))
    hour_ago = datetime.now(UTC) - timedelta(hours=1)

    assert [one.id for one in manager.runs(statuses=[RunStatus.FAILED])] == [new, old]
    assert [one.id for one in manager.runs(statuses=[RunStatus.FAILED], since=hour_ago)] == [new]
    assert len(manager.runs(limit=2)) == 2
    assert manager.runs(statuses=[RunStatus.SKIPPED]) == []
    assert manager.runs("b-job") == []


def test_the_trigger_of_a_run_is_shown(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.run("a-job", ago=1000)
    from_code = cloud.run("a-job", ago=100, schedule=None)
    manager = make_manager(job("a-job"))
    manager.trigger_job("a-job")

    by_hand, by_sdk, by_schedule = manager.runs()
    alone = manager.run(from_code)

    assert alone is not None
    assert [(one.trigger, one.scheduled_for) for one in (by_sdk, alone)] == [(Trigger.MANUAL, None)] * 2
    assert (by_hand.trigger, by_hand.scheduled_for) == (Trigger.MANUAL, None)
    assert by_schedule.trigger is Trigger.SCHEDULE
    assert by_schedule.scheduled_for is not None


def test_a_run_is_followed_to_its_end(make_manager: MakeManager, cloud: Cloud, pauses: list[float]) -> None:
    cloud.path = ("QUEUED", "QUEUED", "DEQUEUED", "EXECUTING", "EXECUTING", "EXECUTING", "COMPLETED")
    cloud.output = SAID
    manager = make_manager(job("a-job"))

    started = manager.trigger_job("a-job", arguments={"dry_run": True}, timeout=timedelta(minutes=10))
    seen = [one.status for one in manager.follow(started.id)]
    ended = manager.wait(started.id)

    assert seen == ["QUEUED", "DEQUEUED", "EXECUTING", "COMPLETED"]
    assert pauses == [1, 2, 3, 5, 5, 5]
    assert (ended.status, ended.result) == (RunStatus.COMPLETED, {"processed": 3})
    (sent,) = cloud.sent("POST", "/api/v1/tasks/a-job/trigger")
    assert sent.body["payload"] == {"arguments": {"dry_run": True}, "dry_run": True, "timeout": "10m"}
    assert sent.body["options"]["maxDuration"] == 630


def test_a_skipped_run_is_shown_as_skipped(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.path = ("COMPLETED",)
    cloud.output = {"job_id": "a-job", "status": "skipped", "reason": "overlap", "error": "it runs elsewhere"}
    manager = make_manager(job("a-job"))

    ended = manager.wait(manager.trigger_job("a-job").id)

    assert (ended.status, ended.reason, ended.error) == (
        RunStatus.SKIPPED,
        Reason.OVERLAP,
        "it runs elsewhere",
    )


@pytest.mark.parametrize("state", ["QUEUED", "EXECUTING", "WAITING"])
def test_a_job_is_not_started_over_itself(state: str, make_manager: MakeManager, cloud: Cloud) -> None:
    going = cloud.run("a-job", state)
    manager = make_manager(job("a-job"))

    with pytest.raises(AlreadyRunningError, match=f"a-job has an unfinished run at Trigger.dev: {going}"):
        manager.trigger_job("a-job")
    assert cloud.writes() == []


def test_a_worker_that_lacks_the_job_is_reported(
    make_manager: MakeManager, cloud: Cloud, pauses: list[float]
) -> None:
    manager = make_manager(job("a-job"), job("new-job"))
    cloud.path = ("PENDING_VERSION",)

    with pytest.raises(
        ServiceError, match=r'no scheduled task "new-job" in production: .*; nothing was started'
    ):
        manager.trigger_job("new-job")
    run = manager.trigger_job("a-job")
    with pytest.raises(ServiceError, match=f"run {run.id} waits for a worker"):
        manager.wait(run.id)
    assert sum(pauses) >= 15
    with pytest.raises(UnknownJobError):
        manager.trigger_job("unknown")


def test_a_run_may_not_be_known_at_once(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.path = ("COMPLETED",)
    manager = make_manager(job("a-job"))
    run = manager.trigger_job("a-job")
    cloud.faults = [Fault(status=404, body=b'{"error": "Run not found"}', only="/api/v3/runs")] * 4

    assert manager.wait(run.id).status is RunStatus.COMPLETED
    with pytest.raises(ServiceError, match="does not know the run run_none"):
        manager.wait("run_none")


def test_a_wait_may_end_before_the_run(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.path = ("EXECUTING",)
    manager = make_manager(job("a-job"))

    with pytest.raises(TimeoutError):
        manager.wait(manager.trigger_job("a-job").id, timeout=0)


def test_a_run_is_cancelled_there(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager(job("a-job"))
    going, over = cloud.run("a-job", "EXECUTING"), cloud.run("a-job")

    assert manager.cancel_run(going)
    assert not manager.cancel_run(over)
    assert not manager.cancel_run("run_unknown")

    assert [one.path for one in cloud.sent("POST", ".*cancel")] == [f"/api/v2/runs/{going}/cancel"]
    ended = manager.run(going)
    assert ended is not None
    assert ended.status is RunStatus.CANCELLED


def test_a_run_is_replayed_there(make_manager: MakeManager, cloud: Cloud) -> None:
    slot = {"scheduleId": "sched_1", "timestamp": "2026-11-23T09:00:00Z"}
    first = cloud.run("a-job", "FAILED", payload=slot)
    manager = make_manager(job("a-job"))

    again = manager.rerun(first)

    assert (again.status, again.job_id, again.rerun_of) == (RunStatus.RUNNING, "a-job", first)
    assert again.id != first
    assert cloud.runs[again.id]["payload"] == slot
    status = manager.get_job_status("a-job")
    assert status is not None
    assert status.run_id == again.id


def test_what_cannot_be_replayed(make_manager: MakeManager, cloud: Cloud) -> None:
    going, strange = cloud.run("a-job", "EXECUTING"), cloud.run("strange-job")
    over = cloud.run("a-job", ago=600)
    manager = make_manager(job("a-job"))

    with pytest.raises(UnknownRunError, match='there is no run "run_none"'):
        manager.rerun("run_none")
    with pytest.raises(AlreadyRunningError, match="has not ended"):
        manager.rerun(going)
    with pytest.raises(AlreadyRunningError, match="has an unfinished run at"):
        manager.rerun(over)
    with pytest.raises(UnknownJobError):
        manager.rerun(strange)
    assert cloud.writes() == []


def test_a_replay_whose_answer_is_lost_is_not_sent_again(make_manager: MakeManager, cloud: Cloud) -> None:
    first = cloud.run("a-job")
    manager = make_manager(job("a-job"))
    cloud.faults = [Fault("lost", only="/replay")]

    with pytest.raises(ServiceError, match="the run may have started") as caught:
        manager.rerun(first)

    assert caught.value.hint == "see jobctl runs a-job before you try again"
    assert len(cloud.sent("POST", ".*/replay")) == 1
    assert len(cloud.runs) == 2


def test_excluded_dates_are_seen_there(make_manager: MakeManager, cloud: Cloud) -> None:
    daily = job("a-job", "0 0 * * *")
    assert daily.schedule is not None
    first = daily.schedule.next_after(datetime.now(UTC), datetime.now(UTC))
    date = (first.date(), first.date())
    cloud.schedule("a-job", cron="0 0 * * *")
    cloud.run("a-job", "COMPLETED", ago=100)
    cloud.output = None
    excluding = replace(daily, schedule=Excluding(daily.schedule, [date]))
    manager = make_manager(excluding)

    (status,) = manager.statuses_of([excluding])
    steps, _ = manager.plan()

    assert status.next_run == first + timedelta(days=1)
    assert [step.change.value for step in steps] == ["left"]


def test_a_run_that_was_skipped_on_an_excluded_date_says_so(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.path = ("COMPLETED",)
    why = "2026-12-25 is excluded"
    cloud.output = {"job_id": "a-job", "status": "skipped", "reason": "excluded", "error": why}
    manager = make_manager(job("a-job"))

    ended = manager.wait(manager.trigger_job("a-job").id)

    assert (ended.status, ended.reason, ended.error) == (RunStatus.SKIPPED, Reason.EXCLUDED, why)
