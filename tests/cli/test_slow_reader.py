"""Output that is read slowly, or not at all: the jobs do not wait for it, and what was left out is counted."""

import json
import os
import pty
import re
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from tests.support.project import Site, until
from tests.support.screen import Terminal

CODE = """
import time
from pathlib import Path

def tick():
    with open("ticks", "a") as file:
        file.write(f"{time.time()}\\n")

def chat(lines=2000):
    for number in range(lines):
        print(f"line {number} " + "x" * 60)

def bad():
    raise ValueError("no luck")

def flood():
    chat(4000)
"""
TICK = '[jobs.tick]\nevery = "1s"\ncall = "work:tick"\n'
CHATTY = '[jobs.chatty]\nevery = "1s"\ncall = "work:chat"\n'
ONCE = '[jobs.chatty]\nevery = "1d"\ncall = "work:chat"\n'


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(TICK + CHATTY, CODE)
    return site


def ticks(site: Site) -> list[float]:
    """When the job ran, by its own journal."""
    file = site.folder / "ticks"
    return [float(one) for one in file.read_text().split()] if file.exists() else []


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of one. Nobody reads it."""
    ours, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(60)


def is_every_slot_run(site: Site) -> bool:
    """Whether no slot of the job between its first and its last is missing."""
    slots = sorted({one["scheduled_for"] for one in site.runs("tick") if one["scheduled_for"]})
    times = [datetime.fromisoformat(one) for one in slots]
    return times[-1] - times[0] == timedelta(seconds=len(times) - 1)


@pytest.mark.slow
def test_a_terminal_that_no_one_reads_delays_no_job(site: Site) -> None:
    with terminal() as (_, theirs):
        scheduler = site.popen("run", stdout=theirs, stderr=theirs, env={"TERM": "xterm"})
        os.close(theirs)
        until(lambda: len(ticks(site)) >= 3)
        seen = len(ticks(site))
        until(lambda: len(ticks(site)) >= seen + 5)

        assert stop(scheduler) == 0
    assert is_every_slot_run(site)
    assert {one["status"] for one in site.runs()} == {"completed"}
    site.nothing_left()


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--log-format", "json")])
def test_a_pipe_that_no_one_reads_delays_no_job(words: tuple[str, ...], site: Site) -> None:
    site.jobs(TICK + CHATTY + '[jobs.bad]\nevery = "1s"\ncall = "work:bad"\n', CODE)
    reader, writer = os.pipe()
    scheduler = site.popen("run", *words, "-v", stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader) as output:
        until(lambda: len(ticks(site)) >= 1)
        until(lambda: len(site.runs("chatty", "--limit", "0")) >= 8 and len(ticks(site)) >= 8)
        scheduler.send_signal(signal.SIGTERM)
        lines = output.read().splitlines()

    assert scheduler.wait(60) == 0
    assert is_every_slot_run(site)
    failures = [one for one in lines if "ValueError: no luck" in one]
    # a run that the stop found before it began fails for another reason
    failed = [run for run in site.runs("bad") if "no luck" in run["error"]]
    assert len([one for one in failures if "failed" in one]) == len(failed)
    assert ("run_finished" if words else "scheduler stopped") in lines[-1] or "scheduler_stopped" in lines[-1]
    if words:
        assert all(json.loads(one)["ts"] for one in lines)


def test_a_pipe_that_is_read_loses_nothing(site: Site) -> None:
    site.jobs(ONCE, CODE)
    scheduler = site.run("-v")
    until(lambda: "completed" in site.log(scheduler))

    assert stop(scheduler) == 0
    result = [
        one.partition("[chatty] line ")[2].split()[0]
        for one in site.log(scheduler).splitlines()
        if "] line " in one
    ]
    assert result == [str(number) for number in range(2000)]


@pytest.mark.slow
def test_a_flood_above_the_table_is_counted(site: Site) -> None:
    site.jobs('[jobs.chatty]\nevery = "1d"\ncall = "work:flood"\n', CODE)
    at = Terminal(site, ["run"], rows=30, columns=120)
    at.until(lambda _: b"not shown" in at.bytes and b"line 3999 " in at.bytes)
    at.child.sendintr()

    assert at.end() == 0
    assert b"lines not shown; jobctl logs chatty has them" in at.bytes
    assert len(set(re.findall(rb"line (\d+) ", at.bytes))) < 4000
    assert at.bytes.rstrip().endswith(b"stopped: 1 run, 0 interrupted")
    hidden, shown = at.bytes.find(b"\x1b[?25l"), at.bytes.find(b"\x1b[?25h")
    assert hidden < shown < at.bytes.index(b"JOB"), "the cursor is there at once: Ctrl-Z may come at any time"
    assert at.bytes.count(b"\x1b[?25l") == 1


@pytest.mark.slow
def test_a_triggered_run_is_recorded_whoever_reads(site: Site) -> None:
    reader, writer = os.pipe()
    trigger = site.popen("trigger", "chatty", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    until(lambda: [one["status"] for one in site.runs()] == ["completed"])
    assert trigger.poll() is None

    with os.fdopen(reader) as output:
        lines = output.read().splitlines()

    assert trigger.wait(60) == 0
    assert [one.split()[1] for one in lines] == [str(number) for number in range(2000)]
    assert trigger.stderr is not None
    with trigger.stderr as messages:
        assert "completed" in messages.read().splitlines()[-1]


@pytest.mark.slow
def test_a_trigger_that_no_one_reads_can_be_ended(site: Site) -> None:
    reader, writer = os.pipe()
    trigger = site.popen("trigger", "chatty", stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    until(lambda: [one["status"] for one in site.runs()] == ["completed"])

    assert stop(trigger) == 0
    os.close(reader)
