"""What must hold after any fault, as a user sees it: through the command line alone."""

from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from jobctl.runs.choose import open_store
from tests.support.project import Site, until


def audit(site: Site) -> list[dict[str, Any]]:
    """No slot twice, no job over itself, nothing running that is dead, totals equal to the runs, nobody left.

    Answers with every run, oldest first. To be asked once no scheduler and no trigger is alive.
    """
    runs = sorted(site.runs(), key=lambda run: run["started_at"])
    assert [run for run in runs if run["status"] == "running"] == []
    slots = Counter((run["job_id"], run["scheduled_for"]) for run in runs if run["scheduled_for"])
    assert [slot for slot, times in slots.items() if times > 1] == []
    _apart(runs)
    _totals(site, runs)
    assert not site.json("status")["scheduler"]["running"]
    site.nothing_left()
    return runs


def none_lost(site: Site, runs: list[dict[str, Any]], job: str, every: timedelta) -> None:
    """Every slot between the first and the last was run, skipped, or counted as missed."""
    slots = sorted(
        _time(run["scheduled_for"]) for run in runs if run["job_id"] == job and run["scheduled_for"]
    )
    if slots:  # else all was asked for by hand
        between = round((slots[-1] - slots[0]) / every) + 1
        assert {(slot - slots[0]) % every for slot in slots} == {timedelta(0)}
        assert between <= len(slots) + missed(site, job)


def missed(site: Site, job: str) -> int:
    """What the run store has counted."""
    with closing(open_store(site.folder / ".jobctl")) as store:
        record = store.job(job)
    assert record is not None
    return record.missed


def settled(site: Site) -> None:
    """Wait until every run that a kill cut short is told as lost: a look sees to it, within seconds."""
    until(lambda: not [run for run in site.runs() if run["status"] == "running"])


def _apart(runs: list[dict[str, Any]]) -> None:
    """A run that was lost has no end of its own: it ended when it was found."""
    ends: dict[str, datetime] = {}
    for run in runs:
        if run["status"] == "skipped":
            continue
        job = run["job_id"]
        assert _time(run["started_at"]) >= ends.get(job, _time(run["started_at"])), run
        if run["reason"] != "lost":
            ends[job] = _time(run["finished_at"])


def _totals(site: Site, runs: list[dict[str, Any]]) -> None:
    metrics = site.json("metrics")
    count = Counter(run["status"] for run in runs)
    assert metrics["total_executions"] == count["completed"] + count["failed"]
    assert (metrics["successful_jobs"], metrics["failed_jobs"]) == (count["completed"], count["failed"])
    for job in metrics["jobs"]:
        own = [run for run in runs if run["job_id"] == job["id"] and run["status"] != "skipped"]
        assert job["total_executions"] == len(own)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
