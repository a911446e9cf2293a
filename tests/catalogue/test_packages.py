"""Jobs that an installed package brings, by its entry point."""

import json
import os
from pathlib import Path

import pytest

from jobctl.catalogue.catalogue import job_names
from jobctl.catalogue.discovery import Package, packages
from tests.support.project import Site, until

CODE = """
import jobctl

@jobctl.job("acme-sync", every="1h")
def sync():
    '''Acme's sync.'''
    print("acme says hello")
    return {"n": 1}
"""


def install(
    folder: Path,
    *,
    version: str = "1.2",
    code: str = CODE,
    group: str = "jobctl.jobs",
    name: str = "acme-jobs",
) -> None:
    """What pip leaves in site-packages."""
    module = name.replace("-", "_")
    about = folder / f"{module}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[{group}]\nany-name = {module}\n")
    (folder / f"{module}.py").write_text(code)


def left_out(problem: str, label: str = "acme-jobs 1.2") -> str:
    """The warning."""
    return f"warning: {label} is broken, so its jobs are left out: {problem}"


@pytest.fixture
def there(site: Site) -> Path:
    """A folder that Python imports from, as site-packages."""
    folder = site.folder.parent / "installed"
    folder.mkdir()
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    site.environment["PYTHONPATH"] = path
    return folder


@pytest.mark.slow
def test_its_jobs_are_in_the_catalogue_and_run(site: Site, there: Path) -> None:
    install(there)
    site.jobs("")

    done = site.call("trigger", "acme-sync")
    (job,) = [one for one in site.json("status")["jobs"] if one["id"] == "acme-sync"]

    assert done.returncode == 0, done.stderr
    assert "acme says hello" in done.stdout
    assert (job["name"], job["schedule"], job["status"]) == ("Acme's sync", "every 1h", "completed")


def test_the_project_file_can_change_them(site: Site, there: Path) -> None:
    install(there)
    site.jobs('[jobs.acme-sync]\nevery = "5m"\n')

    shown = site.json("status", "acme-sync")

    assert shown["jobs"][0]["schedule"] == "every 5m"
    settings = shown["settings"]
    assert settings["every"] == {"value": "5m", "place": "jobctl.toml:6"}
    assert settings["call"] == {"value": "acme_jobs:sync", "place": "acme-jobs 1.2"}


@pytest.mark.slow
def test_a_new_version_is_read_again(site: Site, there: Path) -> None:
    install(there)
    site.jobs("")
    assert site.call("trigger", "acme-sync").returncode == 0
    (there / "acme_jobs-1.2.dist-info").rename(there / "acme_jobs-1.3.dist-info")
    (there / "acme_jobs.py").write_text(
        CODE.replace("1h", "120m")
    )  # another size: Python caches bytecode by the second

    (job,) = [one for one in site.json("status")["jobs"] if one["id"] == "acme-sync"]

    assert job["schedule"] == "every 2h"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import nothing_of_the_kind", "module acme_jobs cannot be imported: ModuleNotFoundError: No module"),
        ("import os; os._exit(7)", "importing acme_jobs ended with code 7"),
        ("class Odd:\n    def __getattr__(self, name): raise RuntimeError('not yet')\nodd = Odd()", "module acme_jobs"),
    ],
    ids=["raises", "dies", "holds what cannot be looked at"],
)  # fmt: skip
def test_a_broken_package_is_a_warning_and_affects_nothing_else(
    code: str, problem: str, site: Site, there: Path
) -> None:
    install(there, code=code)
    install(there, code=CODE.replace("acme", "good"), name="good-jobs")
    site.jobs('[jobs.mine]\ncommand = ["echo", "well"]\n[jobs.acme-sync]\nenabled = false\n')

    seen, ran = site.call("status", "--json"), site.call("trigger", "good-sync")
    quiet, unknown = site.call("next", "mine", "--quiet"), site.call("trigger", "acme-sync")

    assert {"mine", "good-sync"} <= {one["id"] for one in json.loads(seen.stdout)["jobs"]}
    assert seen.stderr.count(left_out(problem)) == 1
    assert "jobctl.toml:7: [jobs.acme-sync] is left out: it needs `call` or `command`" in seen.stderr
    assert (ran.returncode, "good says hello" in ran.stdout) == (0, True)
    assert quiet.stderr.startswith("error: mine has no schedule")
    assert unknown.returncode == 2
    assert f"hint:  acme-jobs 1.2 is broken, so its jobs are left out: {problem}" in unknown.stderr


def test_its_secrets_are_masked(site: Site, there: Path) -> None:
    install(there, code="import os; raise OSError(os.environ['CRON_SECRET'])")

    told = site.call("status", env={"CRON_SECRET": "open-sesame-1234"}).stderr

    assert "acme-jobs 1.2 is broken" in told
    assert "open-sesame" not in told


def test_a_duplicate_id_is_left_out(site: Site, there: Path) -> None:
    install(there, code=CODE.replace("acme-sync", "repository-sync"))
    install(there, code=CODE, name="more-jobs")
    site.jobs('modules = ["work"]\n', CODE.replace("1h", "3h"))
    site.write("jobctl.toml", 'builtin = true\nmodules = ["work"]\n')

    seen = site.call("status", "--json")

    jobs = {one["id"]: one for one in json.loads(seen.stdout)["jobs"]}
    assert (jobs["repository-sync"]["schedule"], jobs["acme-sync"]["schedule"]) == ("every 5m", "every 3h")
    assert seen.stderr.splitlines() == [
        'warning: job "repository-sync" of acme-jobs 1.2 is left out: it is defined twice, also in built-in',
        'warning: job "acme-sync" of more-jobs 1.2 is left out: it is defined twice, also in work.py:4',
    ]


def test_of_two_with_one_name_the_first_on_the_path_counts(tmp_path: Path) -> None:
    install(tmp_path / "mine", version="1.3")
    install(tmp_path / "ours", version="1.2")
    both = [str(tmp_path / "mine"), str(tmp_path / "ours")]

    assert [one.version for one in packages(both)] == ["1.3"]
    assert [one.version for one in packages(both[::-1])] == ["1.2"]
    (tmp_path / "mine" / "acme_jobs-1.3.dist-info" / "entry_points.txt").unlink()
    assert packages(both) == []


def test_jobs_from_modules_below_count_once(site: Site, there: Path) -> None:
    install(there)
    (there / "acme_jobs.py").unlink()
    (there / "acme_jobs").mkdir()
    (there / "acme_jobs" / "__init__.py").write_text("from acme_jobs.all import sync, sync as again\n")
    (there / "acme_jobs" / "all.py").write_text(CODE)

    done = site.call("trigger", "acme-sync")

    assert (done.returncode, done.stdout) == (0, "acme says hello\n"), done.stderr


@pytest.mark.slow
def test_the_jobs_of_each_package_are_cached_until_it_is_removed(site: Site, there: Path) -> None:
    install(there)
    site.jobs("")
    site.call("trigger", "acme-sync")
    site.call("status")  # a look makes no state folder, so the first one keeps nothing
    kept = site.folder / ".jobctl" / "found" / "package-acme_jobs.json"
    assert ("acme-sync", "Acme's sync") in job_names(str(site.folder))

    kept.write_text(kept.read_text().replace("every", "cron").replace("1h", "30 2 * * *"))
    schedules = {one["id"]: one["schedule"] for one in site.json("status")["jobs"]}
    (there / "acme_jobs-1.2.dist-info" / "entry_points.txt").unlink()
    (there / "acme_jobs.py").unlink()

    assert schedules["acme-sync"] == "30 2 * * *"
    assert "acme-sync" not in [one["id"] for one in site.json("status")["jobs"]]
    assert "acme-sync" not in dict(job_names(str(site.folder)))
    assert kept.exists()  # a look deletes nothing


@pytest.mark.slow
def test_a_package_that_breaks_is_reported_when_the_file_is_edited(site: Site, there: Path) -> None:
    install(there)
    site.jobs("")
    scheduler = site.run("--json")

    (there / "acme_jobs.py").write_text("1 / 0\n")
    site.jobs('[jobs.mine]\ncommand = ["true"]\n')
    until(lambda: "jobs_changed" in site.log(scheduler))
    scheduler.terminate()
    assert scheduler.wait() == 0

    told = [json.loads(one) for one in site.log(scheduler).splitlines() if one.startswith("{")]
    (broken,) = [one for one in told if one["event"] == "jobs_left_out"]
    assert broken["level"] == "warning"
    assert broken["message"].startswith("acme-jobs 1.2 is broken, so its jobs are left out: module acme_jobs")


def test_only_packages_with_the_group_count(tmp_path: Path) -> None:
    install(tmp_path / "one")
    install(tmp_path / "other", group="console_scripts")

    assert packages([str(tmp_path / "one"), str(tmp_path / "other"), str(tmp_path / "missing")]) == [
        Package("acme_jobs", "acme-jobs", "1.2", ("acme_jobs",))
    ]


@pytest.mark.slow
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
    warning = f"{left_out(problem)}\n"

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

    assert packages([str(tmp_path)]) == [Package("acme_jobs", "acme_jobs", "1.2", ("acme_jobs",))]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["gone-job"], '[jobs.acme-sync].after: there is no job "gone-job"'),
        (["own"], "[jobs.acme-sync].after: the jobs run after each other: acme-sync after own after acme-sync"),
    ],
)  # fmt: skip
def test_what_its_jobs_run_after_refuses_no_others(
    site: Site, there: Path, names: list[str], problem: str
) -> None:
    install(there, code=CODE.replace('every="1h"', f"after={names}"))
    site.jobs('[jobs.own]\ncall = "work:own"\nafter = ["acme-sync"]\n')

    done = site.call("status", "acme-sync")

    assert done.returncode == 0
    assert f"warning: acme-jobs 1.2: {problem}, so acme-sync does not start by itself" in done.stderr


def test_one_that_is_left_out_may_be_named_by_others(site: Site, there: Path) -> None:
    install(there, code="raise OSError('broken')\n")
    site.jobs('[jobs.own]\ncall = "work:own"\nafter = ["acme-sync"]\n')

    done = site.call("status", "own")

    assert done.returncode == 0
    assert (
        'jobctl.toml:7: [jobs.own].after: there is no job "acme-sync" among those that can be read,'
        " so own does not start by itself"
    ) in done.stderr


def test_what_the_project_file_makes_of_one_is_the_fault_of_the_file(site: Site, there: Path) -> None:
    install(there)
    site.jobs('[jobs.acme-sync]\nafter = ["gone-job"]\n')

    done = site.call("status")

    assert done.returncode == 2
    assert 'jobctl.toml:6: [jobs.acme-sync].after: there is no job "gone-job"' in done.stderr
