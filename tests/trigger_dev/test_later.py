"""Runs that Trigger.dev delays, as runs that are kept for later."""

from datetime import UTC, datetime, timedelta

import pytest

from jobctl.errors import NotRunError, ServiceError, UnknownJobError, UsageError
from jobctl.model import RunStatus, Status, Trigger
from jobctl.store.base import RunStore
from jobctl.trigger_dev.api_types import RefusedError
from jobctl.trigger_dev.client import TriggerDevClient
from tests.support.trigger_dev import Cloud, Fault
from tests.trigger_dev.conftest import MakeManager, job


def later(hours: float = 1) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def whole(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def test_a_run_is_delayed_there_until_its_time(make_manager: MakeManager, cloud: Cloud) -> None:
    manager, at = make_manager(job("a-job")), later()

    kept = manager.trigger_job_later("a-job", at, arguments={"keep": 7}, reason="ignored", actor="ada@host")

    assert cloud.runs[kept.id]["status"] == "DELAYED"
    assert cloud.runs[kept.id]["payload"] == {"arguments": {"keep": 7}}
    assert (kept.begins_at, kept.arguments) == (at, {"keep": 7})
    (listed,) = manager.waiting_runs("a-job")
    assert (listed.id, listed.job_id, listed.begins_at) == (kept.id, "a-job", whole(at))
    assert (listed.trigger, listed.slot, listed.batch) == (Trigger.MANUAL, None, None)
    alone = manager.waiting_run(kept.id)
    assert alone is not None
    assert alone.arguments == {"keep": 7}
    assert manager.waiting_runs("b-job") == []
    assert manager.runs("a-job") == []
    assert manager.run(kept.id) is None

    cloud.runs[kept.id]["delayed"] = later(-0.001)

    assert manager.waiting_runs() == []
    assert manager.waiting_run(kept.id) is None
    (run,) = manager.runs()
    assert (run.id, run.status, run.trigger) == (kept.id, RunStatus.RUNNING, Trigger.MANUAL)
    assert manager.wait(kept.id).status is RunStatus.COMPLETED


def test_a_delayed_run_hides_no_other(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.schedule("a-job")
    failed = cloud.run("a-job", "FAILED", error="no such table")
    manager = make_manager(job("a-job"), job("b-job", None))
    manager.trigger_job_later("a-job", later(900))
    first = manager.trigger_job_later("a-job", later(0.01))
    by_hand = manager.trigger_job_later("b-job", later(2))

    status, other = manager.get_all_job_statuses()

    assert (status.status, status.run_id, status.error) == (Status.FAILED, failed, "no such table")
    assert (status.waiting, status.next_run) == (2, whole(first.begins_at))
    assert (other.waiting, other.next_run, other.last_run) == (1, whole(by_hand.begins_at), None)
    assert [run.id for run in manager.runs()] == [failed]
    assert [run.id for run in manager.runs(statuses=[RunStatus.RUNNING])] == []
    assert manager.get_job_metrics().total_executions == 1


def test_a_delayed_run_is_in_the_way_of_none(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager(job("a-job"))
    manager.trigger_job_later("a-job", later())
    now = manager.trigger_job("a-job")
    another = manager.trigger_job_later("a-job", later(2))

    assert cloud.runs[now.id]["status"] == "QUEUED"
    assert len(manager.waiting_runs()) == 2
    assert manager.cancel_run(another.id)
    assert len(manager.waiting_runs()) == 1
    assert cloud.runs[another.id]["status"] == "CANCELED"
    assert not manager.cancel_run(another.id)
    cancelled = manager.run(another.id)
    assert cancelled is not None
    assert (cancelled.status, cancelled.duration) == (RunStatus.CANCELLED, None)


def test_a_delayed_run_that_the_list_lacks_is_remembered(
    make_manager: MakeManager, cloud: Cloud, remembering: RunStore
) -> None:
    """The list lags behind, and on some servers stays empty for ever."""
    cloud.unlisted = True
    at = later()
    kept = make_manager(job("a-job"), store=remembering).trigger_job_later("a-job", at)
    manager = make_manager(job("a-job"), job("b-job"), store=remembering)

    assert [(run.id, run.begins_at) for run in manager.waiting_runs()] == [(kept.id, whole(at))]
    assert manager.waiting_runs("b-job") == []
    status = manager.get_job_status("a-job")
    assert status is not None
    assert (status.waiting, status.last_run) == (1, None)
    cloud.unlisted = False
    assert len(manager.waiting_runs()) == 1
    assert manager.cancel_run(kept.id)
    cloud.unlisted = True
    assert manager.waiting_runs() == []


def test_what_cannot_be_run_later_there(make_manager: MakeManager, cloud: Cloud) -> None:
    manager = make_manager(job("a-job"), job("new-job"))
    with pytest.raises(UsageError, match="is past"):
        manager.trigger_job_later("a-job", later(-1))
    with pytest.raises(UnknownJobError):
        manager.trigger_job_later("unknown", later())
    with pytest.raises(NotRunError, match="a backfill needs the run store"):
        manager.backfill("a-job", later(-48), later(-1))
    assert cloud.asked == []
    with pytest.raises(ServiceError, match=r'no scheduled task "new-job" in production: .*; nothing was'):
        manager.trigger_job_later("new-job", later())
    assert cloud.runs == {}


def test_an_answer_that_is_lost_delays_one_run_only(make_manager: MakeManager, cloud: Cloud) -> None:
    cloud.faults = [Fault("lost", only="/trigger")]
    kept = make_manager(job("a-job")).trigger_job_later("a-job", later())
    assert list(cloud.runs) == [kept.id]


@pytest.mark.parametrize(
    ("delay", "status"),
    [
        ("2h", "DELAYED"),
        ("1d12h", "DELAYED"),
        ("2087-01-01T00:00:00Z", "DELAYED"),
        ("2020-01-01T00:00:00Z", "QUEUED"),
        (7200, "QUEUED"),
    ],
)
def test_the_server_reads_delays_as_trigger_dev_does(
    api: TriggerDevClient, cloud: Cloud, delay: object, status: str
) -> None:
    api._call("POST", "/api/v1/tasks/a-job/trigger", body={"payload": {}, "options": {"delay": delay}})
    assert [run["status"] for run in cloud.runs.values()] == [status]


def test_the_server_refuses_a_delay_that_is_none(api: TriggerDevClient, cloud: Cloud) -> None:
    with pytest.raises(RefusedError, match="Invalid delay soon") as caught:
        api._call("POST", "/api/v1/tasks/a-job/trigger", body={"options": {"delay": "soon"}})
    assert caught.value.status == 422
    assert cloud.runs == {}
