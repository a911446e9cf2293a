"""Runs for later, ``cancel`` and ``backfill`` where Trigger.dev is in charge."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.terminal import Cli
from tests.support.trigger_dev import KEY, Cloud, trigger_dev
from tests.support.trigger_dev_settings import in_charge

AT = "2087-01-01T09:00Z"
EXACT = "2087-01-01T09:00:00+00:00"


@pytest.fixture
def cloud(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with trigger_dev("hello", "bad") as cloud:
        for name, value in in_charge(cloud.url, KEY).items():
            monkeypatch.setenv(name, value)
        yield cloud


def test_a_later_run_is_shown_as_waiting(cli: Cli, cloud: Cloud) -> None:
    done = cli("trigger", "hello", "--at", AT)

    (run_id,) = cloud.runs
    assert done.code == 0
    assert f"hello: run {run_id} begins " in done.stderr
    assert f" at Trigger.dev; to cancel it: jobctl cancel {run_id}" in done.stderr
    assert "no scheduler is running" not in done.stderr
    (waiting,) = cli("runs", "--waiting", "--json").json["waiting"]
    assert (waiting["run_id"], waiting["job_id"], waiting["begins_at"]) == (run_id, "hello", EXACT)
    assert cli("runs", "--waiting").rows[0]["RUN"] == run_id
    assert cli("runs", "hello", "--waiting", "--json").json["waiting"] == [waiting]
    assert cli("runs", "bad", "--waiting", "--json").json["waiting"] == []
    assert cli("runs", "--json").json["runs"] == []
    (alone,) = cli("runs", run_id, "--json").json["waiting"]
    assert alone["begins_at"] == EXACT
    job = {each["id"]: each for each in cli("status", "--json").json["jobs"]}["hello"]
    assert (job["status"], job["waiting"], job["next_run"], job["last_run"]) == ("stopped", 1, EXACT, None)
    for words in (("rerun", run_id), ("status", run_id), ("logs", run_id)):
        refused = cli(*words)
        assert (refused.code, f"run {run_id} of hello has not begun" in refused.stderr) == (3, True), words


def test_json_of_a_later_run(cli: Cli, cloud: Cloud) -> None:
    done = cli("trigger", "hello", "--in", "2h", "--json")

    begins = datetime.fromisoformat(done.json["begins_at"])
    assert abs(begins - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=5)
    (sent,) = cloud.sent("POST", "/api/v1/tasks/hello/trigger")
    assert datetime.fromisoformat(sent.body["options"]["delay"]) == begins
    assert list(cloud.runs) == [done.json["run_id"]]


def test_a_delayed_run_is_cancelled_by_its_id(cli: Cli, cloud: Cloud) -> None:
    run_id = cli("trigger", "hello", "--at", AT, "--json").json["run_id"]

    done, again = cli("cancel", run_id, "--reason", "not needed"), cli("cancel", run_id)

    assert (done.code, done.stderr) == (0, "hello: 1 run cancelled before it began\n")
    assert (again.code, f"run {run_id} of hello has ended: cancelled" in again.stderr) == (3, True)
    assert cloud.runs[run_id]["status"] == "CANCELED"
    assert len(cloud.sent("POST", ".*/cancel")) == 1


def test_of_a_job_the_run_in_progress_is_cancelled_before_those_that_wait(cli: Cli, cloud: Cloud) -> None:
    going = cloud.run("hello", "EXECUTING", ago=600)
    delayed = [cli("trigger", "hello", "--in", span, "--json").json["run_id"] for span in ("1h", "2h")]

    first, second, third = (cli("cancel", "hello") for _ in range(3))

    assert (first.code, f"hello: run {going} is asked to end" in first.stderr) == (0, True)
    assert (second.code, second.stderr) == (0, "hello: 2 runs cancelled before they began\n")
    assert (third.code, "hello is not running" in third.stderr) == (3, True)
    assert {cloud.runs[each]["status"] for each in (going, *delayed)} == {"CANCELED"}


def test_a_backfill_is_refused_with_the_reason(cli: Cli, cloud: Cloud) -> None:
    for words in (("--json",), ("--dry-run",), ()):
        done = cli("backfill", "hello", "--from", "2026-11-01", *words)
        assert done.code == 4
        assert (
            "hello was not run: a backfill needs the run store, and Trigger.dev runs the jobs"
            in f"{done.stderr}{done.stdout}"
        )
    assert cloud.asked == []


def test_bad_times_are_refused_before_a_request(cli: Cli, cloud: Cloud) -> None:
    for words in (
        ("--at", "2020-01-01"),
        ("--in", "0s"),
        ("--at", AT, "--in", "1h"),
        ("--at", AT, "--local"),
    ):
        assert cli("trigger", "hello", *words).code == 2
    assert cli("trigger", "unknown", "--in", "1h").code == 2
    assert cloud.asked == []


def test_a_worker_without_the_job_delays_nothing(cli: Cli, cloud: Cloud) -> None:
    cloud.tasks.clear()
    done = cli("trigger", "hello", "--in", "1h")
    assert (done.code, "nothing was started" in done.stderr) == (5, True)
