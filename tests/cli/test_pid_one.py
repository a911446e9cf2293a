"""The program as PID 1 of a container, in a pid namespace: no zombie stays, signals count, exit codes are true."""

import os
import signal
import sys

import pexpect
import pytest

from tests.support.machine import MACHINE, boot, has_machines, pid_one, zombies
from tests.support.project import Site, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.skipif(not has_machines(), reason="pid namespaces cannot be made here"),
]

CODE = """
import os, signal, subprocess, time
from pathlib import Path

def deserts():
    # daemons that no mark betrays, orphaned at once by the death of the worker that should have reaped them
    for _ in range(3):
        subprocess.Popen(["sh", "-c", "setsid sleep 0.2 & setsid sleep 0.1 & sleep 0.3"], env={"PATH": os.environ["PATH"]})
    time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)

def gated():
    Path("began").touch()
    while not Path("gate").exists():
        time.sleep(0.02)

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path("began").touch()
    time.sleep(300)
"""
NOTIFY = '[notify]\ncommand = ["sh", "-c", "exit 3"]\n'
DESERTS = '[jobs.deserts]\nevery = "1s"\ncall = "work:deserts"\n'
SEVEN = '[jobs.seven]\nevery = "1s"\ncommand = ["sh", "-c", "(exit 9) & (exit 8); exit 7"]\n'


def hourly(job: str) -> str:
    return f'[jobs.{job}]\nevery = "1h"\ncall = "work:{job}"\n'


def test_orphans_are_reaped_and_every_exit_code_is_the_jobs_own(site: Site) -> None:
    site.jobs(DESERTS + SEVEN + NOTIFY, CODE)
    log = site.folder.parent / "log"
    with log.open("w") as out:
        machine = boot(site, "run", stdout=out)
    first = pid_one(machine)

    until(lambda: len(site.runs("--failed")) >= 10)
    until(lambda: not zombies(first))
    os.kill(first, signal.SIGTERM)

    assert machine.wait(30) == 0
    assert {run["error"] for run in site.runs("seven")} == {'"sh" exited with code 7'}
    assert {run["reason"] for run in site.runs("deserts")} == {"crashed"}
    assert log.read_text().count("was not notified: it exited with code 3") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_and_the_stop_is_graceful(site: Site, number: signal.Signals) -> None:
    site.jobs(hourly("gated"), CODE)
    log = site.folder.parent / "log"
    with log.open("w") as out:
        machine = boot(site, "run", stdout=out)
    until((site.folder / "began").exists)

    os.kill(pid_one(machine), number)
    until(lambda: "stopping: 1 run has" in log.read_text())
    (site.folder / "gate").touch()

    assert machine.wait(30) == 0
    assert [run["status"] for run in site.runs("gated")] == ["completed"]


def test_a_second_signal_ends_at_once(site: Site) -> None:
    site.jobs(hourly("stubborn"), CODE)
    log = site.folder.parent / "log"
    with log.open("w") as out:
        machine = boot(site, "run", "--grace", "10m", stdout=out)
    until((site.folder / "began").exists)
    first = pid_one(machine)

    os.kill(first, signal.SIGTERM)
    until(lambda: "stopping: 1 run has" in log.read_text())
    os.kill(first, signal.SIGTERM)

    assert machine.wait(30) == 143
    assert [run["reason"] for run in site.runs("stubborn")] == ["interrupted"]


def test_ctrl_c_at_its_terminal_counts_once(site: Site) -> None:
    site.jobs(hourly("gated"), CODE)
    command = [*MACHINE, sys.executable, "-m", "jobctl", "run", "--no-live"]
    terminal = pexpect.spawn(
        command[0], command[1:], cwd=str(site.folder), env=site.environment, encoding="utf-8", timeout=30
    )
    try:
        until((site.folder / "began").exists)
        terminal.sendintr()
        terminal.expect("1 run has 30s to end")
        (site.folder / "gate").touch()
        terminal.expect("stopped: 1 run, 0 interrupted")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close(force=True)
    assert terminal.exitstatus == 0


def test_a_signal_that_comes_while_it_loads_is_not_lost(site: Site) -> None:
    machine = boot(site, "run")

    os.kill(pid_one(machine), signal.SIGTERM)

    assert machine.wait(30) in {0, 143}


@pytest.mark.parametrize(("job", "code"), [("deserts", 1), ("seven", 1), ("no-job", 2)])
def test_a_manual_run_exits_by_its_result(site: Site, job: str, code: int) -> None:
    site.jobs(DESERTS + SEVEN, CODE)

    assert boot(site, "trigger", job).wait(30) == code


def test_the_endpoints_end_well_too(site: Site) -> None:
    site.jobs(SEVEN)
    log = site.folder.parent / "log"
    with log.open("w") as out:
        machine = boot(site, "serve", "--port", "0", stdout=out)
    until(lambda: "serving http" in log.read_text())

    os.kill(pid_one(machine), signal.SIGTERM)

    assert machine.wait(30) == 0
