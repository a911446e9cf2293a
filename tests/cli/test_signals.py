"""Signals that mean nothing to a process end none of ours; SIGQUIT shows what its threads do."""

import os
import re
import select
import signal
import subprocess
from typing import Any

import pytest

from jobctl.signals import Stop
from tests.support.project import Site, until

HARMLESS = [
    getattr(signal, f"SIG{name}")
    for name in ("USR1", "USR2", "ALRM", "VTALRM", "PROF", "POLL", "PWR", "STKFLT", "TRAP", "SYS")
    if hasattr(signal, f"SIG{name}")
]
GATED = '[jobs.gated]\nevery = "1d"\ncall = "gated:wait"\n'


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(GATED)
    return site


def shake(pid: int) -> None:
    for number in [*HARMLESS, signal.SIGRTMIN, signal.SIGRTMAX, signal.SIGQUIT]:
        os.kill(pid, number)


def begun(site: Site) -> dict[str, Any]:
    """The run, once it is under way and its worker is known."""
    return until(lambda: [one for one in site.runs() if one["pid"]])[0]


def has_dumped(text: str) -> bool:
    """Whether the stacks of several threads are in a text, as file, line and function and nothing more."""
    stacks = re.findall(
        r'^(?:Current thread|Thread) 0x\w+ .*\n((?:  File ".*", line \d+ in .*\n)+)', text, re.MULTILINE
    )
    return len(stacks) > 1


@pytest.mark.slow
def test_the_scheduler_goes_on(site: Site) -> None:
    scheduler = site.run()
    begun(site)

    shake(scheduler.pid)
    until(lambda: has_dumped(site.log(scheduler)))
    site.write("gate", "")
    until(lambda: site.runs()[0]["status"] == "completed")
    scheduler.send_signal(signal.SIGTERM)

    assert scheduler.wait(60) == 0


def test_a_signal_without_meaning_does_not_keep_the_main_thread_awake() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with Stop(again=lambda: None) as stop:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert not stop.wait(10)
            assert select.select([stop._reader], [], [], 0)[0] == []
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.slow
def test_a_trigger_goes_on(site: Site) -> None:
    trigger = site.popen("trigger", "gated")
    begun(site)

    shake(trigger.pid)
    site.write("gate", "")
    shown, _ = trigger.communicate(timeout=60)

    assert trigger.returncode == 0
    assert has_dumped(shown)


@pytest.mark.slow
def test_a_worker_goes_on_and_its_stacks_are_in_the_log_of_the_run(site: Site) -> None:
    trigger = site.popen("trigger", "gated")
    worker = begun(site)["pid"]

    shake(worker)
    site.write("gate", "")
    shown, _ = trigger.communicate(timeout=60)

    assert trigger.returncode == 0
    assert has_dumped(shown)
    assert "in wait" in site.call("logs", "gated").stdout


def test_serve_goes_on(site: Site) -> None:
    server = site.popen("serve", "--port", "0", stderr=subprocess.PIPE)
    assert server.stderr is not None
    with server.stderr as messages:
        until(lambda: "serving http" in messages.readline())
        shake(server.pid)
        until(lambda: "most recent call first" in messages.readline())
        server.send_signal(signal.SIGHUP)

        assert server.wait(60) == 0
        messages.read()


def test_a_program_that_a_job_starts_has_the_defaults(site: Site) -> None:
    site.jobs('[jobs.own]\nevery = "1d"\ncommand = ["sh", "-c", "kill -USR1 $$"]\n')

    result = site.call("trigger", "own")

    assert result.returncode == 1
    assert "SIGUSR1" in result.stderr
