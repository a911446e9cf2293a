"""``next``, ``stop`` and ``start``: when jobs are due, and whether."""

from datetime import datetime

import pytest

from tests.support.terminal import Cli, Past


def test_next_times_of_an_expression(cli: Cli) -> None:
    words = ("next", "30 2 * * *", "--timezone", "Europe/Berlin", "-n", "3", "--from", "2027-03-27")

    assert cli(*words, "--json").json == {
        "schedule": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "words": "every day at 02:30",
        "next": ["2027-03-27T01:30:00+00:00", "2027-03-28T01:00:00+00:00", "2027-03-29T00:30:00+00:00"],
        "excluded": [],
        "advice": [],
        "waiting": [],
    }
    first, second, _ = cli(*words).rows
    assert first == {
        "NEXT": "2027-03-27T01:30:00Z",
        "LOCAL": "Sat 2027-03-27 02:30:00 CET",
        "NOTE": "",
        "SCHEDULE": "30 2 * * *",
        "TIMEZONE": "Europe/Berlin",
    }
    assert (second["LOCAL"], second["NOTE"]) == ("Sun 2027-03-28 03:00:00 CEST", "02:30 does not exist")
    assert cli(*words, "--no-header").stdout == cli(*words).stdout.partition("\n")[2]


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("2026-11-23", "2026-11-23T08:00:00+00:00"),
        ("2026-11-23T09:00", "2026-11-24T08:00:00+00:00"),
        ("2026-11-23T07:59:59Z", "2026-11-23T08:00:00+00:00"),
        ("2026-11-23T12:00:00+04:00", "2026-11-24T08:00:00+00:00"),
    ],
)
def test_from_a_time_in_the_zone_or_with_its_own(start: str, first: str, cli: Cli) -> None:
    found = cli("next", "0 9 * * *", "--timezone", "Europe/Berlin", "--from", start, "-n", "1", "--json").json

    assert found["next"] == [first]


def test_next_times_of_a_job(cli: Cli, past: Past) -> None:
    past.ran("hello", ago=100)
    anchor = past.store.jobs()["hello"].anchor

    found = cli("next", "hello", "-n", "4", "--json").json

    times = [datetime.fromisoformat(one) for one in found["next"]]
    assert found["schedule"] == "every 5m"
    assert all((one - anchor).total_seconds() % 300 == 0 for one in times)
    assert times[0] > past.now
    assert cli("next", "nightly", "-n", "1", "--json").json["timezone"] == "Europe/Berlin"


def test_what_must_be_known_of_the_days_or_the_job_is_said(cli: Cli, past: Past) -> None:
    assert "day of month or the day of week matches" in cli("next", "0 0 1 * 1").stderr
    assert "is not enabled (built-in, changed in jobctl.toml:2)" in cli("next", "repository-sync").stderr
    assert "hello is new: the first scheduler that knows it runs it at once" in cli("next", "hello").stderr
    assert (
        "analytics-top-items is stopped: DATABASE_URL is not set" in cli("next", "analytics-top-items").stderr
    )
    cli("stop", "hello")
    assert "hello is stopped: put it back with jobctl start hello" in cli("next", "hello").stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["61 * * * *"], "61 is not in 0-59"),
        (["0 0 30 2 *"], "never"),
        (["* * * * *", "--timezone", "Mars/Base"], '"Mars/Base" is not a time zone'),
        (["* * * * *", "--from", "yesterday"], '--from "yesterday" is not a time'),
        (["* * * * *", "-n", "0"], "--count must be between 1 and 10000"),
        (["every soon"], 'soon" is not a duration'),
    ],
)
def test_what_cannot_be_a_schedule(words: list[str], message: str, cli: Cli) -> None:
    result = cli("next", *words)

    assert result.code == 2
    assert message in result.stderr


def test_a_stopped_job_stays_stopped_until_it_is_started(cli: Cli) -> None:
    stopped = cli("stop", "hello", "--reason", "host moves")
    (state,) = cli("status", "hello", "--json").json["jobs"]

    assert stopped.code == 0
    assert stopped.stderr == "hello: stopped, off the schedule. To put it back: jobctl start hello\n"
    assert (state["status"], state["note"], state["next_run"]) == ("stopped", "host moves", None)

    started = cli("start", "hello", "--json")
    assert [one["status"] for one in started.json["jobs"]] == ["scheduled"]
    assert "no scheduler is running. Start it: jobctl run" in started.stderr


def test_all_of_them_only_with_a_yes(cli: Cli) -> None:
    refused = cli("stop", "--all")
    done = cli("stop", "--all", "--yes", "--json")

    assert (refused.code, cli("start", "--all").code) == (2, 2)
    assert "add --yes" in refused.stderr
    assert {one["status"] for one in done.json["jobs"]} == {"stopped"}
    assert cli("start", "--all", "--yes").code == 0
    stopped = {row["JOB"] for row in cli("status").rows if row["STATE"] == "stopped"}
    assert "repository-sync" in stopped  # it is not enabled
    assert not stopped & {"hello", "bad", "nightly"}


def test_a_run_in_progress_goes_on(cli: Cli, past: Past) -> None:
    past.begin("hello")

    assert "a run in progress goes on: hello" in cli("stop", "hello").stderr
    assert cli("status", "hello", "--json").json["jobs"][0]["status"] == "running"


def test_starting_what_no_scheduler_runs_is_said(cli: Cli) -> None:
    result = cli("start", "repository-sync").stderr

    assert result.startswith("repository-sync is not enabled (built-in, changed in jobctl.toml:2)")
    assert "back on the schedule" not in result


def test_starting_a_job_that_is_not_stopped_changes_nothing_and_says_so(cli: Cli) -> None:
    assert cli("start", "hello").stderr.startswith("hello was not stopped: nothing changed\n")
    assert cli("start", "--all", "--yes").stderr.startswith("no job was stopped\n")
    assert cli("start", "analytics-top-items").stderr.startswith(
        "analytics-top-items cannot run yet, so no scheduler runs it: DATABASE_URL is not set\n"
    )

    cli("stop", "hello")
    cli("stop", "bad")
    assert cli("start", "--all", "--yes").stderr.startswith("back on the schedule: hello, bad\n")
    cli("stop", "hello")
    assert cli("start", "hello").stderr.startswith("hello: back on the schedule\n")


def test_next_says_what_may_not_be_meant(cli: Cli) -> None:
    done = cli("next", "*/7 * * * *", "-n", "1")

    assert "*/7 begins anew each hour, so the last step is 4m long" in done.stderr
    assert cli("next", "*/5 * * * *").stderr == ""
