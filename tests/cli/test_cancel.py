"""``cancel``: a run ends, in whatever process it executes, and is recorded with who asked and why."""

import getpass
import re
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from jobctl import get_job_manager
from tests.support.project import Site, marked, until
from tests.support.terminal import Cli, Past

JOBS = """
[jobs.slow]
every = "1d"
call = "work:slow"
grace = "20s"

[jobs.program]
every = "1d"
command = ["sh", "-c", "echo $$ > pid; sleep 600 & wait"]

[jobs.stubborn]
every = "1d"
call = "work:stubborn"
grace = "300ms"

[jobs.looking]
call = "work:looking"

[jobs.failing]
call = "work:failing"
retries = 3
retry_delay = "10m"
"""
CODE = """
import signal, time
from pathlib import Path
from jobctl import current_run

def slow():
    time.sleep(600)

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path("ignores").touch()
    while True: time.sleep(600)

def looking():
    Path("looks").touch()
    while not current_run().cancelled: time.sleep(0.02)
    print("cleaned up")
    return {"cleaned": True}

def failing():
    raise ValueError("broken")
"""
ME = f"{getpass.getuser()}@{socket.gethostname()}"


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(JOBS, CODE)
    return site


def running(site: Site, job: str) -> dict[str, Any]:
    """The run of a job that goes on, with the pid of its worker."""
    until(lambda: any(run["status"] == "running" and run["pid"] for run in site.runs(job)))
    return site.runs(job)[0]


@pytest.mark.slow
def test_runs_of_a_scheduler_end_and_the_scheduler_goes_on(site_on_either_store: Site) -> None:
    site = site_on_either_store
    site.jobs(JOBS, CODE)
    scheduler = site.run()
    slow, program = running(site, "slow"), running(site, "program")
    until((site.folder / "pid").read_text)
    until((site.folder / "ignores").exists)

    asked = site.call("cancel", "slow", "--reason", "wrong [red] arguments")
    by_id = site.json("cancel", program["run_id"][:8])
    forced = site.call("cancel", "stubborn", "--now")

    assert (asked.returncode, forced.returncode) == (0, 0), asked.stderr + forced.stderr
    assert f"slow: run {slow['run_id'][:8]} is asked to end" in asked.stderr
    assert f"slow: cancelled by {ME}: wrong [red] arguments, after " in asked.stderr
    assert (by_id["status"], by_id["reason"]) == ("cancelled", "cancelled")
    assert int((site.folder / "pid").read_text()) not in marked(site.mark)
    assert {run["error"] for run in site.runs("stubborn")} == {f"cancelled by {ME}"}
    assert scheduler.poll() is None
    assert all(run["attempt"] == 1 for run in site.runs())
    assert {job["status"] for job in site.json("status")["jobs"]} <= {"scheduled", "stopped"}
    assert site.json("metrics")["failed_jobs"] == 0


@pytest.mark.slow
def test_a_run_that_ignores_sigterm_is_killed_after_its_grace_time(site: Site) -> None:
    site.run()
    until((site.folder / "ignores").exists)

    assert site.call("cancel", "stubborn").returncode == 0

    (run,) = site.runs("stubborn")
    assert run["status"] == "cancelled"


@pytest.mark.slow
def test_a_run_by_hand_ends_in_its_own_way(site: Site) -> None:
    trigger = site.popen("trigger", "looking")
    until((site.folder / "looks").exists)

    cancelled = site.call("cancel", "looking")
    output, _ = trigger.communicate(timeout=60)

    assert cancelled.returncode == 0
    assert trigger.returncode == 1
    assert "cleaned up\ncancelled before it had finished\n" in output
    assert f"looking: cancelled by {ME}, after " in output
    (run,) = site.runs("looking")
    assert (run["status"], run["result"]) == ("cancelled", {"cleaned": True})


@pytest.mark.slow
def test_a_run_that_waits_for_its_next_attempt_ends_at_once(site: Site) -> None:
    trigger = site.popen("trigger", "failing")
    until(lambda: any(run["retry_at"] for run in site.runs("failing")))

    assert site.call("cancel", "failing").returncode == 0
    trigger.communicate(timeout=60)

    (run,) = site.runs("failing")
    assert (run["status"], run["attempt"]) == ("cancelled", 1)


@pytest.mark.slow
def test_over_http(site: Site) -> None:
    site.run()
    run = running(site, "slow")
    server = site.popen("serve", "--port", "0", env={"NODE_ENV": "development"})
    assert server.stdout is not None
    address = re.search(r"http://[^,]+", server.stdout.readline())
    assert address
    with httpx2.Client(base_url=address[0], trust_env=False, timeout=30) as client:
        refused = client.post(f"/api/runs/{run['run_id']}/cancel", json={"why": "too slow"})
        asked = client.post(f"/api/runs/{run['run_id']}/cancel", json={"reason": "too slow"})
        until(lambda: site.runs("slow")[0]["status"] == "cancelled")
        again = client.post(f"/api/runs/{run['run_id']}/cancel")
        unknown = client.post("/api/runs/0123456789abcdef/cancel")
        wrong = client.get(f"/api/runs/{run['run_id']}/cancel")

    assert (refused.status_code, refused.json()["error"]) == (
        400,
        'the body must be a JSON object: {"reason": "why"}',
    )
    assert (asked.status_code, asked.json()["job_id"]) == (202, "slow")
    assert site.runs("slow")[0]["error"] == "cancelled by HTTP from 127.0.0.1: too slow"
    assert (again.status_code, unknown.status_code, wrong.status_code) == (409, 404, 405)


def test_what_has_ended_cannot_be_cancelled(cli: Cli) -> None:
    cli("trigger", "hello")
    (run,) = cli("runs", "--json").json["runs"]

    by_job, by_run = cli("cancel", "hello"), cli("cancel", run["run_id"])
    as_json = cli("cancel", run["run_id"], "--json").json["error"]

    assert (by_job.code, by_run.code) == (3, 3)
    assert "error: hello is not running" in by_job.stderr
    assert f"error: run {run['run_id'][:8]} of hello has ended: completed after " in by_run.stderr
    assert f"hint:  run it again with: jobctl rerun {run['run_id'][:8]}" in by_run.stderr
    assert (as_json["code"], as_json["exit_code"]) == ("not_running", 3)


@pytest.mark.parametrize("name", ["nope", "0123456789abcdef"])
def test_what_is_not_known(cli: Cli, name: str) -> None:
    assert cli("cancel", name).code == 2


def test_a_run_of_another_machine_is_asked_and_not_waited_for(cli: Cli, past: Past) -> None:
    run_id = past.begin("hello")

    asked = cli("cancel", "hello", "--no-wait", "--json")

    assert (asked.code, asked.json["run_id"], asked.json["status"]) == (0, run_id, "running")
    (kept,) = past.store.cancellations(past.owner.id)
    assert (kept.run_id, kept.by, kept.now) == (run_id, ME, False)


def test_an_application_cancels_its_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "work.py").write_text(CODE)
    with get_job_manager() as manager:
        manager.schedule_job("slow", "Slow", "work:slow", 3600)
        until(lambda: any(run.pid for run in manager.runs("slow")))
        (run,) = manager.runs("slow")
        assert manager.cancel_run(run.id, "not now")
        ended = manager.wait(run.id, timeout=30)
        assert not manager.cancel_run(run.id)
    assert (ended.status, ended.error) == ("cancelled", f"cancelled by {ME}: not now")
    assert ended.finished_at is not None
    assert ended.finished_at <= datetime.now(UTC)
