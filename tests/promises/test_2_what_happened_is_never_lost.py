"""Promise 2: kill anything at any moment: the next command shows the truth, and the job is free again."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.project import Site, marked, until

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture
def site(site_on_either_store: Site) -> Site:
    return site_on_either_store


SLEEPER = """
import subprocess, time
def slow():
    print("begun", flush=True)
    subprocess.Popen(["sleep", "300"], start_new_session=True)
    time.sleep(300)
"""


def running(site: Site) -> dict[str, object]:
    found: dict[str, object] = site.json("status", "slow")["jobs"][0]
    return found if found["status"] == "running" else {}


def test_the_scheduler_is_killed_while_a_job_runs(site: Site) -> None:
    site.jobs('[jobs.slow]\nevery = "1h"\ncatch_up = true\ncall = "work:slow"\n', SLEEPER)
    scheduler = site.run()
    until(lambda: running(site))
    until(lambda: "begun" in site.call("logs", "slow").stdout)

    scheduler.send_signal(signal.SIGKILL)
    scheduler.wait()

    status = site.json("status")
    (slow,) = [job for job in status["jobs"] if job["id"] == "slow"]
    assert (status["scheduler"]["running"], status["scheduler"]["ended"]) == (False, None)
    assert "was killed" in site.call("status").stderr
    assert slow["status"] == "failed"
    (run,) = site.runs("slow")
    assert (run["status"], run["reason"]) == ("failed", "lost")
    assert "begun" in site.call("logs", "slow").stdout
    site.nothing_left()
    assert site.call("trigger", "slow", "--timeout", "1s").returncode == 1
    assert len(site.runs("slow")) == 2


def test_a_worker_is_killed_mid_run(site: Site) -> None:
    site.jobs('[jobs.slow]\nevery = "1h"\ncall = "work:slow"\n', SLEEPER)
    scheduler = site.run()
    until(lambda: running(site))
    run = until(lambda: [run for run in site.runs("slow") if run["pid"]])[0]

    os.kill(run["pid"], signal.SIGKILL)

    ended = until(lambda: [run for run in site.runs("slow") if run["status"] == "failed"])[0]
    assert ended["reason"] == "crashed"
    assert "SIGKILL" in ended["error"]
    until(lambda: not [pid for pid in marked(site.mark) if b"sleep" in cmdline(pid)])
    assert scheduler.poll() is None
    scheduler.terminate()
    assert scheduler.wait() == 0


def test_a_trigger_is_killed_mid_run(site: Site) -> None:
    site.jobs('[jobs.slow]\ncall = "work:slow"\n', SLEEPER)
    trigger = site.popen("trigger", "slow")
    until(lambda: running(site))

    trigger.send_signal(signal.SIGKILL)
    trigger.wait()

    assert site.runs("slow")[0]["reason"] == "lost"
    site.nothing_left()


def test_restarted_after_a_kill_it_keeps_its_cadence(site: Site) -> None:
    site.jobs('[jobs.tick]\nevery = "2s"\ncall = "work:tick"\n', "def tick():\n    pass\n")
    first = site.run()
    until(lambda: len(site.runs("tick")) >= 2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = len(site.runs("tick"))

    second = site.run()
    until(lambda: len(site.runs("tick")) >= before + 2)
    second.terminate()
    assert second.wait() == 0

    slots = {run["scheduled_for"][17:] for run in site.runs("tick")}
    fractions = {slot[3:] if "." in slot else "0" for slot in slots}
    assert len(fractions) == 1, slots


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
