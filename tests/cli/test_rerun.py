"""``rerun``: a run again, with the same arguments and slot, linked to the first."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.project import Site, until
from tests.support.terminal import Cli, Past

PROJECT = """
[jobs.copy]
call = "work:copy"

[jobs.since]
call = "work:since"

[jobs.fails]
every = "1d"
call = "work:fails"

[jobs.secretive]
call = "work:secretive"
"""
CODE = """
from pathlib import Path
from jobctl import current_run

def copy(name: str, times: int = 1):
    print(f"copied {name} {times}", current_run().slot)

def since():
    print(current_run().slot, "after", current_run().previous_slot)

def fails():
    if not Path("mended").exists():
        raise ValueError("broken")

def secretive(password: str): pass
"""


@pytest.fixture
def project(here: Path, cli: Cli) -> Cli:
    (here / "jobctl.toml").write_text(PROJECT)
    (here / "work.py").write_text(CODE)
    return cli


def test_a_run_is_repeated_with_its_arguments(project: Cli) -> None:
    project("trigger", "copy", "name=a.png", "times=3")
    (first,) = project("runs", "--json").json["runs"]

    by_id = project("rerun", first["run_id"][:10])
    by_job = project("rerun", "copy", "--json")

    assert (by_id.code, by_id.stdout) == (0, "copied a.png 3 None\n")
    assert f"copy: again as in run {first['run_id'][:8]}" in by_id.stderr
    newest, second, _ = project("runs", "--json").json["runs"]
    assert by_job.json["run_id"] == newest["run_id"]
    assert [run["arguments"] for run in (newest, second)] == [first["arguments"]] * 2
    assert (newest["rerun_of"], second["rerun_of"]) == (second["run_id"], first["run_id"])


def test_a_scheduled_run_is_repeated_with_its_slot(project: Cli, past: Past) -> None:
    slot = past.now.replace(microsecond=0) - timedelta(days=1)
    run_id = past.begin("copy", slot=slot, arguments={"name": "b"})
    past.end(run_id, error="broken")

    again = project("rerun", run_id)

    assert f"copied b 1 {slot}" in again.stdout
    newest, first = project("runs", "--json").json["runs"]
    assert (newest["scheduled_for"], newest["trigger"]) == (None, "manual")  # no second claim of the slot
    assert first["scheduled_for"] is not None


def test_it_has_the_slot_before_that_slot(project: Cli, past: Past) -> None:
    slot = past.now.replace(microsecond=0) - timedelta(days=1)
    before = slot - timedelta(days=1)
    past.end(past.begin("since", slot=before))
    run_id = past.begin("since", slot=slot)
    past.end(run_id, error="broken")

    assert f"{slot} after {before}\n" in project("rerun", run_id).stdout
    assert f"{slot} after {before}\n" in project("rerun", "since").stdout  # a rerun of the rerun


def test_all_failed_runs_once(project: Cli, here: Path) -> None:
    for _ in range(2):
        assert project("trigger", "fails").code == 1
    project("trigger", "copy", "name=c")
    (here / "mended").touch()

    asked = project("rerun", "--failed")
    done = project("rerun", "--failed", "--since", "1h", "--yes", "--json")
    again = project("rerun", "--failed", "--yes")

    assert asked.code == 2
    assert asked.stderr.count("fails, ") == 2
    assert "add --yes" in asked.stderr
    assert [run["status"] for run in done.json["runs"]] == ["completed"] * 2
    assert len({run["rerun_of"] for run in done.json["runs"]}) == 2
    assert (again.code, "no failed run since 1d that was not run again" in again.stderr) == (0, True)


def test_one_that_cannot_be_run_stops_no_other(project: Cli, past: Past, here: Path) -> None:
    project("trigger", "fails")
    project("trigger", "copy")  # fails, since it needs a name
    past.begin("copy")
    (here / "mended").touch()

    done = project("rerun", "--failed", "--yes")

    assert done.code == 3
    assert "copy is already running" in done.stderr
    assert "fails: completed" in done.stderr


def test_a_secret_is_not_kept_so_its_run_cannot_be_repeated(project: Cli) -> None:
    project("trigger", "secretive", "password=Zm9vYmFyYmF6cXV4")

    refused = project("rerun", "secretive")

    assert refused.code == 2
    assert "hold a secret, which is not kept" in refused.stderr
    assert "jobctl trigger secretive NAME=VALUE" in refused.stderr


def test_what_cannot_be_repeated(project: Cli, past: Past) -> None:
    run_id = past.begin("copy")

    going = project("rerun", run_id)

    assert (going.code, f"run {run_id[:8]} of copy has not ended" in going.stderr) == (3, True)
    assert "fails never ran" in project("rerun", "fails").stderr
    assert project("rerun").code == project("rerun", "copy", "--failed").code == 2
    assert project("rerun", "nope").code == 2


@pytest.mark.slow
def test_it_may_start_and_be_left(site: Site) -> None:
    site.jobs(PROJECT, CODE)
    site.call("trigger", "copy", "name=a.png")
    (first,) = site.runs()

    started = site.json("rerun", first["run_id"][:8], "--no-wait")
    missing = site.call("rerun", "0000", "--no-wait")

    (again,) = until(lambda: [run for run in site.runs() if run["status"] == "completed" and run != first])
    assert (again["run_id"], again["rerun_of"]) == (started["run_id"], first["run_id"])
    assert again["arguments"] == first["arguments"]
    assert (missing.returncode, 'there is no run "0000"' in missing.stderr) == (2, True)
    assert site.call("rerun", "--failed", "--no-wait").returncode == 2


def test_where_scheduling_is_disabled_nothing_is_run_again(project: Cli) -> None:
    project("trigger", "fails")

    refused = [
        project("rerun", *words, DISABLE_AUTO_SYNC="true") for words in (["fails"], ["--failed", "--yes"])
    ]

    assert [each.code for each in refused] == [4, 4]
    assert all("fails was not run: scheduling is disabled" in each.stderr for each in refused)
    assert len(project("runs", "--json").json["runs"]) == 1
