"""What a service manager hears of ``run`` and ``serve``, at a real socket."""

import contextlib
import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobctl.clock import SystemClock
from jobctl.systemd.sd_notify import ServiceManager
from tests.support.project import Site, until
from tests.support.service_manager import Ear

pytestmark = pytest.mark.slow

CODE = """
import json, os, time
from pathlib import Path

def look():
    Path("seen.json").write_text(json.dumps(dict(os.environ)))

def gated():
    while not Path("gate").exists():
        time.sleep(0.02)

def talks():
    while not Path("gate").exists():
        time.sleep(0.02)
    for _ in range(2000):
        print("x" * 200)
"""
LOOK = '[jobs.look]\nevery = "1s"\ncall = "work:look"\n'
GATED = '[jobs.gated]\nevery = "1h"\ncall = "work:gated"\n'
TALKS = '[jobs.talks]\nevery = "1h"\ncall = "work:talks"\n'
PATIENCE = 3.0  # so a loop that turns each second feeds in each turn


class Steady(SystemClock):
    """A clock that moves when it is result to."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture(params=["path", "abstract"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ear]:
    address = tmp_path / "notify" if request.param == "path" else f"@jobctl-test-{os.getpid()}-{id(request)}"
    with Ear(address) as listening:
        yield listening


def test_a_scheduler_is_ready_once_it_schedules_and_says_how_it_stands(site: Site, ear: Ear) -> None:
    site.jobs(GATED, CODE)
    scheduler = site.popen("run", env=ear.variables())

    assert ear.next("READY") == "1"
    assert site.json("status")["scheduler"]["running"]
    until(lambda: ear.next("STATUS") == "14 jobs, 1 running")
    (site.folder / "gate").touch()
    until(lambda: ear.next("STATUS") == "14 jobs, 0 running")
    scheduler.terminate()
    assert ear.next("STOPPING") == "1"
    assert ear.heard[-1]["STATUS"] == "stopping, 0 running"
    assert scheduler.wait(30) == 0
    assert not any("WATCHDOG" in one for one in ear.heard)


def test_a_scheduler_that_cannot_start_is_never_ready(site: Site, ear: Ear) -> None:
    site.jobs('[jobs.x]\nevery = "soon"\ncall = "a:b"\n')

    assert site.call("run", env=ear.variables(PATIENCE)).returncode == 2
    with pytest.raises(BlockingIOError):
        ear.next("READY", 0)


def test_the_loop_feeds_the_watchdog_and_goes_hungry_when_it_hangs(site: Site, tmp_path: Path) -> None:
    site.jobs(TALKS, CODE)
    with Ear(tmp_path / "notify") as ear:
        # its log is a pipe that nobody reads, which must not hold up the loop
        scheduler = site.popen("run", "--json", "--verbose", env=ear.variables(PATIENCE))
        for _ in range(3):
            assert ear.next("WATCHDOG") == "1"

        (site.folder / "gate").touch()
        until(lambda: site.runs("talks"))
        for _ in range(5):
            assert ear.next("WATCHDOG", PATIENCE) == "1"

        scheduler.send_signal(signal.SIGSTOP)
        ear.drain()
        with pytest.raises(TimeoutError):
            ear.next("WATCHDOG", PATIENCE)


@pytest.mark.parametrize("patience", [2.0, 3.0, 10.0, 120.0])
def test_the_watchdog_is_fed_twice_per_interval_by_a_loop_that_turns_each_second(
    ear: Ear, patience: float
) -> None:
    clock = Steady()
    manager = ServiceManager.of(ear.variables(patience, os.getpid()), clock)
    fed = []
    for turn in range(400):
        clock.seconds = float(turn)
        manager.ping_watchdog()
        with contextlib.suppress(BlockingIOError):
            ear.next("WATCHDOG", 0)
            fed.append(clock.seconds)

    gaps = [later - earlier for earlier, later in itertools.pairwise(fed)]
    assert max(gaps) <= patience / 2
    assert len(fed) <= 1 + 400 / max(1.0, patience / 2 - 1)


def test_a_watchdog_for_another_process_is_left_alone(site: Site, ear: Ear) -> None:
    site.jobs(LOOK, CODE)
    scheduler = site.popen("run", env=ear.variables(PATIENCE, pid=1))
    until(lambda: len(site.runs("look")) >= 4)
    scheduler.terminate()
    ear.next("STOPPING")

    assert not any("WATCHDOG" in one for one in ear.heard)


def test_no_job_can_speak_in_its_name(site: Site, ear: Ear) -> None:
    site.jobs(LOOK, CODE)
    site.popen("run", env=ear.variables(PATIENCE))
    file = site.folder / "seen.json"
    # the job empties the file before it writes
    seen = until(lambda: file.read_text() if file.exists() else "")

    assert "JOBCTL_WORKER" in seen
    assert "NOTIFY_SOCKET" not in seen
    assert "WATCHDOG" not in seen


def test_no_listener_does_no_harm(site: Site) -> None:
    site.jobs(LOOK, CODE)
    scheduler = site.popen("run", env={"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "soon"})
    until((site.folder / "seen.json").exists)
    scheduler.terminate()

    assert scheduler.wait(30) == 0


@pytest.mark.parametrize("named", [True, False])
def test_it_is_loaded_only_where_a_service_manager_listens(site: Site, tmp_path: Path, named: bool) -> None:
    site.jobs(LOOK, CODE)
    result = {"NOTIFY_SOCKET": str(tmp_path / "nobody")} if named else {}
    scheduler = site.popen("run", env={**result, "PYTHONPROFILEIMPORTTIME": "1"}, stderr=subprocess.PIPE)
    until((site.folder / "seen.json").exists)
    scheduler.terminate()

    assert ("jobctl.systemd.sd_notify" in scheduler.communicate(timeout=30)[1]) is named


def test_the_endpoints_are_ready_once_they_listen(site: Site, ear: Ear) -> None:
    site.jobs(LOOK, CODE)
    server = site.popen("serve", "--port", "0", env=ear.variables(PATIENCE))

    assert ear.next("READY") == "1"
    assert ear.heard[-1]["STATUS"].startswith("serving http://127.0.0.1:")
    assert ear.next("WATCHDOG") == "1"
    assert ear.next("WATCHDOG") == "1"
    server.terminate()
    assert ear.next("STOPPING") == "1"
    assert server.wait(30) == 0
