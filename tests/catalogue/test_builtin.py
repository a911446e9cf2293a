"""When the site's built-in jobs are in the catalogue."""

import json
import signal

import pytest

from jobctl.catalogue.builtin import BUILT_IN
from jobctl.catalogue.catalogue import job_names
from tests.support.project import Site, until

pytestmark = pytest.mark.usefixtures("inline")

OWN = '[jobs.own]\nevery = "1h"\ncommand = ["true"]\n'
NOTE = "the 13 built-in jobs are left out: this is not an Ever Works site"


def ids(site: Site) -> list[str]:
    return [one["id"] for one in site.json("status")["jobs"]]


def test_a_plain_project_has_its_own_jobs_alone(site: Site) -> None:
    site.write("jobctl.toml", OWN)
    assert ids(site) == ["own"]
    refused = site.call("trigger", "repository-sync")
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        'error: job "repository-sync" is built-in, and this project has no built-in jobs'
    )
    assert NOTE in refused.stderr
    assert NOTE in site.call("analytics").stderr
    assert "builtin = true" in refused.stderr


@pytest.mark.slow
def test_run_in_a_plain_project_schedules_its_own_jobs_and_makes_no_content(site: Site) -> None:
    site.write("jobctl.toml", OWN)
    scheduler = site.popen("run")
    until(lambda: site.runs("own"))
    scheduler.send_signal(signal.SIGINT)
    shown, _ = scheduler.communicate(timeout=30)
    assert shown.count(NOTE) == 1
    assert {one["job_id"] for one in site.runs()} == {"own"}
    assert not (site.folder / ".content").exists()


@pytest.mark.parametrize("variable", ["DATABASE_URL=postgresql://db/x", "DATA_REPOSITORY=https://git/x"])
def test_a_variable_makes_it_a_site(site: Site, variable: str) -> None:
    site.write("jobctl.toml", OWN)
    site.write(".env", variable)
    assert ids(site) == [*(one.id for one in BUILT_IN), "own"]


@pytest.mark.parametrize("folder", [".works", ".content/.works"])
def test_a_folder_makes_it_a_site(site: Site, folder: str) -> None:
    site.write("jobctl.toml", OWN)
    (site.folder / folder).mkdir(parents=True)
    assert len(ids(site)) == len(BUILT_IN) + 1


def test_a_project_that_changes_a_built_in_job_has_all(site: Site) -> None:
    site.write("jobctl.toml", OWN + '[jobs.analytics-cache-cleanup]\nevery = "2h"\n')
    assert len(ids(site)) == len(BUILT_IN) + 1


def test_a_folder_without_jobs_of_its_own_has_the_sites(site: Site) -> None:
    assert ids(site) == [one.id for one in BUILT_IN]


@pytest.mark.parametrize(("value", "number"), [("true", len(BUILT_IN) + 1), ("false", 1)])
def test_the_project_file_decides(site: Site, value: str, number: int) -> None:
    site.write(".env", "" if value == "true" else "DATABASE_URL=postgresql://db/x")
    site.write("jobctl.toml", f"builtin = {value}\n{OWN}")
    assert len(ids(site)) == number
    assert NOTE not in site.call("status").stderr


def test_what_is_turned_off_is_not_completed(site: Site) -> None:
    site.write("jobctl.toml", f"builtin = false\n{OWN}")
    assert dict(job_names(str(site.folder))) == {"own": "own"}
    assert (
        "builtin = false in the project file turns them off" in site.call("trigger", "repository-sync").stderr
    )


def test_builtin_is_true_or_false(site: Site) -> None:
    site.write("jobctl.toml", 'builtin = "no"\n')
    refused = json.loads(site.call("check", "settings", "--json").stdout or "{}")
    assert 'jobctl.toml:1: builtin: expected true or false, not "no"' in json.dumps(refused).replace(
        '\\"', '"'
    )
