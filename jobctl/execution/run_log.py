"""What a run prints: decoded, made printable, masked, and kept in a file of bounded size."""

import codecs
import io
import os
from collections import deque
from datetime import UTC, datetime
from pathlib import Path

from jobctl.execution.calling import LARGEST_ERROR, MAX_ERROR
from jobctl.settings.masking import Mask
from jobctl.store import logs
from jobctl.text import printable

HEAD = 512 * 1024
TAIL = 256 * 1024
LONGEST_LINE = 8 * 1024
_MORE_FOLLOWS = (
    f"more output follows; when the run has ended, jobctl logs shows the newest {TAIL // 1024} KiB of it"
)


class RunLog:
    """The output of one attempt: ``<folder>/<job-id>/<run-id>.log``, created when there is any.

    Each line is kept as ``2026-11-23T09:10:00.123Z [job-id] text``: UTC, decoded, printable, masked.
    Of more than ``HEAD`` bytes the first ``HEAD``, up to the end of a line, and the newest ``TAIL`` are kept, with
    lines that say so and how much was left out; the newest part is written at the end. A line is masked only once it
    is complete, and cut only after masking, so that no part of a secret remains. A link in place of a folder or the
    file is not followed. A log that cannot be written does not fail the run: a line at its end reports it.
    """

    def __init__(self, folder: Path, job_id: str, run_id: str, mask: Mask, attempt: int = 1) -> None:
        self._folder = folder
        self._run_id = run_id
        self._job_id = job_id
        self._mask = mask
        self._attempt = attempt
        self._decoder: io.IncrementalNewlineDecoder | None = None  # most runs print nothing
        self._pending = ""  # as it was printed: a secret may go on in what follows
        self._read = 0
        self._is_full = False
        self._tail: deque[tuple[datetime, bytes]] = deque()
        self._tail_size = 0
        self._left_out = 0
        self._file: int | None = None
        self._error: str | None = None
        self.written = 0  # bytes

    def feed(self, data: bytes, at: datetime) -> list[str]:
        """Add what was printed; returns the lines to show now."""
        if self._is_full:
            self._keep_newest(data, at)
            return []
        room = HEAD - self._read
        self._read += len(data)
        end = len(data) if len(data) < room else data.find(b"\n", max(0, room - 1)) + 1 or len(data)
        lines = self._lines(data[:end])
        if len(data) >= room and lines:  # else a line, or a secret, goes on across the bound
            self._is_full = True
            lines.append(_MORE_FOLLOWS)
            self._keep_newest(self._unread() + data[end:], at)
        self._write(lines, at)
        return lines

    def add(self, line: str, at: datetime) -> list[str]:
        """Add a line of jobctl; returns the lines to show now."""
        lines = [*self._flushed(), self._safe(line)]
        self._write(lines, at)
        return lines

    def close(self, at: datetime) -> list[str]:
        """Write what is left; returns the lines to show."""
        shown = self._flushed()
        self._write(shown, at)
        if self._tail:
            self._write_tail(at)
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._error is not None:
            shown.append(f"the log of this run could not be kept: {self._error}")
        return shown

    def _lines(self, data: bytes) -> list[str]:
        """Complete lines, and the pieces of a line that is too long. Masked as one text, so that a secret of several
        lines is found too if it was written at once.
        """
        whole, end, rest = (self._pending + self._decoded(data)).rpartition("\n")
        lines = self._mask(whole).split("\n") if end else []
        at, window = 0, LONGEST_LINE + self._mask.longest
        while len(rest) - at > window:
            piece, left = self._mask.split(rest[at : at + window], LONGEST_LINE)
            lines.append(piece)
            at += window - len(left)
        self._pending = rest[at:]
        return [printable(line) for line in lines]

    def _unread(self) -> bytes:
        """What was read and is in no line yet."""
        rest, self._pending = self._pending.encode("utf-8", "backslashreplace"), ""
        if self._decoder is not None:
            rest += self._decoder.getstate()[0]
            self._decoder.reset()
        return rest

    def _decoded(self, data: bytes, *, final: bool = False) -> str:
        if self._decoder is None:
            utf_8 = codecs.getincrementaldecoder("utf-8")("backslashreplace")
            self._decoder = io.IncrementalNewlineDecoder(utf_8, translate=True)
        return self._decoder.decode(data, final)

    def _flushed(self) -> list[str]:
        rest = self._pending + (self._decoded(b"", final=True) if self._decoder else "")
        self._pending = ""
        return [self._safe(line) for line in rest.removesuffix("\n").split("\n")] if rest else []

    def _safe(self, text: str) -> str:
        return "\n".join(map(printable, self._mask(text).split("\n")))

    def _keep_newest(self, data: bytes, at: datetime) -> None:
        if not data:
            return
        self._tail.append((at, data))
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0][1]) >= TAIL:
            gone = len(self._tail.popleft()[1])
            self._tail_size -= gone
            self._left_out += gone

    def _write_tail(self, at: datetime) -> None:
        over = max(0, self._tail_size - TAIL)
        skipped = bytearray()
        is_begun = not (over or self._left_out)
        for then, data in self._tail:
            kept = data
            if not is_begun:  # a line, and perhaps a secret, has lost its beginning
                end = data.find(b"\n", over) + 1
                skipped += data[: end or None]
                over = max(0, over - len(data))
                if not end:
                    continue
                kept, is_begun = data[end:], True
                self._note_omission(len(skipped), then)
            self._write(self._lines(kept), then)
        if not is_begun:  # one line without an end
            text = self._decoded(bytes(skipped[max(0, self._tail_size - TAIL) :]))
            _, self._pending = self._mask.split(text, min(len(text), self._mask.longest))
            self._note_omission(len(skipped) - len(self._pending.encode("utf-8", "backslashreplace")), at)
            self._write(self._lines(b""), at)
        self._write(self._flushed(), at)
        self._tail.clear()

    def _note_omission(self, more: int, at: datetime) -> None:
        self._left_out += more
        self._write([f"… {self._left_out:,} bytes of output are left out here …"], at)

    def _write(self, lines: list[str], at: datetime) -> None:
        if not lines or self._error is not None:
            return
        stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
        prefix = f"{stamp} [{self._job_id}] "
        data = memoryview("".join(f"{prefix}{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
        try:
            if self._file is None:
                self._file = self._open(prefix)
            self.written += len(data)
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self._error = error.strerror or str(error)

    def _open(self, prefix: str) -> int:
        file = logs.append(self._folder, self._job_id, self._run_id)
        if self._attempt > 1:
            os.write(file, f"{prefix}attempt {self._attempt}\n".encode())
        return file


def shown_error(text: str, mask: Mask) -> str:
    """An error on one line, ``MAX_ERROR`` characters of it, printable and without secrets."""
    whole = LARGEST_ERROR - mask.longest
    masked = mask.split(text, max(0, whole))[0] if len(text) >= LARGEST_ERROR else mask(text)
    return printable(" ".join(masked.split())[:MAX_ERROR])
