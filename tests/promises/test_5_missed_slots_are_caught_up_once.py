"""Promise 5: after a stop, one run makes up for all that was missed, where a job says so; each missed slot is reported."""

import sqlite3
from contextlib import closing

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
