"""Applications that embed jobctl, each in a real process, left by every way there is."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Any

import pytest

from jobctl.model import Run
from tests.support.project import Site, until

# A scheduler in a fresh folder: `jobs.py` holds what a worker process can import.
JOBS = """
import os, pathlib, time

def quick():
    return 1

def slow():
    pathlib.Path("slow-began").touch()
    time.sleep(0.7)

def endless():
    pathlib.Path("endless-began").touch()
    time.sleep(600)
"""
BEGIN = """
import os, pathlib, signal, sys, threading, time
from datetime import timedelta
from jobctl import get_job_manager

def until(path):
    while not pathlib.Path(path).exists():
        time.sleep(0.01)

manager = get_job_manager()
"""


class App:
    """A Python program in a folder of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.folder = site.folder
        site.write("jobs.py", JOBS)

    def begin(
        self, code: str = "", *arguments: str, before: str = BEGIN, **more: Any
    ) -> subprocess.Popen[str]:
        """Start it: ``python app.py``, or ``python`` with these arguments."""
        if code:
            self.site.write("app.py", before + code)
        process = subprocess.Popen(
            [sys.executable, *(arguments or ["app.py"])],
            cwd=self.folder,
            env={**self.site.environment, **more.pop("env", {})},
            stdin=more.pop("stdin", subprocess.DEVNULL),
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=more.pop("stderr", subprocess.PIPE),
            text=True,
            **more,
        )
        self.site.started.append(process)
        return process

    def until_there(self, name: str, process: subprocess.Popen[str]) -> None:
        until(lambda: (self.folder / name).exists() or process.poll() is not None)
        assert (self.folder / name).exists(), process.communicate()

    def end(self, process: subprocess.Popen[str], *, within: float = 30) -> tuple[int, str, str]:
        """Wait for its end: exit code, standard output and error. No process of it may be left."""
        out, error = process.communicate(timeout=within)
        self.site.nothing_left()
        return process.returncode, out, error

    def run(self, code: str, **more: Any) -> tuple[int, str, str]:
        return self.end(self.begin(code, **more))

    def runs(self, job_id: str) -> list[tuple[str, str | None]]:
        """Status and reason of each run of a job, newest first."""
        return [(str(one.status), one.reason and str(one.reason)) for one in self.kept(job_id)]

    def kept(self, job_id: str) -> list[Run]:
        return list(self.site.runs_kept(job_id))


@pytest.fixture
def app(site: Site) -> Iterator[App]:
    """A program; nothing of it outlives the test."""
    app = App(site)
    yield app
    for process in site.started:
        for pipe in (process.stdin, process.stderr):
            close(pipe)


def close(pipe: IO[str] | None) -> None:
    if pipe is not None:
        pipe.close()


TERMINATED = -signal.SIGTERM
INTERRUPTED = -signal.SIGINT
