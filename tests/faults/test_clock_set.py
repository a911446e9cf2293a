"""The wall clock is set while jobs are on their schedules, and while no scheduler runs; and nights when clocks change.

By a seam in the program itself, which is always there, and by libfaketime (``apt install faketime``) where it is.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.audit import audit, jobs_that_tell
from tests.faults.budget import many
from tests.support.project import Site, until

FAKETIME = [
    *Path("/usr").glob("lib*/faketime/libfaketimeMT.so.1"),
    *Path("/usr").glob("lib/*/faketime/libfaketimeMT.so.1"),
]
BOTH = ("seam", "libfaketime")
BEST = BOTH[bool(FAKETIME)]
HOUR = timedelta(hours=1)
SEAM = """
import os
from datetime import timedelta
from pathlib import Path
from jobctl.clock import SystemClock

def now(self, real=SystemClock.now):
    return real(self) + timedelta(seconds=float(Path(os.environ["CLOCK"]).read_text()))

SystemClock.now = now
"""


class Wall:
    """The clock that the programs of a site see; it goes on from where it is set."""

    def __init__(self, site: Site, environment: dict[str, str]) -> None:
        self.environment = environment
        self._file = site.folder.parent / "clock"
        self.set(timedelta(0))

    def set(self, by: timedelta) -> None:
        """So much ahead of the machine's, or behind."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{by.total_seconds():+.0f}")
        new.replace(self._file)

    def at(self, time: str) -> None:
        self.set(datetime.fromisoformat(time) - datetime.now(UTC))


@pytest.fixture(params=["seam"])
def wall(request: pytest.FixtureRequest, site: Site) -> Wall:
    file = str(site.folder.parent / "clock")
    if request.param == "seam":
        site.write("sitecustomize.py", SEAM)
        return Wall(site, {"PYTHONPATH": str(site.folder), "CLOCK": file})
    if not FAKETIME:
        pytest.skip("libfaketime is not installed")
    steady = {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1"}
    return Wall(site, {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME_TIMESTAMP_FILE": file, **steady})


class Scheduler:
    """``jobctl run`` by that clock."""

    def __init__(self, site: Site, wall: Wall) -> None:
        self._site = site
        self._out = site.folder.parent / f"clock-{len(site.started)}.log"
        with self._out.open("w") as out:
            self._process = site.popen("run", "-v", stdout=out, env=wall.environment)
        until(lambda: "scheduler started" in self.log())

    def log(self) -> str:
        return self._out.read_text()

    def slots(self, job: str) -> Sequence[str]:
        """Those that were run, in order."""
        return [run["scheduled_for"] for run in self._site.runs(job)[::-1]]

    def goes_on(self, job: str) -> None:
        done = f"[{job}] completed"
        before = self.log().count(done)
        until(lambda: self.log().count(done) >= before + 2)

    def stop(self) -> None:
        self._process.terminate()
        assert self._process.wait(60) == 0


@pytest.mark.parametrize("wall", many(["seam"], BOTH), indirect=True)
def test_an_hour_forward_and_two_back(site: Site, wall: Wall) -> None:
    jobs_that_tell(site, {"tick": 0.01})
    scheduler = Scheduler(site, wall)
    scheduler.goes_on("tick")
    wall.set(HOUR)
    until(lambda: "the clock jumped " in scheduler.log())
    scheduler.goes_on("tick")
    wall.set(-HOUR)
    until(lambda: "the clock was set back by " in scheduler.log())
    scheduler.goes_on("tick")
    scheduler.stop()

    audit(site, gaps=True)
    assert scheduler.log().count("slots; it runs now") == 1
    assert 3590 <= site.json("metrics")["skipped"] <= 3600


def test_a_fixed_time_is_not_lived_twice(site: Site, wall: Wall) -> None:
    jobs_that_tell(site, {"tick": 0.01}, '[jobs.noon]\ncron = "0 12 * * *"\ncommand = ["true"]\n')
    scheduler = Scheduler(site, wall)
    wall.at("2030-03-01T11:59:59Z")
    until(lambda: "[noon] completed" in scheduler.log())
    wall.at("2030-03-01T11:59:57Z")
    until(lambda: "set back" in scheduler.log())
    scheduler.goes_on("tick")
    until(lambda: scheduler.slots("tick")[-1] > "2030-03-01T12:00:00")
    scheduler.stop()

    audit(site, gaps=True)
    assert scheduler.slots("noon") == ["2030-03-01T12:00:00+00:00"]


@pytest.mark.parametrize("wall", many([BEST], BOTH), indirect=True)
def test_set_back_while_no_scheduler_runs(site: Site, wall: Wall) -> None:
    jobs_that_tell(site, {"tick": 0.01})
    wall.set(24 * HOUR)
    ahead = Scheduler(site, wall)
    ahead.goes_on("tick")
    ahead.stop()
    wall.set(timedelta(0))

    back = Scheduler(site, wall)
    back.goes_on("tick")
    back.stop()

    assert "the clock was set back by 23h 59m" in back.log()
    audit(site, gaps=True)


@pytest.mark.parametrize(
    ("start", "moments", "fixed", "steps"),
    [
        (  # 02:00 is followed by 03:00: what is due in between is due at 03:00
            "2027-03-28T00:50:00Z",
            ["2027-03-28T00:59:59Z", "2027-03-28T01:29:59Z"],
            ["2027-03-28T01:00:00+00:00"],
            ["2027-03-28T01:00:00+00:00", "2027-03-28T01:30:00+00:00"],
        ),
        (  # 03:00 is followed by 02:00: 02:30 comes twice
            "2027-10-31T00:20:00Z",
            ["2027-10-31T00:29:59Z", "2027-10-31T00:59:59Z", "2027-10-31T01:29:59Z"],
            ["2027-10-31T00:30:00+00:00"],
            ["2027-10-31T00:30:00+00:00", "2027-10-31T01:00:00+00:00", "2027-10-31T01:30:00+00:00"],
        ),
    ],
)
def test_a_night_when_clocks_change(
    site: Site, wall: Wall, start: str, moments: list[str], fixed: list[str], steps: list[str]
) -> None:
    """A fixed time is run exactly once, a step keeps its rhythm."""
    zone = 'timezone = "Europe/Berlin"\ncommand = ["true"]\n'
    site.jobs(f'[jobs.fixed]\ncron = "30 2 * * *"\n{zone}[jobs.steps]\ncron = "*/30 * * * *"\n{zone}')
    wall.at(start)
    scheduler = Scheduler(site, wall)
    for number, moment in enumerate(moments, start=1):
        wall.at(moment)
        until(lambda number=number: scheduler.log().count("[steps] completed") == number)  # type: ignore[misc]
    scheduler.stop()

    audit(site)
    assert (scheduler.slots("fixed"), scheduler.slots("steps")) == (fixed, steps)
