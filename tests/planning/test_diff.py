"""``jobctl plan --diff``: which slots a change of the project file adds, removes or moves."""

import subprocess

import pytest

from tests.support.project import Site

BEFORE = """
[jobs.nightly]
cron = "30 2 * * *"
command = ["true"]
[jobs.often]
every = "1h"
command = ["true"]
[jobs.gone]
cron = "0 12 * * *"
command = ["true"]
[jobs.same]
cron = "0 6 * * *"
command = ["true"]
"""
AFTER = (
    BEFORE.replace("30 2 * * *", "0 4 * * *")
    .replace('every = "1h"', 'every = "2h"')
    .replace("jobs.gone", "jobs.added")
)
DAY = ("plan", "--day", "2027-03-28", "--diff")


def git(site: Site, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=site.folder, check=True
    )


@pytest.fixture
def site(site: Site) -> Site:
    site.environment["TZ"] = "UTC"
    git(site, "init", "-q")
    site.jobs(BEFORE)
    git(site, "add", "jobctl.toml")
    git(site, "commit", "-qm", "Before")
    site.jobs(AFTER)
    return site


def changes(site: Site, against: str) -> list[tuple[str, str, str, str]]:
    slots = site.json(*DAY, against)["slots"]
    return [
        (slot["job_id"], slot["change"], slot["slot"][11:16], (slot["moved_to"] or "")[11:16])
        for slot in slots
        if slot["job_id"] != "often"
    ]


def test_slots_that_move_appear_and_vanish(site: Site) -> None:
    expected = [
        ("nightly", "moved", "02:30", "04:00"),
        ("gone", "gone", "12:00", ""),
        ("added", "new", "12:00", ""),
    ]
    assert changes(site, "HEAD") == expected

    often = [slot for slot in site.json(*DAY, "HEAD")["slots"] if slot["job_id"] == "often"]
    assert {slot["change"] for slot in often} == {"gone"}
    assert len(often) == 12


def test_another_file(site: Site) -> None:
    other = site.write("other.toml", (site.folder / "jobctl.toml").read_text().replace("0 6 *", "0 7 *"))

    assert changes(site, str(other)) == [("same", "moved", "07:00", "06:00")]


def test_rows_in_a_pipe_and_the_exit_code(site: Site) -> None:
    done = site.call(*DAY, "HEAD", "--exit-code")
    assert done.returncode == 1
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows[0] == ["CHANGE", "JOB", "SLOT", "MOVED_TO"]
    assert ["moved", "nightly", "2027-03-28T02:30:00Z", "2027-03-28T04:00:00Z"] in rows

    assert site.call(*DAY, "HEAD").returncode == 0
    site.jobs(BEFORE)
    assert site.call(*DAY, "HEAD", "--exit-code").returncode == 0


def test_warnings_that_are_new_and_gone(site: Site) -> None:
    found = site.json(*DAY, "HEAD", "--assume", "90m")

    gone = [(warning["code"], warning["jobs"]) for warning in found["gone_warnings"]]
    assert gone == [("JC106", ["gone"])]
    new = [(warning["code"], warning["jobs"]) for warning in found["new_warnings"]]
    assert new == [("JC106", ["added"])]


def test_a_table_in_pyproject(site: Site) -> None:
    (site.folder / "jobctl.toml").unlink()
    text = '[tool.jobctl]\nbuiltin = false\n[tool.jobctl.jobs.own]\ncommand = ["true"]\ncron = "0 6 * * *"\n'
    site.write("pyproject.toml", text)
    git(site, "add", "pyproject.toml")
    git(site, "commit", "-qm", "In pyproject.toml")
    site.write("pyproject.toml", text.replace("0 6", "0 8"))

    assert changes(site, "HEAD") == [("own", "moved", "06:00", "08:00")]


@pytest.mark.parametrize(
    ("against", "sentence"),
    [
        ("nope", 'error: "nope" is neither a file nor a revision of Git with jobctl.toml'),
        ("--output=x", 'error: "--output=x" is neither a file nor a revision of Git with jobctl.toml'),
        ("HEAD\n", "is neither a file nor a revision of Git"),
    ],
)
def test_what_is_neither_file_nor_revision(site: Site, against: str, sentence: str) -> None:
    done = site.call("plan", f"--diff={against}")

    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_in_the_other_file_names_its_line(site: Site) -> None:
    other = site.write("other.toml", '[jobs.bad]\ncron = "nonsense"\ncommand = ["true"]\n')

    done = site.call(*DAY, str(other))

    assert done.returncode == 2
    assert "other.toml:2" in done.stderr


def test_the_exit_code_needs_a_diff(site: Site) -> None:
    done = site.call("plan", "--exit-code")

    assert done.returncode == 2
    assert "--exit-code needs --diff" in done.stderr
