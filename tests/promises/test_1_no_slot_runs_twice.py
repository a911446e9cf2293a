"""Promise 1: no slot runs twice, no job overlaps itself, by however many processes."""

from collections import Counter

import pytest

from tests.support.project import Site, until

pytestmark = pytest.mark.slow


@pytest.fixture
def site(site_on_either_store: Site) -> Site:
    return site_on_either_store


TICK = '[jobs.tick]\nevery = "1s"\ncall = "work:tick"\n'


def test_two_schedulers_share_the_slots(site: Site) -> None:
    site.jobs(TICK, "import os\ndef tick():\n    open('ticks', 'a').write(f'{os.getpid()}\\n')\n")
    first, second = site.run(), site.run()

    until(lambda: len(site.runs("tick")) >= 6)
    for process in (first, second):
        process.terminate()
    assert [first.wait(), second.wait()] == [0, 0]

    runs = site.runs("tick")
    slots = Counter(run["scheduled_for"] for run in runs)
    assert set(slots.values()) == {1}
    done = [run for run in runs if run["status"] == "completed"]
    assert len((site.folder / "ticks").read_text().split()) == len(done)
    assert site.json("metrics")["total_executions"] == len(done)


def test_a_manual_run_does_not_overlap_the_schedule(site: Site) -> None:
    site.jobs(
        '[jobs.slow]\nevery = "1h"\ncall = "work:slow"\n', "import time\ndef slow():\n    time.sleep(60)\n"
    )
    site.run()
    until(lambda: site.json("status", "slow")["jobs"][0]["status"] == "running")

    refused = site.call("trigger", "slow")

    assert refused.returncode == 3
    assert "slow is already running for " in refused.stderr
    assert "nothing was started" in refused.stderr.replace("\n       ", " ").lower()
    assert len(site.runs("slow")) == 1


def test_of_many_at_once_one_runs(site: Site) -> None:
    site.jobs('[jobs.slow]\ncall = "work:slow"\n', "import time\ndef slow():\n    time.sleep(5)\n")

    tries = [site.popen("trigger", "slow", "-q") for _ in range(8)]

    assert sorted(process.wait() for process in tries) == [0] + [3] * 7
    assert [run["status"] for run in site.runs("slow")] == ["completed"]
