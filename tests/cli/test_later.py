"""Runs that are kept for later, ``backfill``, and the list of who did what."""

import getpass
import socket
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.cli.completion import candidates
from jobctl.model import WaitingRun
from jobctl.store.base import RunStore
from jobctl.store.records import Claim
from tests.support.project import Site, until
from tests.support.terminal import Cli, Past

PROJECT = """
[jobs.manual]
call = "work:manual"

[jobs.report]
cron = "0 9 * * *"
call = "work:report"

[jobs.minutely]
cron = "* * * * *"
enabled = false
call = "work:report"

[jobs.lacking]
call = "work:report"
needs = ["THAT_NOBODY_SETS"]
"""
CODE = """
import time
from pathlib import Path
from jobctl import current_run

def manual(n: int = 1, token: str = ""):
    print("n is", n)

def report():
    run = current_run()
    with open("reports.txt", "a") as file:
        print(run.slot.isoformat(), run.previous_slot, file=file)
    while Path("wait").exists():
        time.sleep(0.02)
    if Path("broken").exists():
        raise ValueError("broken")
"""
ME = f"{getpass.getuser()}@{socket.gethostname()}"
WEEK = ("--from", "2026-11-01", "--to", "2026-11-05")


@pytest.fixture
def project(here: Path, cli: Cli) -> Cli:
    (here / "jobctl.toml").write_text(PROJECT)
    (here / "work.py").write_text(CODE)
    return cli


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(PROJECT, CODE)
    return site


def test_a_later_run_is_shown_until_it_begins(project: Cli) -> None:
    done = project("trigger", "manual", "--at", "2087-01-01T09:00Z", "n=3")

    (run,) = project("runs", "--waiting", "--json").json["waiting"]
    assert done.code == 0
    assert f"manual: run {run['run_id'][:8]} begins Wed 2087-01-01 " in done.stderr
    assert "no scheduler is running. Start it: jobctl run" in done.stderr
    assert (run["job_id"], run["begins_at"], run["arguments"]) == (
        "manual",
        "2087-01-01T09:00:00+00:00",
        {"n": 3},
    )
    assert (run["actor"], run["trigger"], run["scheduled_for"]) == (ME, "manual", None)
    (job,) = project("status", "manual", "--json").json["jobs"]
    assert (job["waiting"], job["next_run"]) == (1, "2087-01-01T09:00:00+00:00")
    assert "kept for later: 2 runs, the first begins" not in project("next", "report").stderr
    project("trigger", "report", "--in", "2h")
    project("trigger", "report", "--in", "1h")
    noted = project("next", "report")
    assert "kept for later: 2 runs, the first begins " in noted.stderr
    assert len(project("next", "report", "--json").json["waiting"]) == 2
    assert project("runs").stdout.count("\n") == 1  # the header: nothing has run


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("manual", "--at", "2020-01-01"), '--at "2020-01-01" is past'),
        (("manual", "--at", "soon"), '--at "soon" is not a time'),
        (("manual", "--in", "0s"), '--in is at least 1 s, not "0s"'),
        (("manual", "--in", "1h", "--at", "2087-01-01"), "--at and --in exclude each other"),
        (("manual", "--in", "1h", "n=x"), 'manual: the argument "n" takes a whole number, not "x"'),
        (("manual", "--in", "1h", "--timeout", "5m"), "a later run takes no --timeout, --no-retry, --force or --local"),
        (("manual", "--in", "1h", "token=sk_live_4eC39HqLyjWDarjtT1zdp7dc"), "hold a secret, which is not kept"),
        (("unknown", "--in", "1h"), 'there is no job "unknown"'),
        (("lacking", "--in", "1h"), "lacking was not run: "),
    ],
)  # fmt: skip
def test_what_cannot_run_later_is_refused(project: Cli, words: tuple[str, ...], problem: str) -> None:
    done = project("trigger", *words)
    assert done.code in {2, 4}
    assert problem in done.stderr
    assert project("runs", "--waiting", "--json").json["waiting"] == []
    assert project("runs", "--actions", "--json").json["actions"] == []


def test_a_secret_of_the_job_itself_is_not_kept(project: Cli, here: Path) -> None:
    (here / "jobctl.toml").write_text(
        PROJECT.replace(
            'call = "work:manual"', 'call = "work:manual"\nenvironment = { API_TOKEN = "correct-horse-7" }'
        )
    )
    for words in (("trigger", "manual", "--in", "1h"), ("trigger", "manual", "--at", "2087-01-01")):
        done = project(*words, "token=correct-horse-7")
        assert (done.code, "the arguments of manual hold a secret" in done.stderr) == (2, True)
    assert b"correct-horse-7" not in (here / ".jobctl" / "jobctl.db").read_bytes()


def test_without_a_scheduler_of_ours_nothing_is_kept(project: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERCEL", "1")
    on_vercel = project("trigger", "manual", "--in", "1h")
    assert "manual cannot be run later: Vercel Cron starts jobs on their schedules only" in on_vercel.stderr
    monkeypatch.delenv("VERCEL")
    monkeypatch.setenv("DISABLE_AUTO_SYNC", "true")
    disabled = project("backfill", "report", *WEEK)
    assert "report was not run: " in disabled.stderr
    assert {on_vercel.code, disabled.code} == {4}


def test_a_later_run_is_cancelled_before_it_begins(project: Cli) -> None:
    project("trigger", "manual", "--in", "1h", "n=7")
    (kept,) = project("runs", "--waiting", "--json").json["waiting"]

    done = project("cancel", kept["run_id"][:8], "--reason", "not needed")

    assert (done.code, done.stderr) == (0, "manual: 1 run cancelled before it began\n")
    assert project("runs", "--waiting", "--json").json["waiting"] == []
    run = project("runs", kept["run_id"], "--json").json
    assert (run["status"], run["reason"], run["arguments"]) == ("cancelled", "cancelled", {"n": 7})
    assert run["error"] == f"cancelled by {ME}: not needed, before it began"
    again = project("cancel", kept["run_id"])
    assert (again.code, "has ended: cancelled" in again.stderr) == (3, True)


def test_a_run_that_waits_is_found_by_its_id(project: Cli) -> None:
    kept = project("trigger", "manual", "--in", "1h", "n=7", "--json").json
    short = kept["run_id"][:8]

    assert project("runs", short, "--json").json["waiting"] == [kept]
    assert [row["RUN"] for row in project("runs", short).rows] == [kept["run_id"]]
    for command in ("rerun", "status", "logs"):
        refused = project(command, short)
        assert refused.code == 3, command
        assert f"run {short} of manual has not begun: it waits until " in refused.stderr


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_run_that_begins_while_it_is_cancelled_is_asked_to_end(
    project: Cli, here: Path, monkeypatch: pytest.MonkeyPatch, *, has_ended: bool
) -> None:
    kept = project("trigger", "manual", "--in", "1h", "--json").json
    cancel = RunStore.cancel
    past = Past(here)

    def begins_first(store: RunStore, *arguments: Any, **options: Any) -> bool:
        if store.waiting():
            (run,) = store.waiting()
            claim = Claim(run.id, run.job_id, run.trigger, past.now, waits=True, force=True, actor=run.actor)
            past.store.claim(past.owner, [claim])
            if has_ended:
                past.end(run.id)
        return cancel(store, *arguments, **options)

    monkeypatch.setattr(RunStore, "cancel", begins_first)
    with closing(past.store):
        done = project("cancel", kept["run_id"], "--no-wait")

    assert "cancelled" not in done.stderr
    if has_ended:
        assert (done.code, "has ended: completed" in done.stderr) == (3, True)
    else:
        assert (done.code, done.stderr) == (0, f"manual: run {kept['run_id'][:8]} is asked to end\n")


@pytest.mark.parametrize("next_begins", [False, True])
def test_a_backfill_is_cancelled_while_its_run_in_progress_ends(
    project: Cli, here: Path, monkeypatch: pytest.MonkeyPatch, *, next_begins: bool
) -> None:
    batch = project("backfill", "report", *WEEK, "--json").json["batch"]
    cancel_batch = RunStore.cancel_batch
    past = Past(here)

    def begin(run: WaitingRun) -> None:
        claim = Claim(run.id, run.job_id, run.trigger, past.now, waits=True, force=True, batch=run.batch)
        past.store.claim(past.owner, [claim])

    def first_ends(store: RunStore, *arguments: Any, **options: Any) -> int:
        past.end(first.id)
        if next_begins:
            begin(second)
        return cancel_batch(store, *arguments, **options)

    with closing(past.store):
        first, second = past.store.waiting()[:2]
        begin(first)
        monkeypatch.setattr(RunStore, "cancel_batch", first_ends)
        done = project("cancel", batch, "--no-wait")

    assert done.code == 0, done.stderr
    if next_begins:
        assert "report: 3 runs cancelled before they began" in done.stderr
        assert f"report: run {second.id[:8]} is asked to end" in done.stderr
    else:
        assert done.stderr == "report: 4 runs cancelled before they began\n"


def test_a_job_is_cancelled_with_all_that_waits(project: Cli) -> None:
    project("trigger", "manual", "--in", "1h")
    project("trigger", "manual", "--in", "2h")
    project("trigger", "report", "--in", "2h")

    done = project("cancel", "manual")

    assert (done.code, done.stderr) == (0, "manual: 2 runs cancelled before they began\n")
    assert [run["job_id"] for run in project("runs", "--waiting", "--json").json["waiting"]] == ["report"]


def test_the_list_of_actions(project: Cli) -> None:
    project("trigger", "manual")
    (first,) = project("runs", "--json").json["runs"]
    project("rerun", first["run_id"])
    project("stop", "report", "--reason", "holidays")
    project("resume", "report")

    actions = project("runs", "--actions", "--json").json["actions"]

    assert first["actor"] == ME
    assert [(each["action"], each["job_id"], each["reason"]) for each in actions] == [
        ("start", "report", None),
        ("stop", "report", "holidays"),
        ("rerun", "manual", f"as in run {first['run_id'][:8]}"),
        ("trigger", "manual", None),
    ]
    assert {each["actor"] for each in actions} == {ME}
    assert project("runs", "report", "--actions").stdout.count("report") == 2
    assert project("runs", "--actions", "--limit", "1").stdout.count("\n") == 2


def test_a_dry_run_lists_the_slots(project: Cli) -> None:
    done = project("backfill", "report", *WEEK, "--dry-run", "--json")
    assert [run["scheduled_for"] for run in done.json["runs"]] == [
        f"2026-11-0{day}T09:00:00+00:00" for day in range(1, 6)
    ]
    assert "report: 5 slots; nothing was started: a dry run" in done.stderr
    assert project("runs", "--waiting", "--json").json["waiting"] == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("manual", *WEEK), "manual has no schedule, so it has no past slots"),
        (("minutely", "--from", "2026-01-01", "--to", "2026-02-01"), "46,080 slots"),
        (("report", "--from", "2026-11-05", "--to", "2026-11-01"), "is not before"),
        (("report", "--from", "2087-01-01"), "is not before"),
        (("report", "--from", "yesterday"), '--from "yesterday" is not a time'),
    ],
)
def test_a_backfill_of_nothing_is_refused(project: Cli, words: tuple[str, ...], problem: str) -> None:
    done = project("backfill", *words)
    assert (done.code, problem in done.stderr) == (2, True), done.stderr
    assert project("runs", "--waiting", "--json").json["waiting"] == []


@pytest.mark.slow
def test_a_later_run_is_started_by_a_scheduler(site_on_either_store: Site) -> None:
    site = site_on_either_store
    site.jobs(PROJECT, CODE)
    first = site.run()
    kept = site.json("trigger", "manual", "--in", "1s", "n=5")
    until(lambda: [run["status"] for run in site.runs("manual")] == ["completed"])
    first.kill()
    first.wait()
    later = site.json("trigger", "manual", "--in", "1s")
    site.run()
    until(lambda: [run["status"] for run in site.runs("manual")] == ["completed"] * 2)

    newest, oldest = site.runs("manual")
    assert (oldest["run_id"], oldest["arguments"], oldest["actor"]) == (kept["run_id"], {"n": 5}, ME)
    assert newest["run_id"] == later["run_id"]
    assert oldest["started_at"] >= kept["begins_at"]
    assert site.json("runs", "--waiting")["waiting"] == []


@pytest.mark.slow
def test_a_backfill_runs_each_slot_once_in_order(site: Site) -> None:
    site.run()
    (site.folder / "broken").touch()
    site.call("backfill", "report", "--from", "2026-11-02", "--to", "2026-11-02")
    until(lambda: [run["status"] for run in site.runs("report")] == ["failed"])
    (site.folder / "broken").unlink()
    (site.folder / "reports.txt").unlink()

    planned = site.json("backfill", "report", *WEEK, "--reason", "the archive was late")

    assert len(planned["runs"]) == 5
    until(lambda: len([run for run in site.runs("report") if run["status"] == "completed"]) == 5)
    runs = site.runs("report")[:5]
    assert {run["trigger"] for run in runs} == {"backfill"}
    assert {run["batch"] for run in runs} == {planned["batch"]}
    failed = site.runs("report")[5]
    assert [run["rerun_of"] for run in reversed(runs)] == [None, failed["run_id"], None, None, None]
    lines = (site.folder / "reports.txt").read_text().splitlines()
    slots = [line.partition(" ")[0] for line in lines]
    assert slots == [f"2026-11-0{day}T09:00:00+00:00" for day in range(1, 6)]

    nothing = site.call("backfill", "report", *WEEK)
    assert "every slot has completed, runs, waits or is excluded" in nothing.stderr
    again = site.json("backfill", "report", "--from", "2026-11-04", "--to", "2026-11-04", "--again")
    assert [run["rerun_of"] for run in again["runs"]] == [runs[1]["run_id"]]
    until(lambda: len(site.runs("report")) == 7)


@pytest.mark.slow
def test_a_backfill_goes_on_after_a_kill_and_is_cancelled_as_a_whole(site: Site) -> None:
    scheduler = site.run()
    (site.folder / "wait").touch()
    batch = site.json("backfill", "report", *WEEK)["batch"]
    reports = site.folder / "reports.txt"
    until(lambda: reports.exists() and reports.read_text().endswith("\n"))
    scheduler.kill()
    scheduler.wait()
    site.run()
    until(lambda: reports.read_text().count("\n") == 2)

    cancelled = site.call("cancel", batch[:8], "--now")

    assert cancelled.returncode == 0, cancelled.stderr
    assert "report: 3 runs cancelled before they began" in cancelled.stderr
    assert site.json("runs", "--waiting")["waiting"] == []
    assert [run["status"] for run in site.runs("report")] == ["cancelled", "failed"]
    (action, *_) = site.json("runs", "--actions")["actions"]
    assert action["action"] == "cancel"


def test_times_are_read_in_the_zone_of_the_job(project: Cli, here: Path) -> None:
    (here / "jobctl.toml").write_text(
        PROJECT.replace('cron = "0 9 * * *"', 'cron = "0 9 * * *"\ntimezone = "Pacific/Auckland"')
    )
    done = project("backfill", "report", "--from", "2026-11-03", "--to", "2026-11-03", "--dry-run", "--json")
    (run,) = done.json["runs"]
    there = datetime.fromisoformat(run["scheduled_for"]).astimezone(UTC)
    assert there + timedelta(hours=13) == datetime(2026, 11, 3, 9, tzinfo=UTC)


def test_the_options_and_arguments_of_later_runs_are_completed(project: Cli) -> None:
    def offered(*words: str) -> list[str]:
        return [name for name, _ in candidates(list(words))]

    assert {"--at", "--in"} <= {*offered("trigger", "manual", "--")}
    assert {"--waiting", "--actions"} <= {*offered("runs", "--")}
    assert {"--from", "--to", "--again", "--dry-run", "--reason"} <= {*offered("backfill", "report", "--")}
    assert offered("backfill", "rep") == offered("cancel", "rep")
    assert "report" in offered("cancel", "rep")
    assert [name for name in offered("backfill", "manual", "") if name.startswith(("n=", "token="))]


def test_quietly_only_results_are_printed(project: Cli) -> None:
    done = [
        project("trigger", "manual", "--in", "1h", "-q"),
        project("backfill", "report", *WEEK, "--dry-run", "-q", "--json"),
        project("cancel", "manual", "-q"),
    ]
    assert [each.stderr for each in done] == ["", "", ""]
    assert [each.stdout for each in done[::2]] == ["", ""]
    assert len(done[1].json["runs"]) == 5


def test_runs_of_a_job_that_was_removed_are_shown_and_cancelled(project: Cli, here: Path) -> None:
    kept = project("trigger", "manual", "--in", "1h", "--json").json
    (here / "jobctl.toml").write_text(PROJECT.replace("jobs.manual", "jobs.renamed"))

    assert project("runs", "--waiting", "--json").json["waiting"] == [kept]
    assert project("runs", "manual", "--waiting", "--json").json["waiting"] == [kept]
    shown = {job["id"]: job["waiting"] for job in project("status", "--json").json["jobs"]}
    assert (shown["manual"], shown["renamed"]) == (1, 0)
    assert project("cancel", "manual").stderr == "manual: 1 run cancelled before it began\n"
    assert "manual" not in {job["id"] for job in project("status", "--json").json["jobs"]}


@pytest.mark.slow
def test_a_scheduler_for_one_job_starts_no_waiting_run_of_others(site: Site) -> None:
    site.json("trigger", "manual", "--in", "1s")
    site.json("trigger", "report", "--in", "1s")
    site.run("--only", "manual")
    until(lambda: [run["status"] for run in site.runs("manual")] == ["completed"])
    (left,) = site.json("runs", "--waiting")["waiting"]
    assert left["job_id"] == "report"
    assert site.runs("report") == []


@pytest.mark.slow
def test_a_run_that_waits_in_a_store_that_is_replaced_is_gone_and_later_ones_are_started(site: Site) -> None:
    site.run()
    site.json("trigger", "manual", "--in", "1h")
    for file in (site.folder / ".jobctl").glob("jobctl.db*"):
        file.unlink()
    until(lambda: site.json("runs", "--waiting")["waiting"] == [])
    until(lambda: site.json("status")["scheduler"]["running"])

    site.json("trigger", "manual", "--in", "1s")

    until(lambda: [run["status"] for run in site.runs("manual")] == ["completed"])
