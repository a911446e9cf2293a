"""Sends the mails of one job, each once, with a journal that survives a killed process.

A job claims rows in the database and then sends mails; the two cannot be one transaction. So the journal records
each step before it happens: rows are claimed (with the mark of the claim), a mail is handed over, a mail is done.
Each step is one JSON line, written with one call, and claims are synced to disk: they survive ``kill -9`` and a
power cut. The journal belongs to this machine.
"""

import fcntl
import json
import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from jobctl.errors import JobctlError, ServiceError, reason_of
from jobctl.files import REFUSES_LOCKS, lock_refusal, open_private, private_folder
from jobctl.project import ProjectContext
from jobctl.run_context import progress_if_any
from jobctl.site.mail.message import Attachment, Message, address_fault
from jobctl.site.mail.providers import mail_settings, note, open_transport
from jobctl.site.mail.render import render
from jobctl.site.mail.transport import MailRefusedError, UnknownOutcomeError

IN_DOUBT, NOT_SENT = "the mail may have been taken", "no mail could be sent"
_MOST_ERRORS = 50
_MOST_SENT = 200_000
_HANDED_OVER, _DONE = "handing", "done"


@dataclass(slots=True)
class MailTally:
    """The outcomes of a run's mails. At most 50 ``errors`` are kept, each with its kind, which holds no personal data."""

    sent: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def fail(self, error: str, kind: str) -> None:
        """Count a mail that was not sent, and report why."""
        self.failed += 1
        self.report(error, kind)

    def report(self, error: str, kind: str) -> None:
        """Print and keep an error."""
        print(f"warning: {error}")
        if len(self.errors) < _MOST_ERRORS:
            self.errors.append(error)
            self.kinds.append(kind)

    @property
    def details(self) -> dict[str, Any]:
        """For the details of a job's result; empty without errors."""
        return {"kinds": self.kinds} if self.kinds else {}


class Mailing:
    """Sends mails by the transport that the settings name, and keeps the journal.

    Args:
        kind: of the mails: the name of their template.
        journal: its name, if it is not ``kind``.

    Attributes:
        in_doubt: the row whose mail was handed over and not yet confirmed.
    """

    def __init__(self, project: ProjectContext, kind: str, journal: str | None = None) -> None:
        self.tally = MailTally()
        self.in_doubt: str | None = None
        self.journal = MailJournal(project.state / "outgoing" / f"{journal or kind}.jsonl")
        self._kind = kind
        self._project = project
        self._opened = ExitStack()
        self._settings = mail_settings(project.environment)
        self._current_row = ""
        if text := note(project.environment):
            print(f"note: {text}")
        self._transport = open_transport(project.environment, project.outbox, before_data=self._before_data)

    @property
    def place(self) -> str:
        """Where mails go, for people."""
        place = self._transport.place
        return self._project.relative(place) if self._transport.name == "outbox" else place

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.journal)
            stack.enter_context(self._transport)
            self._opened = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def left_behind(self) -> dict[datetime, list[str]]:
        """The rows that a killed process claimed and whose mail may still be sent, by the mark of the claim.

        A mail that was already handed over is sent again only if the provider drops repeats; else it is reported.
        """
        again: dict[datetime, list[str]] = {}
        for claim in self.journal.unfinished():
            if claim.handed_over and not self._transport.repeatable:
                self.tally.report(in_doubt_warning(claim.id), IN_DOUBT)
                self.journal.done([claim.id])
            else:
                again.setdefault(claim.mark, []).append(claim.id)
        return again

    def send(
        self,
        row_id: str,
        key: str,
        address: str,
        name: str,
        facts: dict[str, Any],
        *,
        attachment: Attachment | None = None,
    ) -> bool:
        """Send one mail. Returns False if it was refused and certainly not sent.

        Args:
            row_id: the database row that the mail is about.
            key: the idempotency key: a key that was sent before is not sent again.
            facts: the variables of the template.

        Raises:
            ServiceError, PermanentJobError: no mail can be sent now; ``UnknownOutcomeError`` if this mail may
                have been taken.
        """
        if key in self.journal.sent:
            print(f"note: {row_id}: this mail was sent before; it is not sent again")
            self.journal.done([row_id])
            return True
        if not address:
            self.tally.fail(f"{row_id}: the user has no mail address, or is deleted", "no mail address")
            return False
        if fault := address_fault(address):
            self.tally.fail(f"{row_id}: {fault}", "the mail address cannot be used")
            return False
        subject, html, text = render(self._kind, **facts, **self._settings._asdict())
        self._current_row = row_id
        try:
            self._transport.send(Message(address, subject, html, text, key, name, attachment))
        except UnknownOutcomeError:
            raise
        except MailRefusedError as error:
            self.in_doubt = None
            self.tally.fail(f"{row_id}: {error.problem}", "the mail was refused")
            return False
        except JobctlError:
            self.in_doubt = None
            raise
        with suppress(OSError):  # the site's database records it too
            self.journal.note_sent(key)
        self.journal.done([row_id])
        self.tally.sent += 1
        progress_if_any(self.tally.sent + self.tally.failed, note="mails")
        return True  # in_doubt stays set until the caller has recorded it: a signal may come in between

    def _before_data(self, _: Message) -> None:
        if not self._transport.repeatable:
            self.journal.hand_over(self._current_row)
            self.in_doubt = self._current_row


def in_doubt_warning(row_id: str) -> str:
    """The sentence for a mail whose delivery is unknown."""
    return f"{row_id}: the mail server may have taken the mail or not; it is not sent again"


class MailClaim(NamedTuple):
    """A row that a process claimed. ``mark`` is what it wrote into the row."""

    id: str
    mark: datetime
    handed_over: bool = False


class MailJournal:
    """One job's journal, used by one process at a time.

    Beside it, a file ``.sent`` keeps the keys of all sent mails: a database restored from a backup lost them.

    Raises:
        ServiceError: another process uses it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.sent: set[str] = set()
        self._path = path
        self._file = self._sent_file = -1

    def __enter__(self) -> Self:
        try:
            private_folder(self._path.parent)
            self._file = open_private(self._path, os.O_RDWR | os.O_APPEND)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sent_file = self._open_sent()
        except OSError as error:
            self._close()
            if isinstance(error, BlockingIOError):
                raise ServiceError("another process is sending these mails right now") from error
            raise self._write_error(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.unfinished():
            os.ftruncate(self._file, 0)
        self._close()

    def unfinished(self) -> list[MailClaim]:
        """Claims that are not done. A line cut off by a kill is skipped: its claim was never made."""
        found: dict[str, MailClaim] = {}
        for line in self._path.read_bytes().split(b"\n"):
            try:
                entry = json.loads(line)
                mark = entry.get("mark")
                for row_id in entry["ids"]:
                    if mark is not None:
                        found[row_id] = MailClaim(row_id, datetime.fromisoformat(mark))
                    elif entry["step"] == _DONE:
                        found.pop(row_id, None)
                    elif row_id in found:
                        found[row_id] = found[row_id]._replace(handed_over=True)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        return list(found.values())

    def claim(self, ids: Iterable[str], mark: datetime) -> None:
        """Record rows before they are claimed in the database."""
        self._write({"ids": list(ids), "mark": mark.isoformat()})
        os.fdatasync(self._file)

    def hand_over(self, row_id: str) -> None:
        """Record a mail before its content leaves this process."""
        self._write({"ids": [row_id], "step": _HANDED_OVER})

    def done(self, ids: Iterable[str]) -> None:
        """Record rows whose mail was sent, or whose claim was released or never made."""
        self._write({"ids": list(ids), "step": _DONE})

    def note_sent(self, key: str) -> None:
        """Record the key of a mail that was taken."""
        self.sent.add(key)
        os.write(self._sent_file, f"{key}\n".encode())

    def _open_sent(self) -> int:
        """Read the keys; above 200,000, drop the older half."""
        descriptor = open_private(self._path.with_suffix(".sent"), os.O_RDWR | os.O_APPEND)
        with open(descriptor, "rb", closefd=False) as file:
            keys = file.read().decode(errors="replace").splitlines()
        if len(keys) > _MOST_SENT:
            keys = keys[-_MOST_SENT // 2 :]
            os.ftruncate(descriptor, 0)
            os.write(descriptor, "".join(f"{key}\n" for key in keys).encode())
        self.sent = set(keys)
        return descriptor

    def _write(self, entry: dict[str, Any]) -> None:
        # the line end comes first: a line cut off before it cannot swallow this one
        data = b"\n" + json.dumps(entry).encode()
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(28, "the disk is full")
        except OSError as error:
            raise self._write_error(error) from error

    def _write_error(self, error: OSError) -> ServiceError:
        reason = lock_refusal(self._path) if error.errno in REFUSES_LOCKS else reason_of(error)
        return ServiceError(f"the journal {self._path} cannot be written: {reason}")

    def _close(self) -> None:
        for descriptor in {self._file, self._sent_file} - {-1}:
            os.close(descriptor)
        self._file = self._sent_file = -1
