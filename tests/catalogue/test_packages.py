"""Jobs that an installed package brings, by its entry point."""

import os
from pathlib import Path

import pytest

from jobctl.catalogue.packages import Package, packages
from tests.support.project import Site

CODE = """
import jobctl

@jobctl.job("acme-sync", every="1h")
def sync():
    '''Acme's sync.'''
    print("acme says hello")
    return {"n": 1}
"""


def install(folder: Path, *, version: str = "1.2", code: str = CODE, group: str = "jobctl.jobs") -> None:
    """What pip leaves in site-packages."""
    about = folder / f"acme_jobs-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-jobs\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[{group}]\nany-name = acme_jobs\n")
    (folder / "acme_jobs.py").write_text(code)


@pytest.fixture
def there(site: Site) -> Path:
    """A folder that Python imports from, as site-packages."""
    folder = site.folder.parent / "installed"
    folder.mkdir()
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    site.environment["PYTHONPATH"] = path
    return folder


def test_its_jobs_join_the_catalogue_and_run(site: Site, there: Path) -> None:
    install(there)
    site.jobs("")

    done = site.call("trigger", "acme-sync")
    (job,) = [one for one in site.json("status")["jobs"] if one["id"] == "acme-sync"]

    assert done.returncode == 0, done.stderr
    assert "acme says hello" in done.stdout
    assert (job["name"], job["schedule"], job["status"]) == ("Acme's sync", "every 1h", "completed")


def test_the_project_has_the_last_word(site: Site, there: Path) -> None:
    install(there)
    site.jobs('[jobs.acme-sync]\nevery = "5m"\n')

    (job,) = [one for one in site.json("status")["jobs"] if one["id"] == "acme-sync"]

    assert job["schedule"] == "every 5m"


def test_a_new_version_is_seen(site: Site, there: Path) -> None:
    install(there)
    site.jobs("")
    assert site.call("trigger", "acme-sync").returncode == 0
    (there / "acme_jobs-1.2.dist-info").rename(there / "acme_jobs-1.3.dist-info")
    (there / "acme_jobs.py").write_text(CODE.replace("1h", "2h"))

    (job,) = [one for one in site.json("status")["jobs"] if one["id"] == "acme-sync"]

    assert job["schedule"] == "every 2h"


def test_what_is_wrong_with_it_names_the_package(site: Site, there: Path) -> None:
    install(there, code="import nothing_of_the_kind\n")
    broken = site.call("status")
    (there / "acme_jobs.py").write_text(CODE.replace("acme-sync", "repository-sync"))
    twice = site.call("status")

    assert (broken.returncode, twice.returncode) == (2, 2)
    assert "module acme_jobs cannot be imported: ModuleNotFoundError" in broken.stderr
    assert "acme-jobs 1.2" in broken.stderr
    assert "acme-jobs 1.2" in twice.stderr
    assert "is defined twice" in twice.stderr


def test_only_packages_with_the_group_count(tmp_path: Path) -> None:
    install(tmp_path / "one")
    install(tmp_path / "other", group="console_scripts")

    assert packages([str(tmp_path / "one"), str(tmp_path / "other"), str(tmp_path / "missing")]) == [
        Package("acme-jobs", "1.2", ("acme_jobs",))
    ]


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ("x = not a module!!", 'its entry point "not a module!!" names no module'),
        ("nothing but junk", "its metadata cannot be read"),
        ("x = \xe9\xff", "its metadata cannot be read"),
    ],
)
def test_entries_that_cannot_be_read_are_a_warning(
    entries: str, problem: str, site: Site, there: Path
) -> None:
    install(there)
    about = there / "acme_jobs-1.2.dist-info" / "entry_points.txt"
    about.write_text(f"[jobctl.jobs]\n{entries}\n", encoding="latin-1")
    site.jobs('[jobs.mine]\ncommand = ["echo", "well"]\n')
    warning = f"warning: acme-jobs 1.2 is broken, so its jobs are left out: {problem}\n"

    for words in (["status"], ["check", "store"], ["next", "mine"]):
        assert site.call(*words).stderr.count(warning) == 1, words
    ran, unknown = site.call("trigger", "mine"), site.call("trigger", "acme-sync", "--quiet")

    assert (ran.returncode, ran.stdout, ran.stderr.count(warning)) == (0, "well\n", 1)
    assert unknown.returncode == 2
    assert unknown.stderr.startswith('error: there is no job "acme-sync" among those that can be read\nhint:')
    assert f"acme-jobs 1.2 is broken, so its jobs are left out: {problem}" in unknown.stderr


def test_a_distribution_without_metadata_is_known_by_its_folder(tmp_path: Path) -> None:
    install(tmp_path)
    (tmp_path / "acme_jobs-1.2.dist-info" / "METADATA").unlink()

    assert packages([str(tmp_path)]) == [Package("acme_jobs", "1.2", ("acme_jobs",))]
