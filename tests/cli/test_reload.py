"""An edited ``jobctl.toml`` under a running scheduler."""

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.project import Site, marked, send, until

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


def test_a_broken_edit_is_reported_and_the_last_good_version_stays(site: Site) -> None:
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


SLOW_MODULE = "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(40)\n"


def test_a_stop_does_not_wait_for_an_edit(site: Site) -> None:
    site.jobs(TICK, CODE)
    scheduler = site.run("--json")
    site.write("slow_module.py", SLOW_MODULE)
    site.write("jobctl.toml", 'modules = ["slow_module"]\n' + (site.folder / "jobctl.toml").read_text())
    until((site.folder / "importing").exists)
    began = len(site.runs_kept("tick"))
    until(lambda: len(site.runs_kept("tick")) > began)  # jobs go on meanwhile

    scheduler.terminate()

    assert scheduler.wait(10) == 0
    assert not events(site, scheduler, "jobs_changed")
    send(marked(site.mark), signal.SIGKILL)  # what imports the module ends by itself, in 90 s at most


def test_an_edit_that_meets_a_busy_store_is_taken_up_later(site: Site) -> None:
    site.jobs(TICK, CODE)
    scheduler = site.run("--json")
    until(lambda: site.runs("tick"))

    with closing(sqlite3.connect(site.folder / ".jobctl" / "jobctl.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        site.jobs(TICK + TICK.replace("jobs.tick", "jobs.more"), CODE)
        until(lambda: events(site, scheduler, "store_trouble"))
        other.execute("ROLLBACK")
    (changed,) = until(lambda: events(site, scheduler, "jobs_changed"))
    until(lambda: site.runs("more"))
    scheduler.terminate()
    assert scheduler.wait() == 0

    assert changed["message"] == "the project file was edited: more new"
    assert not events(site, scheduler, "jobs_refused")


def test_an_edit_during_the_start_is_taken_up(site: Site) -> None:
    site.write("slow_start.py", SLOW_MODULE.replace("40", "2"))
    site.jobs(TICK, CODE)
    modules = 'modules = ["slow_start"]\n'
    site.write("jobctl.toml", modules + (site.folder / "jobctl.toml").read_text())
    process = site.popen("run", "--json", stdout=subprocess.DEVNULL)
    until((site.folder / "importing").exists)

    site.jobs(TICK + TICK.replace("jobs.tick", "jobs.more"), CODE)
    until(lambda: site.runs_kept("more"))
    process.terminate()
    assert process.wait() == 0


def test_an_edit_that_changes_no_job_is_reported_too(site: Site) -> None:
    site.jobs(TICK, CODE)
    scheduler = site.run("--json")
    text = (site.folder / "jobctl.toml").read_text()

    site.write("jobctl.toml", 'notify = { command = ["true"] }\n' + text)
    (changed,) = until(lambda: events(site, scheduler, "jobs_changed"))
    scheduler.terminate()
    assert scheduler.wait() == 0

    assert changed["message"] == "the project file was edited: no job has changed"


def test_what_was_edited_along_with_it_is_run(site: Site) -> None:
    site.jobs(TICK, CODE)
    scheduler = site.run()
    until(lambda: [run for run in site.runs("tick") if run["status"] == "completed"])

    site.write("work.py", CODE + "\ndef fresh():\n    print('fresh code')\n")
    site.jobs(TICK + TICK.replace("jobs.tick", "jobs.fresh").replace("work:tick", "work:fresh"))
    until(lambda: [run for run in site.runs("fresh") if run["status"] == "completed"])
    scheduler.terminate()
    assert scheduler.wait() == 0

    assert {run["status"] for run in site.runs("fresh")} == {"completed"}


def test_an_edited_calendar_is_taken_up(site: Site) -> None:
    """Also one in a file of its own, and a broken edit of it is reported."""
    today = datetime.now(UTC).date()
    tomorrow, far = today + timedelta(days=1), "2199-01-01"
    holidays = 'exclude = ["@holidays"]\n[calendars.holidays]\nfile = "holidays.ics"\n'

    def write(*dates: str) -> None:
        events = "".join(
            f"BEGIN:VEVENT\nUID:{each}\nDTSTART;VALUE=DATE:{each.replace('-', '')}\nEND:VEVENT\n"
            for each in dates
        )
        site.write("holidays.ics", f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{events}END:VCALENDAR\n")

    write(far)
    site.jobs(TICK + holidays, CODE)
    scheduler = site.run("--json")
    until(lambda: site.runs("tick"))
    write(str(today), str(tomorrow))
    (changed,) = until(lambda: events(site, scheduler, "jobs_changed"))
    (skipped,) = until(lambda: [run for run in site.runs("tick") if run["status"] == "skipped"])
    ran = len(site.runs("tick"))
    (site.folder / "holidays.ics").unlink()
    (refused,) = until(lambda: events(site, scheduler, "jobs_refused"))
    site.jobs(TICK + holidays + "# edited, and still without the file\n", CODE)
    until(lambda: len(events(site, scheduler, "jobs_refused")) == 2)
    write(far)
    until(lambda: len(events(site, scheduler, "jobs_changed")) == 2)
    until(lambda: len(site.runs("tick")) > ran + 1)
    scheduler.terminate()

    assert scheduler.wait() == 0
    assert changed["message"] == "the project file was edited: tick changed"
    assert (skipped["reason"], skipped["error"]) == ("excluded", f"{today} is excluded")
    assert "holidays.ics" in refused["message"]
    assert events(site, scheduler, "slots_missed") == []
