"""The file of metrics that a scheduler keeps fresh."""

import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.project import Site, until

JOBS = """
[jobs.quick]
every = "1d"
call = "work:quick"
[jobs.gated]
every = "1d"
call = "work:gated"
"""
CODE = """
import time
from pathlib import Path

def quick():
    pass

def gated():
    while not Path("go").exists():
        time.sleep(0.02)
"""


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(JOBS, CODE)
    (site.folder / "collected").mkdir()
    site.write(".env", "JOBCTL_METRICS_FILE=collected/jobctl.prom\n")
    return site


def samples(site: Site) -> dict[tuple[str, str], float]:
    file = site.folder / "collected" / "jobctl.prom"
    text = file.read_text() if file.exists() else ""
    found: Any = text_string_to_metric_families(text)
    return {(one.name, one.labels.get("job", "")): one.value for family in found for one in family.samples}


@pytest.mark.slow
def test_it_is_written_while_the_scheduler_runs_and_at_its_end(site: Site) -> None:
    process = site.run()
    began = until(lambda: samples(site))
    assert ("jobctl_job_running", "gated") in began

    (site.folder / "go").touch()
    until(lambda: site.json("status", "gated")["jobs"][0]["status"] == "completed")
    process.terminate()
    assert process.wait(30) == 0

    ended = samples(site)
    assert ended["jobctl_runs_completed_total", "quick"] == 1
    assert ended["jobctl_runs_completed_total", "gated"] == 1
    assert ended["jobctl_job_running", "gated"] == 0
    assert (site.folder / "collected" / "jobctl.prom").stat().st_mode & 0o777 == 0o644


@pytest.mark.slow
def test_it_is_kept_fresh(site: Site) -> None:
    process = site.run("--only", "quick")
    until(lambda: ("jobctl_job_running", "quick") in samples(site))
    file = site.folder / "collected" / "jobctl.prom"
    file.unlink()

    until(file.exists, 40)
    process.terminate()
    process.wait(30)
    assert samples(site)["jobctl_runs_completed_total", "quick"] == 1


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_reported_once_and_does_no_harm(site: Site) -> None:
    (site.folder / "collected").rmdir()

    process = site.run("--only", "quick", "--log-format", "json")
    until(lambda: site.json("status", "quick")["jobs"][0]["status"] == "completed")
    process.terminate()
    assert process.wait(30) == 0

    told = [json.loads(line) for line in site.log(process).splitlines() if line.startswith("{")]
    (one,) = [each for each in told if each["event"] == "metrics_not_written"]
    assert one["level"] == "warning"
    assert one["message"].endswith("collected/jobctl.prom cannot be written: no such file or directory")


def test_a_name_that_the_collector_does_not_read_is_reported_before_anything_starts(site: Site) -> None:
    done = site.call("run", env={"JOBCTL_METRICS_FILE": "jobctl.txt"})

    assert done.returncode == 2
    assert 'JOBCTL_METRICS_FILE is "jobctl.txt", expected a file whose name ends in .prom' in done.stderr


def test_only_a_scheduler_writes_it(site: Site) -> None:
    site.call("trigger", "quick")

    assert samples(site) == {}
