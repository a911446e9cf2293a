"""What becomes of a slot while a run blocks it; jobs that must not run together; jitter."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from jobctl.model import Job, Schedule
from jobctl.scheduler.agenda import Agenda
from jobctl.schedules import Cron, Every
from tests.support.project import Site, until

CODE = """
import os, time
def note(word):
    with open("order", "a") as file:
        file.write(word)
def slow():
    note("(")
    time.sleep(2.5)
    note(")")
def held():
    note("(")
    while not os.path.exists("gate"):
        time.sleep(0.05)
    note(")")
def other():
    note("[")
    time.sleep(0.3)
    note("]")
"""


@pytest.mark.slow
def test_a_slot_that_queues_runs_when_the_way_is_free(site: Site) -> None:
    site.jobs('[jobs.slow]\nevery = "1s"\ncall = "work:slow"\noverlap = "queue"\n', CODE)
    scheduler = site.run()

    until(lambda: len(site.runs("slow")) >= 3)
    scheduler.terminate()
    scheduler.wait()

    runs = site.runs("slow")
    assert {run["status"] for run in runs} <= {"completed", "interrupted", "failed"}
    assert "()(" in (site.folder / "order").read_text()
    assert site.json("metrics", "slow")["skipped"] >= 1  # the older of those that waited
    assert len({run["scheduled_for"] for run in runs}) == len(runs)


@pytest.mark.slow
def test_jobs_of_a_group_never_run_together(site: Site) -> None:
    jobs = ('[jobs.{}]\nevery = "1s"\ncall = "work:{}"\ngroup = "one"\noverlap = "{}"\n'.format(*one)
            for one in (("slow", "slow", "skip"), ("other", "other", "queue")))  # fmt: skip
    site.jobs("".join(jobs), CODE)
    first, second = site.run(), site.run()

    until(lambda: len([run for run in site.runs("other") if run["status"] == "completed"]) >= 2)
    refused = (
        site.call("trigger", "other")
        if site.json("status", "slow")["jobs"][0]["status"] == "running"
        else None
    )
    for process in (first, second):
        process.terminate()
        process.wait()

    order = (site.folder / "order").read_text().replace("()", "").replace("[]", "")
    assert order in {"", "(", "["}, "together"
    if refused is not None and refused.returncode == 3:
        assert "other must not run beside it: slow is already running" in refused.stderr.replace(
            "\n       ", " "
        )


def test_a_group_holds_for_manual_runs_too(site: Site) -> None:
    site.jobs(
        '[jobs.slow]\ncall = "work:held"\ngroup = "one"\n[jobs.other]\ncall = "work:other"\ngroup = "one"\n',
        CODE,
    )
    running = site.popen("trigger", "slow")
    until((site.folder / "order").exists)

    refused = site.call("trigger", "other")
    site.write("gate", "")
    running.wait()

    assert refused.returncode == 3
    assert "other must not run beside it: slow is already running" in refused.stderr.replace("\n       ", " ")
    assert (site.folder / "order").read_text() == "()"


@pytest.mark.slow
def test_a_skipped_slot_names_the_run_that_was_in_its_way(site: Site) -> None:
    site.jobs(
        '[jobs.slow]\ncall = "work:held"\ngroup = "one"\n'
        '[jobs.other]\nevery = "1s"\ncall = "work:other"\ngroup = "one"\n',
        CODE,
    )
    running = site.popen("trigger", "slow")
    until((site.folder / "order").exists)
    scheduler = site.run()
    (slow,) = site.runs("slow")
    skipped = until(lambda: [run for run in site.runs("other") if run["status"] == "skipped"])
    site.write("gate", "")
    running.wait()
    scheduler.terminate()
    scheduler.wait()

    words = f"run {slow['run_id'][:8]} of slow was unfinished"
    assert {run["error"] for run in skipped} == {words}
    assert f"reason=overlap {words}" in site.log(scheduler)
    assert words in site.call("runs", "other").stdout


START = datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_jitter_moves_the_beginning_and_never_the_slot() -> None:
    job = Job("x", "X", Cron("* * * * *"), "m:f", jitter=timedelta(seconds=30))
    agenda, elsewhere = Agenda(), Agenda()
    agenda.put(job, START, START)
    elsewhere.put(job, START, START)
    assert agenda.next_due() == elsewhere.next_due()
    found: list[tuple[datetime, timedelta]] = []
    while len(found) < 50:
        begins = agenda.next_due()
        assert begins is not None
        assert agenda.take_due(begins - timedelta(milliseconds=1)) == []
        (due,) = agenda.take_due(begins)
        agenda.advance(due.entry, due.slot)
        found.append((due.slot, begins - due.slot))

    assert [slot for slot, _ in found] == [START + timedelta(minutes=n) for n in range(1, 51)]
    assert all(timedelta(0) <= late <= timedelta(seconds=30) for _, late in found)
    assert max(Counter(late for _, late in found).values()) == 1


@pytest.mark.parametrize(
    ("schedule", "slots"),
    [
        (Every(3), [START + timedelta(seconds=3 * n) for n in range(1, 51)]),
        (Cron("0 9,10 * * *"), [START + timedelta(days=n // 2, hours=(n % 2)) for n in range(1, 51)]),
    ],
)
def test_jitter_that_is_longer_than_the_interval_loses_no_slot(
    schedule: Schedule, slots: list[datetime]
) -> None:
    agenda = Agenda()
    agenda.put(Job("x", "X", schedule, "m:f", jitter=timedelta(days=2)), START, START)
    found: list[datetime] = []
    while len(found) < 50:
        begins = agenda.next_due()
        assert begins is not None
        (due,) = agenda.take_due(begins)
        agenda.advance(due.entry, due.slot)
        assert due.should_run
        assert due.slot <= begins < schedule.next_after(due.slot, START)
        found.append(due.slot)

    assert found == slots


def test_after_a_sleep_the_newest_slot_is_the_one_whose_time_has_come() -> None:
    job = Job("x", "X", Cron("* * * * *"), "m:f", jitter=timedelta(minutes=1))
    for seconds in range(60):
        agenda = Agenda()
        agenda.put(job, START, START)
        now = START + timedelta(minutes=30, seconds=seconds)
        (due,) = agenda.take_due(now)
        begins = agenda.next_due()
        assert begins is not None
        assert due.slot < now < begins
        assert due.slot in {START + timedelta(minutes=30), START + timedelta(minutes=29)}
        (following,) = agenda.take_due(begins)
        assert following.slot == due.slot + timedelta(minutes=1)
