"""Schedulers and workers that are stopped for a while and go on, as on a machine that sleeps."""

import sqlite3
import subprocess
import threading
from contextlib import closing

from tests.faults.audit import audit, jobs_that_tell, told
from tests.faults.budget import many
from tests.support.project import Site, frozen, marked, until

PAUSE_S = many(2.5, 90.0)


def stop(scheduler: subprocess.Popen[str]) -> None:
    scheduler.terminate()
    assert scheduler.wait(60) == 0


def test_a_single_scheduler_reports_what_it_missed(site: Site) -> None:
    jobs_that_tell(site, {"tick": 0.01})
    scheduler = site.run()
    until(lambda: told(site, "tick") >= 2)
    with frozen(lambda: [scheduler.pid]):
        threading.Event().wait(PAUSE_S)
        before = told(site, "tick")

    until(lambda: told(site, "tick") >= before + 2)
    stop(scheduler)

    assert "missed" in site.log(scheduler)
    audit(site)
    assert site.json("metrics")["skipped"] >= PAUSE_S - 2


def may_be_written(site: Site) -> bool:
    """Whether no process that is stopped holds the run store's lock."""
    store = sqlite3.connect(site.folder / ".jobctl" / "jobctl.db", timeout=2, isolation_level=None)
    with closing(store):
        try:
            store.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        store.execute("ROLLBACK")
    return True


def goes_on_without(site: Site, paused: subprocess.Popen[str]) -> bool:
    """Stop one of two for a while; False where it was running the job, or writing: then the other has to wait."""
    with frozen(lambda: [paused.pid]):
        if not may_be_written(site) or any(run["status"] == "running" for run in site.runs("tick")):
            return False
        threading.Event().wait(PAUSE_S / 2)
        before = told(site, "tick")
        until(lambda: told(site, "tick") > before)
    return True


def test_beside_another_nothing_is_missed_or_run_twice(site: Site) -> None:
    jobs_that_tell(site, {"tick": 0.01, "medium": 0.4}, every="3s")
    first, second = site.run(), site.run()
    until(lambda: told(site, "tick") >= 2)
    for paused in (first, second):
        until(lambda paused=paused: goes_on_without(site, paused))  # type: ignore[misc]
    stop(first)
    stop(second)

    runs = [run for run in audit(site) if run["job_id"] == "tick"]
    assert {run["status"] for run in runs} <= {"completed", "skipped"}
    assert "missed" not in site.log(first) + site.log(second)


def test_all_of_a_machine_and_a_run_goes_on_where_it_was(site: Site) -> None:
    jobs_that_tell(site, {"tick": 0.01, "long": 2.0})
    scheduler = site.run()
    until(lambda: told(site, "long", "begin"))
    with frozen(lambda: marked(site.mark)):
        threading.Event().wait(PAUSE_S)
    until(lambda: told(site, "long") >= 1)
    before = told(site, "tick")
    until(lambda: told(site, "tick") > before)
    stop(scheduler)

    audit(site, reasons=())


def test_a_worker_beyond_its_timeout_is_ended(site: Site) -> None:
    site.jobs(
        '[jobs.stops]\nevery = "1h"\ntimeout = "1s"\ngrace = "500ms"\ncall = "work:stops"\n',
        "import os, signal\ndef stops():\n    os.kill(os.getpid(), signal.SIGSTOP)\n",
    )
    scheduler = site.run()
    until(lambda: "timed out after 1s" in site.log(scheduler))
    stop(scheduler)

    runs = audit(site, reasons={"timeout"})
    assert [run["reason"] for run in runs if run["job_id"] == "stops"] == ["timeout"]
