"""``trigger --no-wait`` inside a job: the run that it starts outlives the job, and nothing else does."""

import sys

import pytest

from tests.support.project import Site, until

CODE = f"""
import os
import subprocess
import sys
import time

TRIGGER = [{sys.executable!r}, "-m", "jobctl", "trigger", "gated", "--no-wait"]

def starts():
    subprocess.run(TRIGGER, check=True)

def starts_and_hangs():
    starts()
    open("started", "w").close()
    time.sleep(300)

def starts_and_dies():
    starts()
    os._exit(3)

def leaves():
    subprocess.Popen(["sleep", "300"], env={{**os.environ, "_JOBCTL_DETACHED": "1"}}, start_new_session=True)
"""
JOBS = f"""
[jobs.gated]
every = "1d"
call = "gated:wait"
[jobs.function]
every = "1d"
call = "work:starts"
[jobs.hangs]
every = "1d"
call = "work:starts_and_hangs"
timeout = "3s"
[jobs.dies]
every = "1d"
call = "work:starts_and_dies"
[jobs.leaves]
every = "1d"
call = "work:leaves"
[jobs.program]
every = "1d"
command = ["{sys.executable}", "-m", "jobctl", "trigger", "gated", "--no-wait"]
"""


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(JOBS, CODE)
    return site


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "reason"), [("function", None), ("program", None), ("dies", "crashed"), ("hangs", "timeout")]
)
def test_it_outlives_the_job(job: str, reason: str | None, site: Site) -> None:
    done = site.call("trigger", job)

    assert done.returncode == (0 if reason is None else 1)
    assert "left behind" not in done.stdout
    assert [one["reason"] for one in site.runs(job)] == [reason]
    assert [one["status"] for one in site.runs("gated")] == ["running"]
    site.write("gate", "")
    until(lambda: [one["status"] for one in site.runs("gated")] == ["completed"])
    assert "let through" in site.call("logs", "gated").stdout
    site.nothing_left()


@pytest.mark.slow
def test_it_outlives_the_scheduler_and_costs_its_worker_nothing(site: Site) -> None:
    scheduler = site.run("--only", "function", "--workers", "1")
    until(lambda: [one["status"] for one in site.runs("function")] == ["completed"])

    scheduler.terminate()

    assert scheduler.wait(60) == 0
    assert [one["status"] for one in site.runs("gated")] == ["running"]
    site.write("gate", "")
    until(lambda: [one["status"] for one in site.runs("gated")] == ["completed"])
    site.nothing_left()


def test_what_only_carries_the_mark_is_ended(site: Site) -> None:
    done = site.call("trigger", "leaves")

    assert done.returncode == 0
    assert "ended 1 process that the job left behind" in done.stdout
    site.nothing_left()


@pytest.mark.slow
def test_what_a_detached_run_leaves_behind_is_ended(site: Site) -> None:
    site.jobs(JOBS.replace('call = "gated:wait"', 'call = "work:leaves"'), CODE)

    assert site.call("trigger", "function").returncode == 0

    until(lambda: [one["status"] for one in site.runs("gated")] == ["completed"])
    site.nothing_left()
