"""The journal of mails on their way: what a killed process had claimed and not yet sent is found again.

A job claims rows in the database, then mails; the two cannot be one transaction. So it writes down
first what it is going to claim, and with which mark; then that it hands a mail over; then that it is
done. One JSON line each, appended whole: they survive ``kill -9``, and, as claims are synced to disk,
a power cut before any mail of theirs went out. The file is this machine's alone.
"""

import fcntl
import json
import os
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from jobctl.errors import ServiceError, reason_of
from jobctl.files import REFUSES_LOCKS, lock_refusal, open_private, private_folder

_MOST_SENT = 200_000


class Step(StrEnum):
    """How far a mail has come."""

    CLAIMED = "claimed"
    HANDING = "handing"
    DONE = "done"


class Left(NamedTuple):
    """A row that an earlier process claimed and never finished. ``mark`` is what it wrote into the row."""

    id: str
    mark: datetime
    step: Step


class Outgoing:
    """One job's journal, held by one process at a time.

    Beside it, ``sent`` keeps the keys of what was sent: a database that was restored from a copy knows of them no more.

    Raises:
        ServiceError: another process holds it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._record = path.with_suffix(".sent")
        self._file = self._sent_file = -1
        self.sent: set[str] = set()

    def __enter__(self) -> Self:
        try:
            private_folder(self._path.parent)
            self._file = open_private(self._path, os.O_RDWR | os.O_APPEND)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sent_file = self._open_record()
        except OSError as error:
            self._close()
            if isinstance(error, BlockingIOError):
                raise ServiceError("another process is sending these mails right now") from error
            raise _cannot(self._path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.left():
            os.ftruncate(self._file, 0)
        self._close()

    def left(self) -> list[Left]:
        """What is not done. A line that was torn by a kill belongs to a claim that was never made."""
        found: dict[str, Left] = {}
        for line in self._path.read_bytes().split(b"\n"):
            try:
                entry = json.loads(line)
                mark = entry.get("mark")
                for one in entry["ids"]:
                    if mark is not None:
                        found[one] = Left(one, datetime.fromisoformat(mark), Step.CLAIMED)
                    elif entry["step"] == Step.DONE:
                        found.pop(one, None)
                    elif one in found:
                        found[one] = found[one]._replace(step=Step(entry["step"]))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        return list(found.values())

    def claim(self, ids: Iterable[str], mark: datetime) -> None:
        """Before the rows are claimed."""
        self._write({"ids": list(ids), "mark": mark.isoformat()})
        os.fdatasync(self._file)

    def handing(self, row_id: str) -> None:
        """Before the mail's content leaves this process."""
        self._write({"ids": [row_id], "step": Step.HANDING})

    def note_sent(self, key: str) -> None:
        """A mail was taken; ``key`` is one line."""
        self.sent.add(key)
        os.write(self._sent_file, f"{key}\n".encode())

    def done(self, ids: Iterable[str]) -> None:
        """They are sent, or released, or were never ours."""
        self._write({"ids": list(ids), "step": Step.DONE})

    def _open_record(self) -> int:
        """Read the keys, the newest of them where they have become many, and go on behind them."""
        descriptor = open_private(self._record, os.O_RDWR | os.O_APPEND)
        with open(descriptor, "rb", closefd=False) as file:
            keys = file.read().decode(errors="replace").splitlines()
        if len(keys) > _MOST_SENT:
            keys = keys[-_MOST_SENT // 2 :]
            os.ftruncate(descriptor, 0)
            os.write(descriptor, "".join(f"{key}\n" for key in keys).encode())
        self.sent = set(keys)
        return descriptor

    def _write(self, entry: dict[str, Any]) -> None:
        # the line end comes first: a torn line before it cannot swallow this one
        data = b"\n" + json.dumps(entry).encode()
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(28, "the disk is full")
        except OSError as error:
            raise _cannot(self._path, error) from error

    def _close(self) -> None:
        for descriptor in {self._file, self._sent_file} - {-1}:
            os.close(descriptor)
        self._file = self._sent_file = -1


def _cannot(path: Path, error: OSError) -> ServiceError:
    reason = lock_refusal(path) if error.errno in REFUSES_LOCKS else reason_of(error)
    return ServiceError(f"the journal {path} cannot be written: {reason}")
