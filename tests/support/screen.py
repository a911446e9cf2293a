"""A real terminal with the program in it, and what is to be seen there."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

from tests.support.project import Site


class Terminal:
    """A program at a terminal, and what is to be seen there."""

    def __init__(
        self,
        site: Site,
        words: list[str],
        rows: int = 24,
        columns: int = 80,
        module: str = "jobctl",
        stdout: Path | None = None,
        **environment: str,
    ) -> None:
        given = {**site.environment, "TERM": "xterm-256color", **environment}
        for name in ("NO_COLOR", "COLUMNS"):
            if name not in environment:
                given.pop(name, None)
        self.bytes = b""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            "/bin/sh",
            ["-c", f'exec "$0" "$@"{f" > {stdout}" if stdout else ""}', sys.executable, "-m", module, *words],
            cwd=str(site.folder),
            env=given,
            dimensions=(rows, columns),
            timeout=30,
        )

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    def until(self, seen: Callable[[list[str]], object]) -> list[str]:
        deadline = threading.Event()
        timer = threading.Timer(30, deadline.set)
        timer.start()
        try:
            while not deadline.is_set():
                self._read()
                if seen(self.lines):
                    self._read_rest()
                    if seen(self.lines):
                        return self.lines
            raise AssertionError("\n".join(self.lines))
        finally:
            timer.cancel()

    def end(self) -> int:
        """What it exits with; everything that it wrote before has been read."""
        while self._read():
            pass
        self.child.close()
        assert self.child.exitstatus is not None
        return self.child.exitstatus

    def resize(self, rows: int, columns: int) -> None:
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def _read_rest(self) -> None:
        """Read on until nothing comes for a moment: a frame may arrive in pieces."""
        for _ in range(20):
            before = len(self.bytes)
            if not self._read() or len(self.bytes) == before:
                break

    def _read(self) -> bool:
        try:
            new = self.child.read_nonblocking(65536, timeout=0.1)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.bytes += new
        self._stream.feed(new)
        return True


def state_of(lines: list[str], job: str) -> str:
    """The state column of a job's row, behind its sign, in the table under the log."""
    found = [line.split() for line in lines if line.startswith(f"{job} ")]
    return found[-1][2] if found else ""
