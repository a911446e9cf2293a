"""``explain``: a schedule in words, its times, and what differs elsewhere."""

import re
from datetime import datetime

import pytest

from jobctl.clock import iso
from tests.support.project import Site
from tests.support.terminal import Cli, Past


def test_all_of_a_schedule(cli: Cli) -> None:
    found = cli("explain", "30 2 * * *", "--timezone", "Europe/Berlin", "--json").json

    assert (found["words"], found["timezone"]) == ("every day at 02:30", "Europe/Berlin")
    assert len(found["next"]) == 3
    assert datetime.fromisoformat(found["last"]) < datetime.fromisoformat(found["next"][0])
    notes = [change["note"] for change in found["clock_changes"]]
    assert sorted(notes) == ["02:30 comes twice, this is the first", "02:30 does not exist"]
    elsewhere = found["elsewhere"]
    assert elsewhere["Trigger.dev"] is None
    assert "Europe/Berlin changes its clocks, and UTC does not" in elsewhere["Vercel"]
    assert elsewhere["Kubernetes"] == "a time that a clock change leaves out is not due"
    assert elsewhere["systemd"] == elsewhere["Kubernetes"]
    assert found["advice"] == []


@pytest.mark.parametrize(
    ("expression", "platform", "difference"),
    [
        ("0 9 */2 * MON", "Kubernetes", "a step such as */2 does not count as a star there"),
        ("0 9 */2 * MON", "Trigger.dev", "both day fields must match"),
        ("0 9 * * 5#2", "Kubernetes", "it knows neither L nor #"),
        ("*/10 * * * * *", "Kubernetes", "it has no seconds"),
        ("every 7m", "Kubernetes", "an hour is not a multiple of it"),
        ("every 5m", "Kubernetes", None),
        ("0 9 1 * MON", "systemd", "both day fields of OnCalendar= must match, so write a line for each"),
        ("0 9 * * 5#2", "systemd", "it knows no #"),
        ("0 9 L * *", "systemd", "the last day of the month is ~01 there"),
        ("every 5m", "systemd", "OnUnitActiveSec= counts from the last start"),
        ("*/10 * * * *", "systemd", None),
        ("0 9 * * 1", "Vercel", None),
    ],
)
def test_what_differs_elsewhere(cli: Cli, expression: str, platform: str, difference: str | None) -> None:
    found = cli("explain", expression, "--json").json["elsewhere"][platform]
    assert found is None if difference is None else difference in found


@pytest.mark.parametrize(
    ("expression", "advice"),
    [
        ("*/7 * * * *", '*/7 begins anew each hour, so the last step is 4m long; for an interval write every = "7m"'),
        ("*/90 * * * *", '*/90 means 0 only, since each hour begins anew; for an interval write every = "90m"'),
        ("0 */5 * * *", '*/5 begins anew each day, so the last step is 4h long; for an interval write every = "5h"'),
        ("0 9 31 * *", "months without a 31st are left out; L is the last day of the month"),
        ("0 0 29 2 *", "years without a 29th of February are left out; L is the last day of the month"),
        ("0 9 1 * MON", "one of the two day fields is enough"),
        ("*/5 * * * *", None),
        ("0 9 1 * *", None),
    ],
)  # fmt: skip
def test_what_may_not_be_meant(cli: Cli, expression: str, advice: str | None) -> None:
    found = cli("explain", expression, "--json").json["advice"]
    assert found == [] if advice is None else found[0].startswith(advice)


def test_a_job_is_explained_from_its_record(cli: Cli, past: Past) -> None:
    past.ran("hello", ago=100)
    anchor = past.store.jobs()["hello"].anchor
    found = cli("explain", "hello", "--json").json
    assert found["words"].startswith("every ")
    step = datetime.fromisoformat(found["next"][1]) - datetime.fromisoformat(found["next"][0])
    assert (datetime.fromisoformat(found["next"][0]) - anchor) % step == step * 0
    assert iso(anchor) is not None
    assert found["elsewhere"].keys() == {"Trigger.dev", "Vercel", "Kubernetes", "systemd"}


def test_rows_in_a_pipe_and_a_table_on_a_terminal(cli: Cli) -> None:
    piped = cli("explain", "0 9 1 * MON").stdout.splitlines()
    assert piped[0] == "WHAT\tVALUE"
    assert "means\tat 09:00 on the 1st of the month, and on every Monday" in piped
    assert len([line for line in piped if re.match(r"next\t\d{4}-", line)]) == 3
    assert cli("explain", "0 9 1 * MON", "--no-header").stdout.startswith("schedule\t")


def test_next_says_the_words_too(cli: Cli) -> None:
    assert cli("next", "0 9 * * 1", "--json").json["words"] == "at 09:00 on every Monday"


def test_what_has_no_times_is_refused(cli: Cli) -> None:
    refused = cli("explain", "61 * * * *")
    assert (refused.code, "minute: 61 is not in 0-59" in refused.stderr) == (2, True)


def test_several_expressions(cli: Cli) -> None:
    found = cli("explain", "0 9 1 * MON; 0 11 */2 * 6", "--json").json
    following = cli("next", "0 9 * * 1-5; 0 11 * * 6", "--json").json
    notes = cli("next", "0 9 1 * MON; 0 11 */2 * 6").stderr

    assert found["schedule"] == "0 9 1 * MON; 0 11 */2 * 6"
    assert found["words"].startswith("at 09:00 on the 1st of the month, and on every Monday; and at 11:00 on")
    assert '"0 11 */2 * 6"' in found["elsewhere"]["Trigger.dev"]
    assert "make one for each" in found["elsewhere"]["Kubernetes"]
    assert (following["words"], len(following["next"])) == (
        "at 09:00 from Monday to Friday; and at 11:00 on every Saturday",
        5,
    )
    assert '"0 9 1 * MON" is due when the day of month or the day of week matches' in notes


def test_what_is_left_out(site: Site) -> None:
    site.jobs(
        """\
[jobs.report]
cron = "0 9 * * *"
timezone = "Europe/Berlin"
exclude = ["2026-12-24..2026-12-26", "@holidays"]
command = ["true"]

[calendars.holidays]
dates = ["2026-12-27"]
"""
    )
    begin = ("next", "report", "-n", "2", "--from", "2026-12-22T12:00")

    found = site.json(*begin)
    shown = site.call(*begin)
    elsewhere = site.json(*begin, "--timezone", "Asia/Tokyo")
    explained = site.json("explain", "report")
    refused = site.call("backfill", "report", "--from", "2026-12-24", "--to", "2026-12-27", "--dry-run")

    assert found["next"] == ["2026-12-23T08:00:00+00:00", "2026-12-28T08:00:00+00:00"]
    assert found["excluded"] == [f"2026-12-{day}T08:00:00+00:00" for day in (24, 25, 26, 27)]
    assert found["words"] == "every day at 09:00, but not on excluded dates"
    assert (
        "left out, since these dates are excluded: Thu 2026-12-24 09:00, Fri 2026-12-25 09:00" in shown.stderr
    )
    assert elsewhere["next"] == ["2026-12-23T00:00:00+00:00", "2026-12-28T00:00:00+00:00"]
    assert explained["words"] == found["words"]
    assert "2026-12-25" not in refused.stdout
