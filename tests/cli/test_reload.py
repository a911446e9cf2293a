"""An edited ``jobctl.toml`` under a running scheduler."""

import json
from typing import Any

import pytest

from tests.support.project import Site, until

pytestmark = pytest.mark.slow

CODE = """
import time
from pathlib import Path
def tick():
    pass
def slow():
    Path("began").touch()
    time.sleep(3)
"""
TICK = '[jobs.tick]\nevery = "1s"\ncall = "work:tick"\n'
SLOW = '[jobs.slow]\nevery = "1h"\ncall = "work:slow"\n'


def events(site: Site, process: Any, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in site.log(process).splitlines() if line.startswith("{")]
    return [one for one in lines if one["event"] == name]


def test_it_is_taken_up_without_losing_a_slot_or_cutting_a_run(site: Site) -> None:
    site.jobs(TICK + SLOW, CODE)
    scheduler = site.run("--json")
    until((site.folder / "began").exists)

    site.jobs(TICK + '[jobs.more]\nevery = "1s"\ncall = "work:tick"\nname = "More"\n')
    (changed,) = until(lambda: events(site, scheduler, "jobs_changed"))
    until(lambda: len(site.runs("more")) >= 2)
    (slow,) = until(lambda: [run for run in site.runs("slow") if run["status"] != "running"])
    site.jobs(TICK.replace('"1s"', '"2s"'))
    until(lambda: len(events(site, scheduler, "jobs_changed")) == 2)
    scheduler.terminate()
    assert scheduler.wait() == 0

    assert changed["message"] == "the project file was edited: more new; slow gone"
    assert slow["status"] == "completed"
    slots = sorted(run["scheduled_for"] for run in site.runs("tick"))
    assert len(set(slots)) == len(slots)
    assert site.json("metrics", "tick")["skipped"] == 0


def test_a_broken_edit_is_told_and_the_last_good_one_stays(site: Site) -> None:
    site.jobs(TICK, CODE)
    scheduler = site.run("--json")

    site.jobs(TICK.replace('"1s"', '"soon"'))
    (refused,) = until(lambda: events(site, scheduler, "jobs_refused"))
    before = len(site.runs_kept("tick"))
    until(lambda: len(site.runs_kept("tick")) > before)
    (site.folder / "jobctl.toml").unlink()
    until(lambda: len(events(site, scheduler, "jobs_refused")) == 2)
    site.jobs(TICK + '[jobs.more]\ncall = "work:tick"\n')
    until(lambda: events(site, scheduler, "jobs_changed"))
    scheduler.terminate()
    assert scheduler.wait() == 0

    assert refused["level"] == "error"
    assert 'jobctl.toml:6: [jobs.tick].every: "soon" is not a duration' in refused["message"]
    assert "the jobs go on as before" in refused["message"]


def test_stop_and_start_act_at_once(site: Site) -> None:
    site.jobs(TICK + TICK.replace("jobs.tick", "jobs.other"), CODE)
    scheduler = site.run()
    until(lambda: len(site.runs("tick")) >= 2)

    assert site.call("stop", "tick").returncode == 0
    until(lambda: not [run for run in site.runs("tick") if run["status"] == "running"])
    count, others = len(site.runs("tick")), len(site.runs("other"))
    until(lambda: len(site.runs("other")) >= others + 3)
    assert len(site.runs("tick")) == count
    assert site.call("start", "tick").returncode == 0
    until(lambda: len(site.runs("tick")) > count)
    scheduler.terminate()
    scheduler.wait()
