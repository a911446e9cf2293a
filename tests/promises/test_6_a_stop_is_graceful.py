"""Promise 6: a signal starts nothing new, gives time, ends what stays, and records it."""

import signal
import threading

import pytest

from tests.support.project import Site, marked, until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

CODE = """
import pathlib, signal, subprocess, time
def gated():
    pathlib.Path("begun").touch()
    while not pathlib.Path("gate").exists():
        time.sleep(0.02)
def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "300"], start_new_session=True)
    pathlib.Path("begun").touch()
    time.sleep(300)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_ends_in_time_ends_by_itself(site: Site, number: signal.Signals) -> None:
    site.jobs('[jobs.gated]\nevery = "1h"\ncall = "work:gated"\n', CODE)
    scheduler = site.run()
    until((site.folder / "begun").exists)

    scheduler.send_signal(number)
    until(lambda: "stopping" in site.log(scheduler))
    (site.folder / "gate").touch()

    assert scheduler.wait(30) == 0
    assert [run["status"] for run in site.runs("gated")] == ["completed"]
    assert site.json("status")["scheduler"]["running"] is False
    site.nothing_left()


def test_what_does_not_is_ended_with_its_children(site: Site) -> None:
    site.jobs('[jobs.stubborn]\nevery = "1h"\ncall = "work:stubborn"\n', CODE)
    scheduler = site.run("--grace", "1s")
    until((site.folder / "begun").exists)

    scheduler.terminate()

    assert scheduler.wait(30) == 143
    (run,) = site.runs("stubborn")
    assert (run["status"], run["reason"]) == ("failed", "interrupted")
    site.nothing_left()


def test_a_second_signal_ends_at_once(site: Site) -> None:
    site.jobs('[jobs.stubborn]\nevery = "1h"\ncall = "work:stubborn"\n', CODE)
    scheduler = site.run("--grace", "10m")
    until((site.folder / "begun").exists)

    scheduler.send_signal(signal.SIGINT)
    until(lambda: "stopping" in site.log(scheduler))
    scheduler.send_signal(signal.SIGINT)

    assert scheduler.wait(30) == 130
    assert site.runs("stubborn")[0]["reason"] == "interrupted"
    site.nothing_left()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_manual_run_is_interrupted(site: Site, number: signal.Signals, code: int) -> None:
    site.jobs('[jobs.stubborn]\ncall = "work:stubborn"\n', CODE)
    trigger = site.popen("trigger", "stubborn")
    until((site.folder / "begun").exists)

    trigger.send_signal(number)
    pause = threading.Event()
    while trigger.poll() is None and not pause.wait(0.5):
        trigger.send_signal(number)

    # the last signal may arrive when the handlers are gone already: to a shell that is the same code
    assert trigger.wait(30) in {code, -number}
    assert site.runs("stubborn")[0]["reason"] == "interrupted"
    assert not marked(site.mark)


def test_a_scheduler_that_is_stopped_while_it_starts_leaves_nothing(site: Site) -> None:
    site.jobs('[jobs.gated]\nevery = "1h"\ncall = "work:gated"\n', CODE)
    for delay in (0.05, 0.15, 0.3, 0.6):
        scheduler = site.popen("run")
        threading.Event().wait(delay)
        scheduler.terminate()
        (site.folder / "gate").touch()
        output, _ = scheduler.communicate(timeout=30)
        assert scheduler.returncode in {0, 143, -signal.SIGTERM}, output
        assert "Traceback" not in output
    assert not [run for run in site.runs() if run["status"] == "running"]
    site.nothing_left()
