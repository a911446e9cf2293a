"""``jobctl new``: what it writes works, and what is there stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import Site


def files(site: Site) -> set[Path]:
    return set(site.folder.rglob("*"))


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


def test_a_program_needs_no_function(site: Site) -> None:
    document = site.json("new", "dump", "--every", "6h", "--command", "echo 'a b'")
    ran = site.call("trigger", "dump")

    assert document["files"] == [{"name": "jobctl.toml", "change": "created"}]
    assert len(document["next"]) == 3
    assert ran.stdout == "a b\n"


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
    ("words", "told"),
    [
        ([], "new needs an id"),
        (["x"], "either --cron or --every"),
        (["x", "--cron", "* * * * *", "--every", "1h"], "either --cron or --every"),
        (["x", "--cron", "61 * * * *"], "61 is not in 0-59"),
        (["x", "--every", "soon"], "is not a duration"),
        (["Not_An_Id", "--every", "1h"], "is not a job id"),
        (["x", "--every", "1h", "--module", "not-a-module"], "is not an import text"),
        (["x", "--every", "1h", "--command", "echo 'a"], "--command cannot be read"),
        (["x", "--every", "1h", "--command", "echo", "--module", "m"], "--module goes with a function"),
        (["x", "--every", "1h", "--timezone", "UTC"], "an interval has no time zone"),
        (["repository-sync", "--every", "1h"], 'there is a job "repository-sync" already'),
    ],
)
def test_what_cannot_be_done_is_told_and_nothing_is_written(words: list[str], told: str, site: Site) -> None:
    before = files(site)

    refused = site.call("new", *words)

    assert refused.returncode == 2
    assert told in refused.stderr
    assert files(site) == before


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("jobs/x.py", "mine", "jobs/x.py is there already"),
        ("tests/test_x.py", "mine", "tests/test_x.py is there already"),
        ("jobs.py", "mine", "cannot be imported beside jobs.py"),
        ("jobctl.toml", 'jobs = { other = { every = "1h", call = "work:x" } }', "nothing can be added to"),
    ],
)
def test_what_is_in_the_way_is_told_and_left(name: str, text: str, told: str, site: Site) -> None:
    (site.folder / name).parent.mkdir(exist_ok=True)
    site.write(name, text)
    before = files(site)

    refused = site.call("new", "x", "--every", "1h")

    assert refused.returncode == 2
    assert told in refused.stderr.replace("\n       ", " ")
    assert (files(site), (site.folder / name).read_text()) == (before, text)
