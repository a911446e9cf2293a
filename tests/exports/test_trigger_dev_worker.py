"""An exported worker, without the cloud: its own run functions, and the SDK's executor over them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.exports.conftest import RunTask
from tests.support.project import Site, until

pytestmark = pytest.mark.slow

EXCLUDED = """\
[jobs.hello]
cron = "0 9 * * *"
exclude = ["@holidays"]
command = ["true"]

[calendars.holidays]
dates = ["2026-12-24..2026-12-26"]
"""


def test_it_declares_each_job_once(run_task: RunTask) -> None:
    listed, _ = run_task("list")

    tasks = {one["id"]: one for one in listed}
    assert len(tasks) == len(listed) == 18
    assert {one["triggerSource"] for one in listed} == {"schedule"}
    assert not any("schedule" in one for one in listed)  # the schedules are made by jobctl run
    assert {"maxDuration": 150, "queue": {"concurrencyLimit": 1}}.items() <= tasks["hello"].items()
    assert {"maxAttempts": 4, "minTimeoutInMs": 20000, "factor": 2}.items() <= tasks["hello"]["retry"].items()
    assert tasks["slow"]["retry"]["maxAttempts"] == 1


def test_a_task_runs_its_job_and_answers_with_the_result(run_task: RunTask, site: Site) -> None:
    answer, log = run_task("function", "hello")

    assert answer["output"]["status"] == "completed"
    assert answer["output"]["result"]["processed"] == 2
    assert "hello there" in log
    assert (site.folder / "greeted").read_text() == "yes"
    (kept,) = site.runs()
    assert (kept["run_id"], kept["trigger"]) == (answer["output"]["run_id"], "manual")


@pytest.mark.parametrize("payload", [{"arguments": {"dry_run": True}}, {"dry_run": True}])
def test_the_arguments_of_the_payload_reach_the_function(
    payload: dict[str, object], run_task: RunTask, site: Site
) -> None:
    answer, _ = run_task("function", "hello", payload)

    assert answer["output"]["result"]["message"] == "dry"
    assert site.runs()[0]["arguments"] == {"dry_run": True}


def test_wrong_arguments_of_the_payload_are_not_tried_again(run_task: RunTask, site: Site) -> None:
    answer, _ = run_task("engine", "hello", {"arguments": {"dry": True}})

    assert 'hello has no parameter "dry"' in answer["error"]["message"]
    assert answer["error"]["name"] == "AbortTaskRunError"
    assert site.runs() == []


def test_a_scheduled_run_is_recorded_as_scheduled(run_task: RunTask, site: Site) -> None:
    payload = {
        "timestamp": "2026-11-24T09:00:00.000Z",
        "timezone": "UTC",
        "scheduleId": "sched_1",
        "type": "IMPERATIVE",
    }

    by_engine, _ = run_task("engine", "told", payload, dates=True, attempt=2)
    by_hand, _ = run_task("engine", "told", payload)  # over the API times stay texts

    assert by_engine["ok"]
    assert by_engine["output"]["result"] == {
        "slot": "2026-11-24T09:00:00+00:00",
        "TRIGGER_RUN_ID": "run_test",
        "TRIGGER_ATTEMPT": "2",
        "TRIGGER_SCHEDULED_FOR": "2026-11-24T09:00:00.000Z",
    }
    assert by_hand["output"]["result"]["TRIGGER_SCHEDULED_FOR"] == "2026-11-24T09:00:00.000Z"
    assert {one["trigger"] for one in site.runs()} == {"schedule"}


def test_a_slot_on_an_excluded_date_ends_as_skipped(run_task: RunTask, site: Site) -> None:
    site.write("jobctl.toml", EXCLUDED)
    payload = {"timestamp": "2026-12-25T09:00:00.000Z", "timezone": "UTC", "scheduleId": "sched_1"}

    first, _ = run_task("engine", "hello", payload, dates=True)
    again, _ = run_task("engine", "hello", payload, dates=True)
    manual, _ = run_task("engine", "hello", {})

    assert (first["ok"], again["ok"]) == (True, True)
    assert (first["output"]["status"], first["output"]["reason"]) == ("skipped", "excluded")
    assert again["output"]["run_id"] == first["output"]["run_id"]
    assert manual["output"]["status"] == "completed"
    recorded = [(run["status"], run["reason"], run["error"]) for run in site.runs()]
    assert recorded == [("completed", None, None), ("skipped", "excluded", "2026-12-25 is excluded")]


def test_a_failure_is_tried_again_by_the_engine_alone(run_task: RunTask, site: Site) -> None:
    first, _ = run_task("engine", "failing")
    last, _ = run_task("engine", "failing", attempt=2)

    assert (first["ok"], first["error"]["message"]) == (False, "ValueError: broken")
    assert first["retry"]["delay"] >= 10_000
    assert "retry" not in last
    assert [(one["status"], one["attempt"]) for one in site.runs()] == [("failed", 1)] * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("", "the token is wrong"),
        ("unknown", 'there is no job "permanent"'),
        ("broken", "jobctl.toml"),
        ("disabled", "is not configured"),
    ],
)
def test_what_no_retry_can_help_is_not_tried_again(
    change: str, words: str, run_task: RunTask, site: Site
) -> None:
    task = "permanent"
    if change == "unknown":
        site.jobs("")
    elif change == "broken":
        site.write("jobctl.toml", "[jobs.permanent]\nevery = 7\n")
    elif change == "disabled":
        task, words = "analytics-user-growth", "DATABASE_URL is not set"

    answer, _ = run_task("engine", task)

    assert answer["error"]["name"] == "AbortTaskRunError"
    assert words in answer["error"]["message"]
    assert "retry" not in answer


def test_without_a_python_it_says_so(run_task: RunTask) -> None:
    answer, _ = run_task("engine", "hello", env={"JOBCTL_PYTHON": "/nonexistent/python"})

    assert answer["error"]["message"].startswith("/nonexistent/python cannot be started")
    assert "retry" not in answer


def test_a_python_without_jobctl_is_not_tried_again(run_task: RunTask, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')  # no site-packages
    bare.chmod(0o755)

    answer, _ = run_task("engine", "hello", env={"JOBCTL_PYTHON": str(bare)})

    assert answer["error"]["name"] == "AbortTaskRunError"
    assert "No module named jobctl" in answer["error"]["message"]
    assert "retry" not in answer


def test_a_run_that_is_going_on_elsewhere_is_skipped_and_not_tried_again(
    run_task: RunTask, site: Site
) -> None:
    going = site.popen("trigger", "slow")
    until(site.runs)

    answer, _ = run_task("engine", "slow")

    assert answer["ok"]
    assert (answer["output"]["status"], answer["output"]["reason"]) == ("skipped", "overlap")
    assert "already running" in answer["output"]["error"]
    going.terminate()
    going.wait()


def test_a_cancelled_run_ends_the_job_and_records_it(run_task: RunTask, site: Site) -> None:
    answer, _ = run_task("function", "slow", abortAfterLine="slow has begun")

    assert answer["error"]
    assert [(one["status"], one["reason"]) for one in site.runs()] == [("failed", "interrupted")]
    site.nothing_left()


def test_a_hand_trigger_may_ask_for_a_dry_run_and_a_timeout(run_task: RunTask) -> None:
    dry, _ = run_task("function", "slow", {"dry_run": True})
    short, _ = run_task("function", "slow", {"timeout": "1s"})

    assert (dry["final"], "does not support --dry-run" in dry["error"]) == (True, True)
    assert short == {"error": "timed out after 1s", "final": False}


def test_it_type_checks_against_the_real_sdk(worker: Path, trigger_dev_packages: Path) -> None:
    found = subprocess.run(
        ["node", trigger_dev_packages / "node_modules" / "typescript" / "bin" / "tsc", "--noEmit", "--listFilesOnly"],
        cwd=worker, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    assert str(Path("@trigger.dev", "sdk", "dist")) in found
    assert f"src{os.sep}trigger{os.sep}repository-sync.ts" in found
