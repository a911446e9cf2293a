"""``after``: a job that runs when others have completed, with the real program."""

import signal

import pytest

from tests.support.project import Site, until

CODE = """
import pathlib
def work(): pass
def fail(): raise ValueError("no")
def hold():
    pathlib.Path("held").touch()
    while not pathlib.Path("go").exists(): pass
"""
ONE = '[jobs.one]\ncall = "work:work"\n'
TWO = '[jobs.two]\ncall = "work:work"\n'
BOTH = '[jobs.both]\ncall = "work:work"\nafter = ["one", "two"]\n'


def trigger(site: Site, *ids: str) -> None:
    """Each in a process of its own."""
    for job_id in ids:
        done = site.call("trigger", job_id)
        assert done.returncode == 0, done


def completed(site: Site, job_id: str) -> int:
    return sum(run["status"] == "completed" for run in site.runs(job_id))


@pytest.mark.slow
def test_what_completes_in_other_processes_counts(site_on_either_store: Site) -> None:
    site = site_on_either_store
    site.jobs(ONE + TWO + BOTH, CODE)
    site.run()

    for number in range(1, 4):
        trigger(site, "one", "two")
        until(lambda: completed(site, "both") == number)  # noqa: B023

    runs = site.runs("both")
    assert {run["trigger"] for run in runs} == {"schedule"}
    assert {run["scheduled_for"] for run in runs} == {run["finished_at"] for run in site.runs("two")}


@pytest.mark.slow
def test_two_schedulers_start_it_once(site_on_either_store: Site) -> None:
    site = site_on_either_store
    site.jobs(ONE + TWO + BOTH + '[jobs.last]\ncall = "work:work"\nafter = ["both"]\n', CODE)
    site.run()
    site.run()

    for number in range(1, 6):
        trigger(site, "one", "two")
        until(lambda: completed(site, "last") == number)  # noqa: B023

    assert len(site.runs("both")) == len(site.runs("last")) == 5


@pytest.mark.slow
def test_a_kill_between_the_completion_and_the_start_loses_nothing(site: Site) -> None:
    hold = '[jobs.hold]\ncall = "work:hold"\ngroup = "g"\n'
    site.jobs(ONE + TWO + BOTH + 'group = "g"\n' + hold, CODE)
    first = site.run()
    holder = site.popen("trigger", "hold")
    until((site.folder / "held").exists)
    trigger(site, "one", "two")
    assert site.runs("both") == []

    first.send_signal(signal.SIGKILL)
    first.wait()
    (site.folder / "go").touch()
    assert holder.wait(60) == 0
    assert site.runs("both") == []
    site.run()

    until(lambda: completed(site, "both"))
    trigger(site, "one", "one")
    assert len(site.runs("both")) == 1


@pytest.mark.slow
def test_an_edited_list_is_used_while_the_scheduler_runs(site: Site) -> None:
    site.jobs(ONE + TWO + '[jobs.both]\ncall = "work:work"\n', CODE)
    scheduler = site.run("--json")
    site.jobs(ONE + TWO + BOTH)
    until(lambda: "both changed" in site.log(scheduler))
    trigger(site, "one", "two")
    until(lambda: completed(site, "both") == 1)

    site.jobs(ONE + TWO + BOTH.replace('["one", "two"]', '["one"]'))

    until(lambda: site.json("status", "both")["jobs"][0]["schedule"] == "after one")
    until(lambda: site.log(scheduler).count("both changed") == 2)
    trigger(site, "one")
    until(lambda: completed(site, "both") == 2)


@pytest.mark.usefixtures("inline")
def test_status_and_next_show_it_as_the_schedule(site: Site) -> None:
    site.jobs(ONE + TWO + BOTH, CODE)

    (shown,) = site.json("status", "both")["jobs"]
    due = site.call("next", "both")
    skipped = site.call("stop", "both", "--skip-next")
    stopped, started = site.call("stop", "both"), site.call("start", "both")

    assert (shown["schedule"], shown["status"], shown["next_run"], shown["note"]) == (
        "after one, two", "scheduled", None, None,
    )  # fmt: skip
    assert due.returncode == 2
    assert "both has no due times: it runs after one, two" in due.stderr
    assert "jobctl next one" in due.stderr
    assert skipped.returncode == 2
    assert (stopped.returncode, started.returncode) == (0, 0)
    assert "both: back on the schedule" in started.stderr


@pytest.mark.usefixtures("inline")
def test_the_schedule_of_a_job_that_only_the_run_store_knows_is_shown(site: Site) -> None:
    site.jobs(ONE + TWO + BOTH, CODE)
    site.call("stop", "both")
    site.jobs(ONE)

    (shown,) = [job for job in site.json("status")["jobs"] if job["id"] == "both"]

    assert shown["schedule"] == "after one, two"
    assert "it runs after one, two" in site.call("next", "both").stderr


@pytest.mark.usefixtures("inline")
def test_a_cycle_is_refused_by_every_command(site: Site) -> None:
    site.jobs(ONE + 'after = ["both"]\n' + TWO + BOTH, CODE)

    for words in ("run", "check", "trigger two", "next two"):
        done = site.call(*words.split())
        assert done.returncode == 2, done
        assert "jobctl.toml:7: [jobs.one].after: the jobs run after each other: one after both after one" in (
            " ".join(done.stderr.split())
        )


ONLY_LOCAL = "only jobctl run starts a job after others; give it every or cron"


@pytest.mark.slow
@pytest.mark.usefixtures("inline")
def test_vercel_does_not_start_it_and_the_commands_tell(site: Site) -> None:
    site.jobs(ONE + TWO + BOTH + '[jobs.off]\ncall = "work:work"\nafter = ["one"]\nenabled = false\n', CODE)
    site.environment["VERCEL"] = "1"

    export = site.call("export", "vercel", "there")
    check = site.call("check", "settings")
    (shown,) = site.json("status", "both")["jobs"]
    done = site.call("trigger", "both")

    assert f"both is left out: {ONLY_LOCAL}" in " ".join(export.stderr.split())
    assert "off" not in export.stderr
    assert f"both is not scheduled: {ONLY_LOCAL}" in " ".join(check.stderr.split())
    assert shown["note"] == "only jobctl run starts a job after others"
    assert done.returncode == 0
