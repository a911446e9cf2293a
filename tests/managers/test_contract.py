"""What every manager keeps, whatever is behind it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobctl.errors import NotRunError, UnknownJobError, UsageError
from jobctl.interface import BackgroundJobManager
from jobctl.managers.base import NoOpJobManager
from jobctl.managers.local import LocalJobManager
from jobctl.model import Command, Job, JobMetrics, RunStatus, Status
from jobctl.schedules.every import Every
from jobctl.settings.masking import Secret
from jobctl.store.base import RunStore
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.manager import TriggerDevJobManager
from tests.support.trigger_dev import KEY, trigger_dev


@pytest.fixture(params=["local", "no-op", "trigger-dev"])
def any_manager(request: pytest.FixtureRequest, store: RunStore) -> Iterator[BackgroundJobManager]:
    if request.param == "no-op":
        yield NoOpJobManager(store, "scheduling is disabled")
    elif request.param == "local":
        manager: LocalJobManager = request.getfixturevalue("manager")
        yield manager
    else:
        with trigger_dev("a-job", "b-job") as cloud:
            there = TriggerDevJobManager(Account(cloud.url, Secret(KEY), "production"), store)
            yield there
            there.shutdown()


def test_it_keeps_the_interface(any_manager: BackgroundJobManager) -> None:
    assert isinstance(any_manager, BackgroundJobManager)


def test_what_is_scheduled_is_shown_in_order(any_manager: BackgroundJobManager) -> None:
    any_manager.schedule_job("b-job", "B", "json:dumps", 60)
    any_manager.schedule_cron_job("a-job", "A", "json:dumps", "0 9 * * *")

    shown = any_manager.get_all_job_statuses()

    assert [(one.id, one.name, one.status, one.schedule) for one in shown] == [
        ("b-job", "B", Status.SCHEDULED, "every 1m"),
        ("a-job", "A", Status.SCHEDULED, "0 9 * * *"),
    ]


def test_the_same_id_replaces_the_definition(any_manager: BackgroundJobManager) -> None:
    any_manager.schedule_job("a-job", "Old", "json:dumps", 60)
    any_manager.schedule_job("a-job", "New", "json:dumps", timedelta(hours=1))

    (only,) = any_manager.get_all_job_statuses()

    assert (only.name, only.schedule) == ("New", "every 1h")


@pytest.mark.parametrize("job_id", ["", "Nightly", "a_b", "-a", "a--b", "a" * 65, "a\n"])
def test_a_bad_id_is_refused(any_manager: BackgroundJobManager, job_id: str) -> None:
    with pytest.raises(UsageError, match="is not a job id"):
        any_manager.schedule_job(job_id, "x", "json:dumps", 60)


@pytest.mark.parametrize("interval", [0, -1, float("nan"), timedelta(0)])
def test_a_bad_interval_is_refused(any_manager: BackgroundJobManager, interval: float) -> None:
    with pytest.raises(UsageError):
        any_manager.schedule_job("a-job", "x", "json:dumps", interval)


@pytest.mark.parametrize("expression", ["", "61 * * * *", "0 0 30 2 *", "@reboot", "* * * *"])
def test_a_bad_cron_is_refused(any_manager: BackgroundJobManager, expression: str) -> None:
    with pytest.raises(UsageError):
        any_manager.schedule_cron_job("a-job", "x", "json:dumps", expression)


@pytest.mark.parametrize("target", ["json.dumps", "json:", ":dumps", 7])
def test_a_target_that_is_none_is_refused(any_manager: BackgroundJobManager, target: str) -> None:
    with pytest.raises(UsageError):
        any_manager.schedule_job("a-job", "x", target, 60)


def test_a_stopped_job_says_so_and_has_no_next_run(any_manager: BackgroundJobManager) -> None:
    any_manager.schedule_job("a-job", "A", "json:dumps", 60)

    any_manager.stop_job("a-job")

    found = any_manager.get_job_status("a-job")
    assert found is not None
    assert (found.status, found.next_run) == (Status.STOPPED, None)


def test_an_unknown_job_has_no_status_and_cannot_be_stopped(any_manager: BackgroundJobManager) -> None:
    any_manager.schedule_job("a-job", "A", "json:dumps", 60)

    assert any_manager.get_job_status("b-job") is None
    with pytest.raises(UnknownJobError, match='no job "a-jop"') as caught:
        any_manager.stop_job("a-jop")
    assert caught.value.hint == 'did you mean "a-job"?'


def test_a_trigger_is_never_silently_nothing(any_manager: BackgroundJobManager) -> None:
    any_manager.schedule_job("a-job", "A", "platform:node", 60)

    if isinstance(any_manager, NoOpJobManager):
        with pytest.raises(NotRunError, match="a-job was not run: scheduling is disabled"):
            any_manager.trigger_job("a-job")
    else:
        assert any_manager.trigger_job("a-job").status is RunStatus.RUNNING


def test_it_can_be_started_and_shut_down_any_number_of_times(any_manager: BackgroundJobManager) -> None:
    for _ in range(2):
        any_manager.start()
        any_manager.start()
        assert any_manager.shutdown() == 0
        assert any_manager.shutdown() == 0


def test_where_nothing_is_scheduled_here_it_runs_for_no_time_and_says_why(
    any_manager: BackgroundJobManager, caplog: pytest.LogCaptureFixture
) -> None:
    if isinstance(any_manager, LocalJobManager):
        any_manager.idle = "Vercel Cron does"

    any_manager.run_forever()

    assert caplog.messages[0].startswith("there is nothing to run here: ")


def test_nothing_ran_means_zeros_and_no_rate(any_manager: BackgroundJobManager) -> None:
    metrics = any_manager.get_job_metrics()

    assert (metrics.total_executions, metrics.skipped, metrics.success_rate) == (0, 0, None)
    assert isinstance(metrics, JobMetrics)


def test_a_stopped_job_can_be_put_back_on_its_schedule(any_manager: BackgroundJobManager) -> None:
    any_manager.schedule_job("a-job", "A", "json:dumps", 60)
    any_manager.stop_job("a-job")

    any_manager.start_job("a-job")

    found = any_manager.get_job_status("a-job")
    assert found is not None
    assert found.status is Status.SCHEDULED


def test_definitions_can_be_added(any_manager: BackgroundJobManager) -> None:
    any_manager.add([Job("a-job", "A", Every(60), "json:dumps")])

    assert [status.id for status in any_manager.get_all_job_statuses()] == ["a-job"]


def test_a_run_that_was_triggered_can_be_found(any_manager: BackgroundJobManager) -> None:
    any_manager.schedule_job("a-job", "A", "platform:node", 60)

    assert any_manager.runs("a-job") == []
    assert any_manager.run("0123456789abcdef") is None
    if not isinstance(any_manager, NoOpJobManager):
        started = any_manager.trigger_job("a-job")
        found = any_manager.run(started.id)
        assert found is not None
        assert (found.id, found.job_id) == (started.id, "a-job")


def test_a_run_that_has_not_ended_is_waited_for_no_longer_than_asked(
    any_manager: BackgroundJobManager,
) -> None:
    if isinstance(any_manager, NoOpJobManager):
        run_id = "0123456789abcdef"
    else:
        any_manager.add([Job("b-job", "B", None, Command(("sleep", "60")))])
        run_id = any_manager.trigger_job("b-job").id

    with pytest.raises(TimeoutError, match=f"run {run_id} has not ended"):
        any_manager.wait(run_id, 0)
