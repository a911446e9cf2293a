"""``stop --until``: a pause that ends by itself, also over restarts."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from jobctl.clock import iso
from tests.support.project import Site, until
from tests.support.terminal import Cli, Past

TICK = '[jobs.tick]\nevery = "1s"\ncall = "work:tick"\n'
CODE = "def tick(): pass\n"


def job(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = next(job for job in site.json("status")["jobs"] if job["id"] == "tick")
    return found


@pytest.mark.slow
def test_a_scheduler_puts_the_job_back_at_that_time(site_on_either_store: Site) -> None:
    site = site_on_either_store
    site.jobs(TICK, CODE)
    site.run()
    until(lambda: site.runs("tick"))

    stopped = site.call("stop", "tick", "--until", "4s", "--reason", "maintenance")
    paused = job(site)
    until(lambda: job(site)["status"] != "stopped")
    end = datetime.fromisoformat(paused["stopped_until"])
    until(lambda: datetime.fromisoformat(site.runs("tick")[0]["started_at"]) > end)

    assert "tick: stopped, off the schedule until " in stopped.stderr
    assert (paused["status"], paused["note"]) == ("stopped", "maintenance")
    begun = [datetime.fromisoformat(run["started_at"]) for run in site.runs("tick")]
    assert not [at for at in begun if end - timedelta(seconds=2) < at < end]
    assert job(site)["stopped_until"] is None


@pytest.mark.slow
def test_the_pause_goes_on_over_a_restart(site: Site) -> None:
    site.jobs(TICK, CODE)
    assert site.call("stop", "tick", "--until", "3s").returncode == 0
    end = datetime.fromisoformat(job(site)["stopped_until"])
    first = site.run()
    first.terminate()
    assert first.wait() == 0
    assert site.runs("tick") == []

    until(lambda: datetime.now(UTC) > end)
    site.run()
    until(lambda: site.runs("tick"))


@pytest.mark.slow
def test_the_first_slot_after_a_pause_is_run(site_on_either_store: Site) -> None:
    """The scheduler may see only at that slot that the job was stopped."""
    site = site_on_either_store
    site.jobs(TICK.replace("1s", "4s"), CODE)
    site.run()
    until(lambda: job(site)["next_run"] and site.runs("tick"))
    slot = datetime.fromisoformat(until(lambda: job(site)["next_run"]))
    due = slot + timedelta(seconds=12)  # far enough that the pause begins before

    end = f"{due - timedelta(milliseconds=500):%FT%T.%fZ}"
    assert site.call("stop", "tick", "--until", end).returncode == 0
    until(lambda: len([run for run in site.runs("tick") if run["scheduled_for"] >= iso(due)]) >= 2)

    begun = sorted(datetime.fromisoformat(run["scheduled_for"]) for run in site.runs("tick"))
    after = [slot for slot in begun if slot >= due]
    assert after[:2] == [due, due + timedelta(seconds=4)]
    assert due - timedelta(seconds=4) not in begun


@pytest.mark.slow
def test_a_job_that_is_rarely_due_is_back_when_its_pause_ends(site_on_either_store: Site) -> None:
    site = site_on_either_store
    site.jobs('[jobs.tick]\ncron = "0 0 1 1 *"\ncall = "work:tick"\n', CODE)
    site.run()
    due = until(lambda: job(site)["next_run"])

    site.call("stop", "tick", "--until", "3s")
    paused = job(site)
    end = datetime.fromisoformat(paused["stopped_until"])
    found = until(lambda: (now := job(site))["status"] != "stopped" and now)

    assert (paused["status"], paused["next_run"]) == ("stopped", None)
    assert datetime.now(UTC) >= end
    assert (found["next_run"], found["stopped_until"]) == (due, None)


@pytest.mark.slow
def test_only_the_next_run_is_left_out(site: Site) -> None:
    site.jobs(TICK.replace("1s", "4s"), CODE)
    site.run()
    until(lambda: job(site)["next_run"] and site.runs("tick"))
    skipped = site.call("stop", "tick", "--skip-next")
    before = len(site.runs("tick"))
    until(lambda: len(site.runs("tick")) >= before + 2)

    assert "so its next run is left out" in skipped.stderr
    slots = sorted(datetime.fromisoformat(run["scheduled_for"]) for run in site.runs("tick"))
    gaps = [later - slot for slot, later in pairwise(slots)]
    assert gaps.count(timedelta(seconds=8)) == 1
    assert {*gaps} <= {timedelta(seconds=4), timedelta(seconds=8)}


def test_start_ends_a_pause(cli: Cli, past: Past) -> None:
    cli("stop", "hello", "--until", "1d")
    assert cli("start", "hello").code == 0

    (found,) = [job for job in cli("status", "--json").json["jobs"] if job["id"] == "hello"]
    assert found["stopped_until"] is None
    record = past.store.job("hello")
    assert record is not None
    assert (record.stopped, record.stopped_until) == (None, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--until", "2020-01-01"], '--until "2020-01-01" is past'),
        (["--until", "0s"], '--until "0s" is past'),
        (["--until", "soon"], "--until"),
        (["--skip-next", "--until", "1d"], "--skip-next takes one job, and no --until"),
        (["--skip-next"], "hello has no next run that could be left out"),
    ],
)
def test_wrong_ends_stop_nothing(cli: Cli, words: list[str], message: str) -> None:
    refused = cli("stop", "hello", *words)
    assert (refused.code, message in refused.stderr) == (2, True)
    (found,) = [job for job in cli("status", "--json").json["jobs"] if job["id"] == "hello"]
    assert found["status"] != "stopped"


def test_status_shows_until_when(cli: Cli) -> None:
    cli("stop", "hello", "--until", "2030-01-02T03:04:05")
    rows = {row["JOB"]: row for row in cli("status").rows}
    assert rows["hello"]["STOPPED_UNTIL"] == "2030-01-02T03:04:05Z"
