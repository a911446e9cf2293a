"""A project on disk and the real program, as a user at a terminal has them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from typer.testing import CliRunner

from jobctl.cli.app import app
from jobctl.model import Run
from jobctl.store.open import open_store

T = TypeVar("T")

SOON = 30.0
ALONE = "[jobs.repository-sync]\nenabled = false\n[jobs.analytics-cache-cleanup]\nenabled = false\n"


def until(look: Callable[[], T], seconds: float = SOON) -> T:
    """Look again and again until there is something true to see: what other processes do has no event here.

    Between looks it rests for twice as long as one takes, so that what is waited for has the machine.
    """
    pause = threading.Event()
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        found = look()
        if found:
            return found
        now = time.monotonic()
        if now > end:
            raise AssertionError(f"not within {seconds} s: {look!r}")
        pause.wait(min(0.5, max(0.02, 2 * (now - began))))


def marked(text: str) -> list[int]:
    """Living processes whose environment holds ``text``."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and text.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to processes; those that have ended meanwhile are left out."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def frozen(processes: Callable[[], Iterable[int]]) -> Iterator[None]:
    """Stop processes while the block runs, and those that were starting when the first were stopped."""
    stopped: set[int] = set()
    while new := {*processes()} - stopped:
        send(new, signal.SIGSTOP)
        stopped |= new
    try:
        yield
    finally:
        send(stopped, signal.SIGCONT)


class Site:
    """A project's folder. Every process started here carries ``mark`` in its environment.

    Attributes:
        prefix: the program that starts ours, where there is one.
        inline: ``call`` runs the command in this process, for tests of what it answers.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = f"JOBCTL_TEST_SITE={folder.parent.name}-{os.getpid()}"
        name, _, value = self.mark.partition("=")
        self.environment = {**os.environ, name: value}
        self.prefix: list[str] = []
        self.inline = False
        self.started: list[subprocess.Popen[str]] = []

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def jobs(self, toml: str, code: str = "") -> None:
        """The project's own jobs; the built-in ones that need nothing are switched off."""
        self.write("jobctl.toml", ALONE + toml)
        if code:
            self.write("work.py", code)

    def popen(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "jobctl", *arguments],
            cwd=self.folder,
            env={**self.environment, **more.pop("env", {})},
            stdin=subprocess.DEVNULL,
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=more.pop("stderr", subprocess.STDOUT),
            text=True,
            errors="surrogateescape",
            **more,
        )
        self.started.append(process)
        return process

    def call(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        if self.inline and "--no-wait" not in arguments:  # which starts this process's own words again
            return self._inline(*arguments, **more)
        return self._python("-m", "jobctl", *arguments, **more)

    def python(self, code: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return self._python("-c", code, **more)

    def _inline(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        lacking = dict.fromkeys(os.environ.keys() - self.environment.keys())
        with chdir(self.folder):
            done = CliRunner().invoke(app, arguments, env={**lacking, **self.environment, **(env or {})})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def _python(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, sys.executable, *arguments],
            cwd=self.folder,
            env={**self.environment, **more.pop("env", {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=60,
            check=False,
            **more,
        )

    def json(self, *arguments: str) -> Any:
        done = self.call(*arguments, "--json")
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise AssertionError(done) from None

    def runs(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("runs", "--limit", "0", *arguments)["runs"]
        return found

    def forget_seconds(self, seconds: float) -> None:
        """As if all that the store knows of jobs had been so much earlier."""
        past = f"anchor = anchor - {seconds * 1000:.0f}, cursor = cursor - {seconds * 1000:.0f}"
        with closing(sqlite3.connect(self.folder / ".jobctl" / "jobctl.db")) as connection, connection:
            connection.execute(f"UPDATE jobs SET {past}")

    def runs_kept(self, job_id: str) -> Sequence[Run]:
        """Read from the store itself: the command line refuses while the project file is broken."""
        with closing(open_store(self.folder / ".jobctl")) as store:
            return store.runs(job_id, limit=None)

    def run(self, *arguments: str) -> subprocess.Popen[str]:
        """``jobctl run`` in the background, once it is up; its output goes to ``run-N.log``."""
        log = self.folder.parent / f"run-{len(self.started)}.log"
        with log.open("w") as out:
            process = self.popen("run", *arguments, stdout=out)
        quiet = bool({"-q", "--json", "json"} & {*arguments})
        until(lambda: process.poll() is not None or self._is_up(log, quiet=quiet))
        assert process.poll() is None, log.read_text()
        return process

    def _is_up(self, log: Path, *, quiet: bool) -> bool:
        """Said in its log, unless the log is quiet."""
        told = "scheduler started" in log.read_text(errors="replace")
        return told or (quiet and self.json("status")["scheduler"]["running"])

    def log(self, process: subprocess.Popen[str]) -> str:
        return (self.folder.parent / f"run-{self.started.index(process)}.log").read_text(errors="replace")

    def nothing_left(self) -> None:
        until(lambda: not marked(self.mark))

    def clean_up(self) -> None:
        """Nothing outlives the test."""
        for process in self.started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        send(marked(self.mark), signal.SIGKILL)
