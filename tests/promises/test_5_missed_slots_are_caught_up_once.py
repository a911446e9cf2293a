"""Promise 5: after a stop, one run makes up for all that was missed, where a job says so; each missed slot is reported."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.support.project import Site, until

pytestmark = pytest.mark.slow

HOUR = 3_600_000


def be_away(site: Site, hours: int) -> None:
    """As if the last stop had been that long ago."""
    with closing(sqlite3.connect(site.folder / ".jobctl" / "jobctl.db")) as store, store:
        store.execute(
            f"UPDATE jobs SET anchor = anchor - {hours * HOUR}, cursor = cursor - {hours * HOUR}"
            f" WHERE cursor IS NOT NULL"
        )


def test_after_a_stop(site: Site) -> None:
    site.jobs(
        '[jobs.caught]\nevery = "7m"\ncatch_up = true\ncall = "work:work"\n'
        '[jobs.waits]\nevery = "7m"\ncall = "work:work"\n',
        "def work():\n    pass\n",
    )
    first = site.run()
    until(lambda: len([run for run in site.runs() if run["status"] == "completed"]) == 2)
    first.terminate()
    assert first.wait() == 0
    be_away(site, 24)

    second = site.run()
    until(lambda: len(site.runs("caught")) == 2)
    until(lambda: "missed" in site.log(second))
    metrics = site.json("metrics")
    second.terminate()
    assert second.wait() == 0

    # 24 hours are 205 slots of 7 minutes and five minutes more, so that no slot is a minute old
    assert len(site.runs("waits")) == 1
    missed = {job["id"]: job["total_executions"] for job in metrics["jobs"]}
    assert (missed["caught"], missed["waits"]) == (2, 1)
    assert metrics["skipped"] == 204 + 205
    log = site.log(second)
    assert "missed 204" in log
    assert "missed 205" in log


EACH = '[jobs.report]\nevery = "1h"\ncatch_up = "each"\ncatch_up_limit = 6\ncall = "work:report"\n'
REPORT = """
import pathlib, time
from jobctl import current_run
def report():
    run = current_run()
    with open("reports.txt", "a") as file:
        print(run.slot.isoformat(), file=file)
    while pathlib.Path("wait").exists():
        time.sleep(0.05)
"""


def slots_of(runs: list[dict[str, Any]]) -> list[str]:
    return [run["scheduled_for"] for run in reversed(runs)]


@pytest.mark.parametrize("killed", [False, True])
def test_each_missed_slot_is_run_in_order_also_after_a_kill(site: Site, *, killed: bool) -> None:
    site.jobs(EACH, REPORT)
    first = site.run()
    until(lambda: [run["status"] for run in site.runs()] == ["completed"])
    first.terminate()
    assert first.wait() == 0
    site.forget_seconds(9.5 * 3600)

    if killed:
        (site.folder / "wait").touch()
    second = site.run()
    if killed:
        until(lambda: len((site.folder / "reports.txt").read_text().split()) == 2)
        second.kill()
        second.wait()
        (site.folder / "wait").unlink()
        second = site.run()
    until(lambda: len([run for run in site.runs() if run["status"] != "running"]) == 7)
    second.terminate()
    assert second.wait() == 0

    slots = slots_of(site.runs())[1:]
    assert slots == sorted(set(slots))
    assert len(slots) == 6
    times = [datetime.fromisoformat(slot) for slot in slots]
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(hours=1)}
    assert {run["status"] for run in site.runs()} <= {"completed", "failed" if killed else "completed"}
    assert site.json("metrics")["skipped"] == 3
    written = (site.folder / "reports.txt").read_text().split()[1:]
    assert [datetime.fromisoformat(slot) for slot in written] == times
