"""``jobctl new``: what it writes works, and what is there stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import Site

pytestmark = pytest.mark.usefixtures("inline")


def files(site: Site) -> set[Path]:
    return set(site.folder.rglob("*"))


@pytest.mark.slow
def test_what_it_writes_runs_and_its_test_passes(site: Site) -> None:
    made = site.call(
        "new", "tidy-up", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--name", "Tidy up"
    )
    ran = site.call("trigger", "tidy-up")
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_tidy_up.py"],
        cwd=site.folder, env=site.environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert made.stdout.splitlines() == [
        "created\tjobs/tidy_up.py",
        "created\ttests/test_tidy_up.py",
        "created\tjobctl.toml",
    ]
    assert "first due" in made.stderr
    assert (ran.returncode, ran.stdout) == (0, "0 things done\n")
    assert (tested.returncode, "1 passed" in tested.stdout) == (0, True), tested.stdout
    (job,) = [one for one in site.json("status")["jobs"] if one["id"] == "tidy-up"]
    assert (job["name"], job["schedule"], job["timezone"]) == ("Tidy up", "30 2 * * *", "Europe/Berlin")


@pytest.mark.slow
def test_a_program_needs_no_function(site: Site) -> None:
    document = site.json("new", "dump", "--every", "6h", "--command", "echo 'a b'")
    ran = site.call("trigger", "dump")

    assert document["files"] == [{"name": "jobctl.toml", "change": "created"}]
    assert len(document["next"]) == 3
    assert ran.stdout == "a b\n"


@pytest.mark.slow
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("jobctl.toml", '# mine\n[jobs.other]\nevery = "1h"   # kept\ncall = "work:x"'),
        ("pyproject.toml", '[project]\nname = "x"\n\n[tool.jobctl]\nmodules = []\n'),
    ],
)  # fmt: skip
def test_what_is_there_stays(name: str, before: str, end: str, site: Site) -> None:
    (site.folder / name).write_bytes(before.replace("\n", end).encode())

    assert site.call("new", "class", "--every", "1h").returncode == 0

    text = (site.folder / name).read_bytes().decode()
    assert text.startswith(before.replace("\n", end))
    assert text.count("\n") == text.count(end)
    assert site.call("trigger", "class").returncode == 0
    assert (site.folder / "jobs" / "job_class.py").exists()


@pytest.mark.parametrize(
    ("words", "result"),
    [
        ([], "new needs ID"),
        (["x"], "new needs --cron or --every"),
        (["x", "--cron", "* * * * *", "--every", "1h"], "--cron and --every exclude each other"),
        (["x", "--cron", "61 * * * *"], "61 is not in 0-59"),
        (["x", "--every", "soon"], "is not a duration"),
        (["Not_An_Id", "--every", "1h"], "is not a job id"),
        (["x", "--every", "1h", "--module", "not-a-module"], "is not an import path"),
        (["x", "--every", "1h", "--command", "echo 'a"], "--command cannot be read"),
        (["x", "--every", "1h", "--command", ""], "--command names no program"),
        (["x", "--every", "1h", "--module", ""], "is not an import path"),
        (["x", "--every", "1h", "--module", "class.foo"], "class is a Python keyword"),
        (["x", "--every", "1h", "--module", "json.tidy"], "another json is installed"),
        (["x", "--every", "1h", "--command", "echo", "--module", "m"], "--module goes with a function"),
        (["x", "--every", "1h", "--timezone", "UTC"], "an interval has no time zone"),
        (["repository-sync", "--every", "1h"], 'job "repository-sync" already exists'),
    ],
)
def test_what_cannot_be_done_is_reported_and_nothing_is_written(
    words: list[str], result: str, site: Site
) -> None:
    before = files(site)

    refused = site.call("new", *words)

    assert refused.returncode == 2
    assert result in refused.stderr
    assert files(site) == before


@pytest.mark.parametrize(
    ("name", "text", "result"),
    [
        ("jobs/x.py", "mine", "jobs/x.py already exists"),
        ("tests/test_x.py", "mine", "tests/test_x.py already exists"),
        ("jobs.py", "mine", "cannot be imported beside jobs.py"),
        ("jobctl.toml", 'jobs = { other = { every = "1h", call = "work:x" } }', "a table cannot be added"),
    ],
)
def test_what_is_in_the_way_is_reported_and_left(name: str, text: str, result: str, site: Site) -> None:
    (site.folder / name).parent.mkdir(exist_ok=True)
    site.write(name, text)
    before = files(site)

    refused = site.call("new", "x", "--every", "1h")

    assert refused.returncode == 2
    assert result in refused.stderr.replace("\n       ", " ")
    assert (files(site), (site.folder / name).read_text()) == (before, text)


@pytest.mark.slow
@pytest.mark.parametrize("job_id", ["print", "test-it", "class"])
def test_a_name_of_pythons_own_is_not_taken(job_id: str, site: Site) -> None:
    made = site.call("new", job_id, "--every", "1h")
    (step,) = [one for one in made.stderr.splitlines() if "its test: " in one]

    tested = run(step.partition("its test: ")[2], site, site.folder)

    assert (tested.returncode, "1 passed" in tested.stdout) == (0, True), tested.stdout


@pytest.mark.slow
def test_from_a_folder_below_all_is_shown_as_seen_from_there(site: Site) -> None:
    site.jobs("")
    below = site.folder / "deep" / "down"
    below.mkdir(parents=True)

    made = subprocess.run(
        [sys.executable, "-m", "jobctl", "new", "tidy", "--every", "1h"],
        cwd=below, env=site.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (step,) = [one for one in made.stderr.splitlines() if "its test: " in one]
    tested = run(step.partition("its test: ")[2], site, below)

    shown = [line.split("\t")[1] for line in made.stdout.splitlines()]
    assert shown == ["../../jobs/tidy.py", "../../tests/test_tidy.py", "../../jobctl.toml"]
    assert all((below / one).is_file() for one in shown)
    assert (tested.returncode, "1 passed" in tested.stdout) == (0, True), tested.stdout


def run(command: str, site: Site, folder: Path) -> subprocess.CompletedProcess[str]:
    """As somebody at a shell, where ``python`` is this one."""
    path = f"{Path(sys.executable).parent}:{site.environment['PATH']}"
    return subprocess.run(
        ["sh", "-c", f"{command} -q -p no:cacheprovider -W error"],
        cwd=folder, env={**site.environment, "PATH": path}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_project_file_keeps_its_link_and_its_mode(site: Site) -> None:
    real = site.write("real.toml", "# mine\n")
    real.chmod(0o640)
    link = site.folder / "jobctl.toml"
    link.symlink_to("real.toml")

    assert site.call("new", "x", "--every", "1h").returncode == 0

    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "[jobs.x]" in real.read_text()


def test_what_cannot_be_written_whole_leaves_nothing(site: Site) -> None:
    site.write("tests", "a file")
    before = files(site)

    refused = site.call("new", "x", "--every", "1h")

    assert refused.returncode == 2
    assert "tests/test_x.py cannot be written" in refused.stderr
    assert files(site) == before


@pytest.mark.slow
def test_an_installed_package_is_no_place_and_a_folder_of_the_projects_own_is(site: Site) -> None:
    (site.folder / "mine").mkdir()
    (site.folder / "mine" / "__init__.py").touch()

    assert (
        "another pytest is installed" in site.call("new", "x", "--every", "1h", "--module", "pytest.x").stderr
    )
    assert site.call("new", "x", "--every", "1h", "--module", "mine.deep.x").returncode == 0
    assert site.call("trigger", "x").stdout == "0 things done\n"


def test_several_expressions(site: Site) -> None:
    site.call("new", "week", "--cron", "0 9 * * 1-5", "--cron", "0 11 * * 6", "--command", "true")

    assert 'cron = ["0 9 * * 1-5", "0 11 * * 6"]' in site.folder.joinpath("jobctl.toml").read_text()
    (job,) = [one for one in site.json("status")["jobs"] if one["id"] == "week"]
    assert job["schedule"] == "0 9 * * 1-5; 0 11 * * 6"
