"""Schedulers, workers and triggers are killed at random, again and again; then everything must add up.

``JOBCTL_TEST_SECONDS`` says for how long; 12 in CI.
"""

import os
import random
import signal
import subprocess
import threading
import time
from datetime import timedelta

import pytest

from tests.faults.audit import audit, none_lost, settled
from tests.support.project import Site, marked

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(1800)]

SECONDS = float(os.environ.get("JOBCTL_TEST_SECONDS", "12"))
CODE = """
import os, random, subprocess, time

def journal(word):
    with open(f"{os.environ['NAME']}.journal", "a") as file:
        file.write(f"{word} {os.getpid()}\\n")

def work():
    journal("begin")
    if random.random() < 0.3:
        subprocess.Popen(["sleep", "300"], start_new_session=True)
    time.sleep(random.random() / 2)
    journal("end")
"""
JOBS = "".join(
    f'[jobs.{name}]\nevery = "1s"\ncatch_up = {catch_up}\ncall = "work:work"\nenvironment = {{ NAME = "{name}" }}\n'
    for name, catch_up in (("one", "true"), ("two", "false"), ("three", "true"))
)


class Kills:
    """Starts schedulers and triggers, and kills what it finds."""

    def __init__(self, site: Site, schedulers: int) -> None:
        self.site = site
        self.chance = random.Random()
        self.living: list[subprocess.Popen[str]] = []
        self.schedulers = schedulers
        self.rounds = 0

    def go_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        pause = threading.Event()
        while time.monotonic() < end:
            self.living = [one for one in self.living if one.poll() is None]
            while len(self.living) < self.schedulers:
                self.start("run", "-q")
            if self.chance.random() < 0.3:
                self.start("trigger", self.chance.choice(("one", "two", "three")), "-q")
            pause.wait(self.chance.random() * 0.8)
            self.kill()
            self.rounds += 1
        for one in self.living:
            one.kill()
            one.wait()

    def start(self, *words: str) -> None:
        quiet = subprocess.DEVNULL
        self.living.append(self.site.popen(*words, stdout=quiet, stderr=quiet))

    def kill(self) -> None:
        """Somebody of ours: a scheduler or trigger itself, or any process that they have started."""
        if self.living and self.chance.random() < 0.5:
            victim = self.chance.choice(self.living).pid
        else:
            victim = self.chance.choice(marked(self.site.mark) or [0])
        if victim:
            with_it = self.chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
            try:
                os.kill(victim, with_it)
            except ProcessLookupError:
                return


def in_turn(site: Site, name: str) -> None:
    """By the job's own journal: none ends that began before another began; it should have been dead by then."""
    running = ""
    for line in (site.folder / f"{name}.journal").read_text().splitlines():
        word, pid = line.split()
        if word == "begin":
            running = pid
        else:
            assert pid == running, "a run went on while another of the job had begun"


@pytest.mark.parametrize("schedulers", [1, 3])
def test_after_any_kills_everything_adds_up(site: Site, schedulers: int) -> None:
    site.jobs(JOBS, CODE)
    kills = Kills(site, schedulers)

    kills.go_on(SECONDS / 2)
    settled(site)

    runs = audit(site)
    assert kills.rounds
    print(f"{kills.rounds} rounds, {len(runs)} runs")
    for name in ("one", "two", "three"):
        in_turn(site, name)
        none_lost(site, runs, name, timedelta(seconds=1))
