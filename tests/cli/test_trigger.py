"""``trigger``: one job now, its output, its result, its exit code."""

import os
import signal
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.project import Site, marked, until
from tests.support.terminal import Cli, Past


@pytest.fixture
def gated(site: Site) -> Site:
    site.jobs('[jobs.gated]\nevery = "1d"\ncall = "gated:wait"\n')
    return site


def test_a_job_that_completes(cli: Cli) -> None:
    done = cli("trigger", "hello")
    run = cli("runs", "hello", "--json").json["runs"][0]

    assert done.code == 0
    assert done.stdout == "hello [red] \\x1b[31m\n"
    assert done.stderr.splitlines()[0] == f"hello: started, run {run['run_id'][:8]}"
    assert done.stderr.splitlines()[1].startswith("hello: completed in ")
    assert run["trigger"] == "manual"


def test_a_job_that_fails(cli: Cli) -> None:
    failed = cli("trigger", "bad", "--quiet")

    assert failed.code == 1
    assert failed.stderr.startswith("bad: failed after ")
    assert failed.stderr.endswith("ValueError: no [/] way\n")
    assert "Traceback" in failed.stdout


def test_the_document(cli: Cli) -> None:
    good, bad = cli("trigger", "hello", "--json"), cli("trigger", "bad", "--json", "--quiet")

    assert set(good.json) == {
        "run_id", "job_id", "status", "reason", "started_at", "finished_at", "duration_ms", "error", "result",
        "retry",
    }  # fmt: skip
    assert {
        "job_id": "hello",
        "status": "completed",
        "reason": None,
        "error": None,
    }.items() <= good.json.items()
    assert good.json["result"] == {"greeted": 1}
    assert "hello [red]" in good.stderr
    assert datetime.fromisoformat(good.json["started_at"]).tzinfo is not None
    assert bad.code == 1
    assert {
        "status": "failed",
        "reason": "error",
        "error": "ValueError: no [/] way",
    }.items() <= bad.json.items()


def test_a_running_job_is_not_started_again(cli: Cli, past: Past) -> None:
    run = past.begin("hello")

    refused = cli("trigger", "hello")
    as_json = cli("trigger", "hello", "--json")

    assert refused.code == as_json.code == 3
    assert "error: hello is already running for " in refused.stderr
    assert f", started manually (run {run[:8]}" in refused.stderr
    assert f"pid {os.getpid()}" in refused.stderr or past.owner.host in refused.stderr
    assert "hint:  follow it with: jobctl logs hello --follow" in refused.stderr
    assert as_json.json["error"]["code"] == "already_running"
    assert len(past.store.runs("hello")) == 1


def test_an_end_that_cannot_be_recorded_is_tried_for_a_limited_time(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobctl.scheduler.single_run.RECORD_S", 0.2)
    (here / "work.py").write_text("import os\ndef hello():\n    os.rename('.jobctl', 'away')\n")

    done = cli("trigger", "hello")

    assert done.code == 70
    assert "the run has ended, and its end cannot be recorded yet" in done.stderr
    assert "was moved while it was in use" in done.stderr
    assert "error: the end of 1 run could not be written to" in done.stderr


def test_other_modes(cli: Cli) -> None:
    refused = cli("trigger", "hello", DISABLE_AUTO_SYNC="1")
    forced = cli("trigger", "hello", "--force", DISABLE_AUTO_SYNC="1")
    distributed = {
        "NODE_ENV": "production",
        "TRIGGER_DEV_ENABLED": "true",
        "TRIGGER_DEV_API_KEY": "tr_pat_x",
    }

    assert (refused.code, forced.code) == (4, 0)
    assert "hello was not run: scheduling is disabled (DISABLE_AUTO_SYNC)" in refused.stderr
    assert cli("trigger", "hello", VERCEL="1", JOBCTL_STATE=".jobctl").code == 0
    assert cli("trigger", "hello", **distributed).code == 2  # such a key is a wrong setting: nothing is asked
    assert cli("trigger", "hello", "--local", **distributed).code == 0


@pytest.mark.slow
def test_a_timeout_for_this_run_alone(gated: Site) -> None:
    done = gated.call("trigger", "gated", "--timeout", "1s")

    assert done.returncode == 1
    assert gated.runs()[0]["reason"] == "timeout"
    gated.nothing_left()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_and_all_of_it(number: int, code: int, gated: Site) -> None:
    process = gated.popen("trigger", "gated")
    until(lambda: "begun" in gated.call("logs", "gated").stdout)

    process.send_signal(number)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == code
    assert "gated: failed after" in output
    assert [(one["status"], one["reason"]) for one in gated.runs()] == [("failed", "interrupted")]
    gated.nothing_left()


@pytest.mark.slow
def test_no_wait_returns_once_the_run_is_recorded(gated: Site) -> None:
    started = gated.json("trigger", "gated", "--no-wait")
    again = gated.call("trigger", "gated", "--no-wait")
    again_as_json = gated.call("trigger", "gated", "--no-wait", "--json")

    assert started["status"] == "running"
    assert again.returncode == again_as_json.returncode == 3
    assert "gated is already running" in again.stderr
    assert '"code": "already_running"' in again_as_json.stdout
    gated.write("gate", "")
    until(lambda: [one["status"] for one in gated.runs()] == ["completed"])
    assert gated.runs()[0]["run_id"] == started["run_id"]
    gated.nothing_left()


def test_no_wait_outlives_the_terminal_that_asked(gated: Site) -> None:
    assert gated.call("trigger", "gated", "--no-wait", start_new_session=True).returncode == 0

    def triggers() -> list[int]:
        """A worker that is being started looks like its parent for a moment."""
        found = [pid for pid in marked(gated.mark) if "trigger" in Path(f"/proc/{pid}/cmdline").read_text()]
        return found if len(found) == 1 else []

    (background,) = until(triggers)
    assert os.getsid(background) == background
    assert str(Path(f"/proc/{background}/fd/1").readlink()) == os.devnull
    gated.write("gate", "")
    gated.nothing_left()


@pytest.mark.slow
def test_a_reader_that_goes_away_does_not_end_the_job(gated: Site) -> None:
    reader, writer = os.pipe()
    gated.popen("trigger", "gated", stdout=writer)
    os.close(writer)
    until(lambda: "begun" in gated.call("logs", "gated").stdout)

    os.close(reader)
    gated.write("gate", "")

    until(lambda: [one["status"] for one in gated.runs()] == ["completed"])
    assert "let through" in gated.call("logs", "gated").stdout


def test_following_a_log_ends_with_the_run(gated: Site) -> None:
    gated.call("trigger", "gated", "--no-wait")
    until(lambda: "begun" in gated.call("logs", "gated").stdout)
    reader = gated.popen("logs", "gated", "--follow")
    assert reader.stdout is not None
    assert reader.stdout.readline() == "begun\n"

    gated.write("gate", "")
    output, _ = reader.communicate(timeout=60)

    assert reader.returncode == 0
    assert output.splitlines()[0] == "let through"
    assert output.splitlines()[-1].startswith("gated: completed in ")
    gated.nothing_left()


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        (None, ["ModuleNotFoundError: No module named 'own'"]),
        ("import other\n", ["    import other", "ModuleNotFoundError: No module named 'other'"]),
        ("async def f():\n    raise ValueError('x')\n", ["    raise ValueError('x')", "ValueError: x"]),
    ],
)
def test_a_traceback_has_only_frames_of_the_job(
    code: str | None, lines: list[str], cli: Cli, here: Path
) -> None:
    if code is not None:
        (here / "own.py").write_text(code)
    (here / "jobctl.toml").write_text('[jobs.own]\nevery = "1d"\ncall = "own:f"\n')

    printed = cli("trigger", "own").stdout.splitlines()

    assert [line for line in printed if not line.startswith(("  File ", "Traceback"))] == lines
    assert [line for line in printed if line.startswith("  File ") and "own.py" not in line] == []
