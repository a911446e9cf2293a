"""Starts schedulers and manual runs, and kills what it finds."""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from tests.support.project import Site, marked


class Kills:
    """Keeps so many schedulers alive, as long as they are let.

    Attributes:
        rounds: how often something was killed.
    """

    def __init__(self, site: Site, schedulers: int, jobs: Sequence[str]) -> None:
        self.rounds = 0
        self._site = site
        self._schedulers = schedulers
        self._jobs = jobs
        self._chance = random.Random()
        self._living: list[subprocess.Popen[str]] = []

    def go_on(self, seconds: float) -> None:
        """Kill for that time; what lives then is asked to stop, and must do so."""
        end = time.monotonic() + seconds
        pause = threading.Event()
        while time.monotonic() < end:
            self._living = [one for one in self._living if one.poll() is None]
            while len(self._living) < self._schedulers:
                self._start("run", "-q")
            if self._chance.random() < 0.3:
                self._start("trigger", self._chance.choice(self._jobs), "-q")
            pause.wait(self._chance.random() * self._chance.choice((0.2, 0.8, 2)))
            for victim, number in self._choose():
                with suppress(ProcessLookupError):
                    os.kill(victim, number)
            self.rounds += 1
        for one in self._living:
            one.terminate()
        for one in self._living:
            one.wait(60)

    def _start(self, *words: str) -> None:
        quiet = subprocess.DEVNULL
        self._living.append(self._site.popen(*words, stdout=quiet, stderr=quiet))

    def _choose(self) -> list[tuple[int, int]]:
        """A scheduler or trigger itself, any process that they have started, or all at once."""
        everybody = marked(self._site.mark)
        if not everybody or self._chance.random() < 0.1:
            return [(one, signal.SIGKILL) for one in everybody]
        number = self._chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        if self._living and self._chance.random() < 0.5:
            return [(self._chance.choice(self._living).pid, number)]
        return [(self._chance.choice(everybody), number)]
