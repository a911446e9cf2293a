"""What a run prints: decoded, made printable, masked, and kept in a file of bounded size."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from jobctl.text import printable

HEAD = 512 * 1024
TAIL = 256 * 1024
LONGEST_LINE = 8 * 1024


class RunLog:
    """One run's log: its first 512 KiB, and of what follows the newest 256 KiB.

    Each line is kept as ``2026-11-23T09:10:00.123Z [job-id] text``. The file is made with the first line;
    what cannot be written (a full disk) is lost, and the run goes on.
    """

    def __init__(self, logs: Path, job_id: str, run_id: str, mask: Callable[[str], str]) -> None:
        self._path = logs / job_id / f"{run_id}.log"
        self._prefix = f"[{job_id}]"
        self._mask = mask
        self._file: int | None = None
        self._broken = False
        self._partial = b""
        self._room = HEAD
        self._tail = bytearray()
        self._beyond = 0

    def feed(self, data: bytes, at: datetime) -> list[str]:
        """Take what was printed; answers with the whole lines to show, none beyond the bound."""
        if self._room <= 0:
            self._keep_newest(data)
            return []
        *whole, self._partial = (self._partial + data).split(b"\n")
        while len(self._partial) > LONGEST_LINE:
            whole.append(self._partial[:LONGEST_LINE])
            self._partial = self._partial[LONGEST_LINE:]
        return self._write(whole, at)

    def say(self, line: str, at: datetime) -> list[str]:
        """A line of our own."""
        return (
            self.feed(f"{line}\n".encode(), at)
            if not self._partial
            else self.feed(f"\n{line}\n".encode(), at)
        )

    def close(self, at: datetime) -> list[str]:
        """Write what is left; answers with the lines to show."""
        shown = []
        if self._room > 0:
            if self._partial:
                shown = self._write([self._partial], at)
                self._partial = b""
        elif self._tail:
            left_out = self._beyond - len(self._tail)
            first, _, rest = bytes(self._tail).partition(b"\n") if left_out else (b"", b"", bytes(self._tail))
            self._append([f"… {left_out + len(first)} bytes left out …".encode(), *rest.splitlines()], at)
        if self._file is not None:
            os.close(self._file)
            self._file = None
        return shown

    def _write(self, lines: list[bytes], at: datetime) -> list[str]:
        taken = 0
        for line in lines:
            taken += 1
            self._room -= len(line) + 1
            if self._room <= 0:
                break
        shown = self._append(lines[:taken], at)
        if self._room <= 0:
            self._keep_newest(b"\n".join([*lines[taken:], self._partial]))
            self._partial = b""
            shown.append(f"(more than {HEAD // 1024} KiB were printed; the rest is not shown)")
        return shown

    def _append(self, lines: list[bytes], at: datetime) -> list[str]:
        texts = [
            self._mask(printable(line.rstrip(b"\r").decode("utf-8", "backslashreplace"))) for line in lines
        ]
        if texts and not self._broken:
            stamp = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z {self._prefix}"
            try:
                if self._file is None:
                    self._file = self._open()
                os.write(self._file, "".join(f"{stamp} {text}\n" for text in texts).encode())
            except OSError:
                self._broken = True
        return texts

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.parent.parent.chmod(0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path, flags, 0o600)

    def _keep_newest(self, data: bytes) -> None:
        self._beyond += len(data)
        self._tail += data[-TAIL:]
        if len(self._tail) > TAIL:
            del self._tail[: len(self._tail) - TAIL]
