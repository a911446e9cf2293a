"""``jobctl plan`` as a user types it: the timeline on a terminal, rows in a pipe, JSON, and errors."""

import json
import subprocess

import pytest

from jobctl.catalogue.warning_codes import CODES
from tests.support.project import Site
from tests.support.screen import Terminal

JOBS = """
[jobs.often]
cron = "*/30 * * * *"
command = ["true"]
[jobs.nightly]
cron = "30 2 * * *"
timezone = "Europe/Berlin"
command = ["true"]
[jobs.long]
cron = "0 * * * *"
command = ["true"]
timeout = "5h"
[jobs.manual]
command = ["true"]
"""
DAY = ("plan", "--day", "2027-03-28")


@pytest.fixture
def site(site: Site) -> Site:
    site.environment["TZ"] = "UTC"
    site.jobs(JOBS)
    return site


def test_rows_and_warnings(site: Site) -> None:
    done = site.call(*DAY)

    head, *rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert head == ["BEGINS", "ENDS", "JOB", "OUTCOME", "SLOT", "WAITED_MS"]
    assert len(rows) == 48 + 24 + 1
    nightly = [row for row in rows if row[2] == "nightly"]
    assert nightly == [
        ["2027-03-28T01:00:00Z", "2027-03-28T01:00:01Z", "nightly", "runs", "2027-03-28T01:00:00Z", "0"]
    ]
    assert "JC105: nightly is due on Sun 2027-03-28 03:00 CEST: 02:30 does not exist" in done.stderr
    assert not (site.folder / ".jobctl" / "jobctl.db").exists(), "reading makes no store"


def test_json_has_all(site: Site) -> None:
    plan = site.json(*DAY, "--assume", "80m", "--workers", "9")

    assert (plan["from"], plan["to"]) == ("2027-03-28T00:00:00+00:00", "2027-03-29T00:00:00+00:00")
    jobs = {job["id"]: job for job in plan["jobs"]}
    assert (jobs["long"]["runs"], jobs["long"]["skipped"], jobs["long"]["assumed_ms"]) == (12, 12, 4_800_000)
    assert plan["left_out"][-1] == {"id": "manual", "reason": "it has no schedule"}
    assert {warning["code"] for warning in plan["warnings"]} == {"JC102", "JC105", "JC106"}
    assert plan["most_at_once"] == 3
    skipped = [run for run in plan["runs"] if run["outcome"] == "skipped" and run["job_id"] == "long"]
    assert skipped[0]["slot"] == "2027-03-28T01:00:00+00:00"


def test_durations_are_those_of_past_runs(site: Site) -> None:
    site.jobs(JOBS.replace('command = ["true"]\ntimeout', 'command = ["sleep", "0.3"]\ntimeout'))
    assert site.call("trigger", "long").returncode == 0

    plan = site.json("plan", "--from", "2027-01-01", "--to", "2h")

    assumed = {job["id"]: job["assumed_ms"] for job in plan["jobs"]}
    assert 300 <= assumed["long"] < 5000
    assert assumed["often"] == 1000
    assert [run["slot"] for run in plan["runs"] if run["job_id"] == "long"] == [
        "2027-01-01T00:00:00+00:00",
        "2027-01-01T01:00:00+00:00",
    ]


def test_a_plan_from_now_catches_up_what_was_missed(site: Site) -> None:
    site.jobs('[jobs.caught]\nevery = "10m"\ncatch_up = true\ncommand = ["true"]\n')
    scheduler = site.run()
    scheduler.terminate()
    assert scheduler.wait(30) == 0
    site.forget_seconds(3600)

    plan = site.json("plan", "--to", "30m")

    caught = [run for run in plan["runs"] if run["job_id"] == "caught"]
    assert caught[0]["slot"] < plan["from"] <= caught[0]["begins_at"]
    assert len(caught) == 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--day", "tomorrow"), '--day "tomorrow" is not a time'),
        (("--day", "2027-01-01", "--to", "1h"), "--day is a whole day: write it without --from and --to"),
        (("--from", "2027-01-01", "--to", "2026-12-31"), '--to "2026-12-31" is not after --from'),
        (("--from", "9999-12-31"), "a plan is for the years 1970 to 2198"),
        (("--day", "1969-01-01"), "a plan is for the years 1970 to 2198"),
        (("--diff", ""), "--diff names neither a file nor a revision"),
        (("--to", "400d"), "a plan is for 366 days at most, not 400"),
        (("--assume", "long"), '--assume "long" is neither p50, p95 nor a duration'),
    ],
)
def test_bad_input_is_one_sentence(site: Site, arguments: tuple[str, ...], sentence: str) -> None:
    done = site.call("plan", *arguments)

    assert done.returncode == 2
    assert sentence in done.stderr.splitlines()[0]
    assert not done.stdout


def test_clocks_are_of_this_machine(site: Site) -> None:
    site.environment["TZ"] = "Europe/Berlin"

    plan = site.json(*DAY)

    assert (plan["from"], plan["to"]) == ("2027-03-27T23:00:00+00:00", "2027-03-28T22:00:00+00:00")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_timeline_fits_the_terminal(site: Site, columns: int) -> None:
    terminal = Terminal(site, [*DAY, "--assume", "80m"], rows=60, columns=columns, NO_COLOR="1", PAGER="cat")
    assert terminal.end() == 0

    lines = [line for line in terminal.lines if line]
    head = next(line for line in lines if line.endswith("RUNS"))
    lane = next(line for line in lines if line.startswith("nightly"))
    assert "00:00" in head
    assert len(lane) <= columns
    assert lane.split()[1].count("━") >= 1
    assert set(lane.split()[1]) == {"·", "━"}
    assert lane.split()[-1] == "1"
    long = next(line for line in lines if line.startswith("long"))
    assert "×" in long
    words = " ".join(" ".join(lines).split())
    assert "JC102: long: 12 slots skipped, since a run takes 1h 20m" in words
    assert "off schedule, since it has no schedule: manual" in words


def test_the_document_is_one_line_in_a_pipe(site: Site) -> None:
    done: subprocess.CompletedProcess[str] = site.call(*DAY, "--json")

    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout)["workers"] == 4


def test_each_code_is_documented(site: Site) -> None:
    page = site.call("help", "planning").stdout

    for code, meaning in CODES.items():
        assert code in page
        assert meaning in " ".join(page.split())


def test_warnings_are_ignored_by_their_codes(site: Site) -> None:
    def codes(top: str, of_long: str = "") -> set[tuple[str, str]]:
        site.jobs(JOBS.replace('timeout = "5h"', f'timeout = "5h"\n{of_long}'))
        site.write("jobctl.toml", top + (site.folder / "jobctl.toml").read_text())
        found = site.json(*DAY, "--assume", "80m")["warnings"]
        return {(warning["code"], " ".join(warning["jobs"])) for warning in found}

    everything = codes("")
    assert {("JC102", "long"), ("JC102", "often"), ("JC105", "nightly")} <= everything
    assert codes('ignore_warnings = ["JC105"]\n') == everything - {("JC105", "nightly")}
    assert codes("", 'ignore_warnings = ["JC102"]') == everything - {("JC102", "long")}
    site.write("jobctl.toml", 'ignore_warnings = ["JC999"]\n')
    done = site.call(*DAY)
    assert done.returncode == 2
    assert 'jobctl.toml:1: ignore_warnings: "JC999" is not a code of a warning' in done.stderr


def test_doubtful_expressions_are_named(site: Site) -> None:
    site.jobs('[jobs.odd]\ncron = "*/7 * * * *"\ncommand = ["true"]\n')

    (warning,) = [one for one in site.json(*DAY)["warnings"] if one["code"] == "JC108"]

    assert warning["jobs"] == ["odd"]
    assert "*/7 begins anew each hour" in warning["text"]
