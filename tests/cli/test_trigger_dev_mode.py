"""The commands where Trigger.dev is in charge, as a user at a shell has them."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import Site
from tests.support.service_manager import Ear
from tests.support.terminal import Cli
from tests.support.trigger_dev import KEY, Cloud, Fault, trigger_dev
from tests.support.trigger_dev_settings import in_charge

SAID = {"run_id": "abcd", "job_id": "hello", "status": "completed", "reason": None, "result": {"greeted": 1}}
BUILT_IN = {
    "repository-sync", "subscription-renewal-reminder", "subscription-expired-cleanup", "analytics-user-growth",
    "analytics-activity-trends", "analytics-top-items", "analytics-recent-activity",
    "analytics-performance-metrics", "analytics-cache-cleanup", "report-daily-activity-summary",
    "report-weekly-user-growth", "report-monthly-comprehensive", "report-quarterly-performance",
}  # fmt: skip


@pytest.fixture
def cloud(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with trigger_dev("hello", "bad", "daily", "nightly", *BUILT_IN) as cloud:
        for name, value in in_charge(cloud.url, KEY).items():
            monkeypatch.setenv(name, value)
        yield cloud


@pytest.mark.slow
def test_run_registers_everything_reports_what_it_did_and_ends(cli: Cli, cloud: Cloud) -> None:
    cloud.schedule("gone-job")
    dry = cli("run", "--dry-run")
    assert cloud.writes() == []

    done, again = cli("run"), cli("run", "--json")

    assert (dry.code, done.code, again.code) == (0, 0, 0)
    assert dry.stdout.count("created") == done.stdout.count("created") > 0
    assert "nothing was changed: a dry run" in dry.stderr
    rows = {line.split("\t")[0]: line.split("\t")[1:3] for line in done.stdout.splitlines()}
    assert rows["gone-job"][0] == "removed"
    assert rows["hello"] == ["created", "*/5 * * * *"]
    changes = {one["id"]: one["change"] for one in again.json["jobs"]}
    assert changes.pop("analytics-performance-metrics") == "refused"  # every 30s
    assert set(changes.values()) == {"left"}
    needed = [
        one for one in again.json["warnings"] if one.startswith("DATABASE_URL is not set here; the worker")
    ]
    assert len(needed) == 1
    assert needed[0] in " ".join(done.stderr.split())
    assert again.json["environment"] == "production"


def test_as_a_service_it_was_ready_before_it_ended(cli: Cli, cloud: Cloud, here: Path) -> None:
    with Ear(here / "notify") as ear:
        assert cli("run", **ear.variables()).code == 0
        assert ear.next("READY", 0) == "1"


@pytest.mark.parametrize("overlap", ["queue", "replace"])
def test_settings_that_are_not_honoured_are_reported_by_run_and_by_the_exports(
    cli: Cli, cloud: Cloud, here: Path, overlap: str
) -> None:
    (here / "jobctl.toml").write_text(
        '[jobs.daily]\ncron = "0 4 * * *"\ncall = "work:hello"\njitter = "5m"\ngroup = "g"\n'
        f'overlap = "{overlap}"\n'
        '[jobs.hello]\ncall = "work:hello"\ngroup = "g"\n'
        '[jobs.bad]\nevery = "1m"\ncall = "work:hello"\njitter = "5s"\nenabled = false\n'
    )

    done = [cli(*words.split()).stderr for words in ("run", "export trigger-dev there", "export vercel .")]

    waits = "every slot waits there, not only the newest"
    late = "; jitter has no effect: it starts on time"
    dropped = "a slot that comes while a run is in progress is dropped there"
    for text, queued, jitter in zip(done, (waits, waits, dropped), ("", "", late), strict=True):
        assert " ".join(text.split()).count(" effect") == 2 + bool(jitter)
        assert (
            f'daily: overlap = "{overlap}" has no effect: {queued}; group has an effect only among runs that share a run'
            f" store (JOBCTL_STATE){jitter}"
        ) in " ".join(text.split())
    assert {one["task"]: one["window"] for one in cloud.schedules.values()}["daily"] == "5m"


def test_other_times_at_clock_changes_are_reported_everywhere(cli: Cli, cloud: Cloud, here: Path) -> None:
    job = '[jobs.nightly]\ncron = "30 2 * * *"\ntimezone = "Europe/Berlin"\ncall = "work:hello"\n'
    (here / "jobctl.toml").write_text(job)
    says = "nightly: when the clocks change its times differ: on "

    for words in ("run --dry-run", "run", "export trigger-dev there"):
        assert says in " ".join(cli(*words.split()).stderr.split()), words
    done = cli("run", "--json").json
    assert any(one.startswith(says) for one in done["warnings"])
    assert "when the clocks change" in next(one for one in done["jobs"] if one["id"] == "nightly")["caution"]


def test_the_free_plan_is_said_once(cli: Cli, cloud: Cloud) -> None:
    cloud.free = True

    done = cli("run", "--only", "report-weekly-user-growth", "--only", "subscription-renewal-reminder")

    words = "lets 2 schedules begin up to 1h later; exact times need a larger plan"
    assert words in " ".join(done.stderr.split())
    assert words in cli("run", "--json", "--only", "report-weekly-user-growth", "--only",
                        "subscription-renewal-reminder").json["warnings"][-1]  # fmt: skip


@pytest.mark.slow
def test_a_cancelled_run_is_neither_failed_nor_a_stopped_job(cli: Cli, cloud: Cloud) -> None:
    cloud.schedule("hello")
    cloud.run("hello", "CANCELED")

    status = {one["id"]: one for one in cli("status", "--json").json["jobs"]}["hello"]
    (run,) = cli("runs", "--json").json["runs"]
    metrics = cli("metrics", "--json").json

    assert (status["status"], status["error"]) == ("scheduled", None)
    assert (run["status"], run["reason"]) == ("cancelled", "cancelled")
    assert cli("runs", "--failed", "--json").json["runs"] == []
    assert len(cli("runs", "--status", "cancelled", "--json").json["runs"]) == 1
    assert (metrics["total_executions"], metrics["failed_jobs"]) == (0, 0)
    cloud.path = ("CANCELED",)
    done = cli("trigger", "hello")
    assert (done.code, "hello: cancelled" in done.stderr) == (1, True)


def test_jobs_of_the_site_that_this_machine_leaves_out_keep_their_schedules(
    cli: Cli, cloud: Cloud, here: Path
) -> None:
    """As on a machine without the site's DATABASE_URL: its workers have it."""
    (here / "jobctl.toml").write_text('[jobs.hello]\nevery = "5m"\ncall = "work:hello"\n')
    cloud.schedule("repository-sync", "*/5 * * * *")
    cloud.schedule("gone-job")

    done = cli("run")

    assert {one["task"] for one in cloud.schedules.values()} == {"repository-sync", "hello"}
    assert "their schedules at Trigger.dev stay as they are" in " ".join(done.stderr.split())
    exported = cli("export", "trigger-dev", "there")
    assert "the 13 built-in jobs are left out: this is not an Ever Works site" in " ".join(
        exported.stderr.split()
    )


def test_run_for_one_job_leaves_the_others(cli: Cli, cloud: Cloud) -> None:
    cloud.schedule("bad")

    assert cli("run", "--only", "hello").code == 0
    assert {one["task"] for one in cloud.schedules.values()} == {"bad", "hello"}


@pytest.mark.slow
def test_what_a_broken_package_registered_stays(
    cli: Cli, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.schedule("gone-job")
    about = tmp_path / "installed" / "acme-1.dist-info"
    about.mkdir(parents=True)
    (about / "entry_points.txt").write_text("[jobctl.jobs]\nx = nothing_of_the_kind\n")

    monkeypatch.syspath_prepend(about.parent)

    done = cli("run")

    assert done.code == 0
    assert "warning: acme 1 is broken, so its jobs are left out" in done.stderr
    assert "gone-job" in {one["task"] for one in cloud.schedules.values()}


def test_what_is_refused_is_reported_and_the_others_are_registered(cli: Cli, cloud: Cloud) -> None:
    done = cli("run", DATABASE_URL="sqlite:///site.db")

    assert done.code == 0
    assert (
        "warning: analytics-performance-metrics is not scheduled: every 30s cannot be a cron schedule"
        in done.stderr
    )
    assert "use 1m" in done.stderr


def test_a_worker_that_is_not_deployed_fails_it(cli: Cli, cloud: Cloud) -> None:
    cloud.tasks.clear()

    done = cli("run")

    assert done.code == 5
    assert 'error: Trigger.dev knows no scheduled task "' in done.stderr
    assert "jobctl export trigger-dev" in done.stderr


@pytest.mark.slow
def test_trigger_follows_the_run_and_exits_by_it(cli: Cli, cloud: Cloud) -> None:
    cloud.path, cloud.output = ("QUEUED", "COMPLETED"), SAID
    good = cli("trigger", "hello")
    document = cli("trigger", "hello", "--json").json
    cloud.path, cloud.output, cloud.error = ("FAILED",), None, "the disk is full"
    bad = cli("trigger", "bad")

    assert (good.code, bad.code) == (0, 1)
    assert "hello: waits in the queue" in good.stderr
    assert "hello: completed in" in good.stderr
    assert (document["status"], document["result"]) == ("completed", {"greeted": 1})
    assert document["run_id"].startswith("run_")
    assert "bad: failed" in bad.stderr
    assert "the disk is full" in bad.stderr


def test_one_attempt_alone_is_asked_for_where_no_retry_is_wanted(cli: Cli, cloud: Cloud) -> None:
    cloud.path, cloud.output = ("COMPLETED",), SAID
    assert [cli("trigger", "hello", *more).code for more in (["--no-retry"], [])] == [0, 0]

    sent = [one.body["options"].get("maxAttempts") for one in cloud.asked if one.path.endswith("/trigger")]
    assert sent == [1, None]


def test_trigger_may_start_it_and_leave(cli: Cli, cloud: Cloud) -> None:
    started = cli("trigger", "hello", "--no-wait", "--json")

    assert started.code == 0
    assert (started.json["run_id"] in cloud.runs, started.json["status"]) == (True, "running")
    assert cli("trigger", "hello").code == 3
    assert cli("trigger", "hello", "--local").code == 0


@pytest.mark.slow
def test_rerun_replays_the_run_there(cli: Cli, cloud: Cloud) -> None:
    cloud.path, cloud.output = ("QUEUED", "COMPLETED"), SAID
    first = cloud.run("hello", "FAILED", payload={"arguments": {"name": "Ada"}})

    by_id = cli("rerun", first, "--json")
    left = cli("rerun", "hello", "--no-wait", "--json")
    failed = cli("rerun", "--failed", "--yes")

    assert (by_id.code, by_id.json["status"], by_id.json["result"]) == (0, "completed", {"greeted": 1})
    assert (left.code, left.json["status"]) == (0, "running")
    assert [run["payload"] for run in cloud.runs.values()] == [{"arguments": {"name": "Ada"}}] * 3
    assert (failed.code, "run each again by its id" in failed.stderr) == (2, True)
    assert cli("rerun", "run_none").code == 2


def test_a_skipped_run_is_not_done(cli: Cli, cloud: Cloud) -> None:
    cloud.path = ("COMPLETED",)
    cloud.output = {"job_id": "hello", "status": "skipped", "reason": "overlap", "error": "it runs already"}

    done = cli("trigger", "hello")

    assert done.code == 3
    assert "hello: skipped (overlap)" in done.stderr


def test_ctrl_c_ends_the_waiting_and_not_the_run(site: Site) -> None:
    site.jobs('[jobs.hello]\nevery = "1h"\ncall = "work:hello"\n')
    with trigger_dev("hello") as cloud:
        cloud.path = ("EXECUTING",)
        waiting = site.popen("trigger", "hello", env=in_charge(cloud.url, KEY))
        assert cloud.looked.wait(30)
        waiting.send_signal(signal.SIGINT)
        done, _ = waiting.communicate(timeout=30)

        assert waiting.returncode == 130
        assert "continues at Trigger.dev" in done
        assert [one["status"] for one in cloud.runs.values()] == ["EXECUTING"]
        assert not [one for one in cloud.asked if one.path.endswith("/cancel")]


@pytest.mark.slow
def test_status_runs_and_metrics_show_what_the_engine_knows(cli: Cli, cloud: Cloud) -> None:
    cloud.schedule("repository-sync", "*/5 * * * *")
    run_id = cloud.run("repository-sync", "FAILED", error="the token is wrong", took=3)

    status, runs, metrics = cli("status", "--json"), cli("runs", "--json"), cli("metrics", "--json")

    shown = {one["id"]: one for one in status.json["jobs"]}["repository-sync"]
    assert (shown["status"], shown["error"], shown["run_id"]) == ("failed", "the token is wrong", run_id)
    assert status.json["trigger_dev"] == {"answers": True, "error": None}
    assert [(one["run_id"], one["duration_ms"]) for one in runs.json["runs"]] == [(run_id, 3000)]
    assert metrics.json["failed_jobs"] == 1
    assert "scheduled by Trigger.dev; this is what it has" in cli("status").stderr
    detail = cli("status", "repository-sync", "--json").json
    assert [one["run_id"] for one in detail["runs"]] == [run_id]


def test_where_it_does_not_answer_that_is_said(cli: Cli, cloud: Cloud) -> None:
    fault = Fault(status=503, headers={"x-should-retry": "false"})
    for words in ("status", "runs", "metrics"):
        cloud.faults = [fault]
        done = cli(words)
        assert done.code == 5, words
        assert "error: Trigger.dev (127.0.0.1:" in done.stderr
        assert "has a fault: it answered 503" in done.stderr
    cloud.faults = [fault]
    document = cli("status", "--json").json
    assert document["trigger_dev"]["answers"] is False
    hello = {one["id"]: one for one in document["jobs"]}["hello"]
    assert hello["next_run"] is not None  # as the schedule has it


@pytest.mark.slow
def test_stop_and_start_act_there(cli: Cli, cloud: Cloud) -> None:
    cloud.schedule("repository-sync", "*/5 * * * *")

    stopped = cli("stop", "repository-sync", "--json")
    (kept,) = cloud.schedules.values()
    assert (stopped.json["jobs"][0]["status"], kept["active"]) == ("stopped", False)
    assert cli("start", "repository-sync").code == 0
    assert kept["active"]
    assert cli("stop", "--all", "--yes").code == 0
    assert not kept["active"]
    assert cli("start", "--all", "--yes").code == 0
    assert kept["active"]
    assert "has no schedule at Trigger.dev" in cli("stop", "hello").stderr


@pytest.mark.parametrize("words", [["run"], ["trigger", "hello"], ["status"], ["check", "trigger-dev"]])
@pytest.mark.parametrize(
    ("key", "said", "code"),
    [("tr_pat_secretsecret", "a personal access token", 2), ("tr_prod_wrongwrong", "refuses the key", 5)],
)
def test_a_wrong_key_is_one_sentence(
    key: str, said: str, code: int, words: list[str], cli: Cli, cloud: Cloud
) -> None:
    done = cli(*words, TRIGGER_DEV_API_KEY=key)

    assert done.code == code
    assert said in done.stderr + done.stdout
    assert code == 5 or "does not answer" not in done.stderr
    assert key not in done.stderr + done.stdout


def test_check_tries_it(cli: Cli, cloud: Cloud) -> None:
    cloud.schedule("repository-sync")

    assert cli("check", "trigger-dev").stdout.split("\t")[1:3] == [
        "ok",
        f"{cloud.url.removeprefix('http://')}, environment production, 1 schedule",
    ]


def test_the_client_is_loaded_on_first_use(site: Site) -> None:
    site.jobs("")
    code = (
        "import sys\n"
        "from jobctl import get_job_manager\n"
        "manager = get_job_manager()\n"
        "print(type(manager).__name__, manager.get_job_status('x'), 'jobctl.http' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=site.folder,
        env={**site.environment, **in_charge("http://127.0.0.1:1", KEY)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert done.split() == ["TriggerDevJobManager", "None", "False"]
