"""A job's own variables, folder, grace and needs."""

import pytest

from tests.support.project import Site, until

CODE = """
import os, signal, time
from pathlib import Path

def tell():
    return {"folder": os.getcwd(), "mine": os.environ.get("MINE"), "home": os.environ.get("HOME")}

def stubborn():
    signal.signal(signal.SIGTERM, lambda *_: Path("asked").touch())
    Path("began").touch()
    while True:
        time.sleep(0.05)
"""


def result(site: Site, job_id: str) -> dict[str, str]:
    found: dict[str, str] = site.json("trigger", job_id)["result"]
    return found


@pytest.mark.slow
def test_a_function_and_a_program_get_their_variables_and_folder(site: Site) -> None:
    site.jobs(
        '[jobs.mine]\ncall = "work:tell"\nfolder = "deep/er"\nenvironment = { MINE = "é x" }\n'
        '[jobs.plain]\ncall = "work:tell"\n'
        '[jobs.program]\ncommand = ["sh", "-c", "pwd; echo $MINE"]\nfolder = "deep"\nenvironment = { MINE = "7" }\n',
        CODE,
    )
    (site.folder / "deep" / "er").mkdir(parents=True)
    site.environment["MINE"] = "the process's"

    mine, plain = result(site, "mine"), result(site, "plain")
    printed = site.call("trigger", "program").stdout.splitlines()

    assert (mine["folder"], mine["mine"]) == (str(site.folder / "deep" / "er"), "é x")
    assert (plain["folder"], plain["mine"]) == (str(site.folder), "the process's")
    assert printed == [str(site.folder / "deep"), "7"]


@pytest.mark.slow
def test_nothing_of_it_is_left_for_the_next_run_in_the_same_worker(site: Site) -> None:
    site.jobs(
        '[jobs.mine]\nevery = "1s"\ncall = "work:tell"\nfolder = "deep"\nenvironment = { MINE = "1" }\n'
        '[jobs.plain]\nevery = "1s"\ncall = "work:tell"\n',
        CODE,
    )
    (site.folder / "deep").mkdir()
    scheduler = site.run("--workers", "1")
    until(lambda: min(len(site.runs("mine")), len(site.runs("plain"))) >= 3)
    scheduler.terminate()
    scheduler.wait()

    told = {
        job: {one["result"]["mine"] for one in site.runs(job) if one["result"]} for job in ("mine", "plain")
    }

    assert told == {"mine": {"1"}, "plain": {None}}


@pytest.mark.slow
def test_what_a_module_reads_when_it_is_imported_is_the_jobs_own(site: Site) -> None:
    code = 'import os\nREGION = os.environ.get("REGION")\ndef tell():\n    return REGION\n'
    regions = {"eu": "eu", "us": "us", "none": None}
    site.jobs(
        "".join(
            f'[jobs.{job}]\nevery = "1s"\ncall = "work:tell"\noverlap = "queue"\n'
            + (f'environment = {{ REGION = "{region}" }}\n' if region else "")
            for job, region in regions.items()
        ),
        code,
    )
    scheduler = site.run("--workers", "1")
    until(lambda: min(len(site.runs(job)) for job in regions) >= 3)
    scheduler.terminate()
    scheduler.wait()

    told = {job: {one["result"] for one in site.runs(job) if one["status"] == "completed"} for job in regions}

    assert told == {job: {region} for job, region in regions.items()}


def test_a_folder_that_is_not_there_is_the_runs_error(site: Site) -> None:
    site.jobs('[jobs.mine]\ncall = "work:tell"\nfolder = "nowhere"\n', CODE)

    told = site.call("trigger", "mine")

    assert told.returncode == 1
    assert "the folder nowhere cannot be entered: no such file or directory" in told.stderr


@pytest.mark.slow
def test_what_it_needs_must_be_set(site: Site) -> None:
    site.jobs(
        '[jobs.poor]\nevery = "1s"\ncall = "work:tell"\nneeds = ["PGPASSWORD"]\n'
        '[jobs.rich]\ncall = "work:tell"\nneeds = ["MINE"]\nenvironment = { MINE = "1" }\n',
        CODE,
    )

    refused = site.call("trigger", "poor")
    (poor,) = site.json("status", "poor")["jobs"]

    assert refused.returncode == 4
    assert "poor was not run: PGPASSWORD is not set" in refused.stderr
    assert (poor["status"], poor["next_run"]) == ("stopped", None)
    assert site.call("trigger", "rich").returncode == 0
    site.environment["PGPASSWORD"] = "x"
    assert site.call("trigger", "poor").returncode == 0


@pytest.mark.slow
def test_grace_is_the_time_from_term_to_kill(site: Site) -> None:
    site.jobs('[jobs.stubborn]\ncall = "work:stubborn"\ntimeout = "300ms"\ngrace = "600ms"\n', CODE)

    ended = site.json("trigger", "stubborn")

    assert (site.folder / "asked").exists()
    assert (ended["status"], ended["reason"]) == ("failed", "timeout")
    assert 900 <= ended["duration_ms"] < 4000  # far from the 5 seconds that it has unless said
    site.nothing_left()


def test_a_wrong_value_is_reported_with_its_line(site: Site) -> None:
    site.jobs(
        '[jobs.x]\ncall = "work:tell"\ngrace = 5\nenvironment = { "A B" = "1" }\nfolder = 7\nneeds = "PGPASSWORD"\n',
        CODE,
    )

    told = site.call("status").stderr

    for number, key in ((7, "grace"), (8, "environment"), (9, "folder"), (10, "needs")):
        assert f"jobctl.toml:{number}: [jobs.x].{key}: expected" in told
