"""Sends the mails of one job, each once, with a journal that survives a killed process."""

import fcntl
import json
import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from jobctl.errors import JobctlError, ServiceError, reason_of
from jobctl.files import REFUSES_LOCKS, lock_refusal, open_private, private_folder
from jobctl.project import ProjectContext
from jobctl.site.mail.message import Attachment, Message, address_fault
from jobctl.site.mail.providers import mail_settings, note, open_transport
from jobctl.site.mail.render import render
from jobctl.site.mail.transport import MailRefusedError, UnknownOutcomeError

MOST_TOLD = 50
IN_DOUBT, NOT_SENT = "the mail may have been taken", "no mail could be sent"


@dataclass(slots=True)
class Tally:
    """How the mails of a run went. At most fifty ``errors`` are kept, each with its kind, which holds no personal data."""

    sent: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def fail(self, error: str, kind: str) -> None:
        """One more that was not sent."""
        self.failed += 1
        self.tell(error, kind)

    def tell(self, error: str, kind: str) -> None:
        """Something to be told that is no mail of its own."""
        print(f"warning: {error}")
        if len(self.errors) < MOST_TOLD:
            self.errors.append(error)
            self.kinds.append(kind)

    @property
    def details(self) -> dict[str, Any]:
        """The kinds, for the details of a result; empty without errors."""
        return {"kinds": self.kinds} if self.kinds else {}


class Mailing:
    """The transport that the settings name, and the journal that outlives a kill.

    Args:
        kind: of the mails: names their template.
        journal: the name of theirs; ``kind`` where it is left out.

    Attributes:
        in_doubt: the row whose mail was handed over and not yet answered for.
    """

    def __init__(self, project: ProjectContext, kind: str, journal: str | None = None) -> None:
        self.tally = Tally()
        self.in_doubt: str | None = None
        self.journal = Outgoing(project.state / "outgoing" / f"{journal or kind}.jsonl")
        self._kind = kind
        self._project = project
        self._opened = ExitStack()
        self._settings = mail_settings(project.environment)
        self._at = ""
        if said := note(project.environment):
            print(f"note: {said}")
        self._transport = open_transport(project.environment, project.outbox, before_data=self._handing)

    @property
    def repeatable(self) -> bool:
        """Whether the provider sees to it that the same mail is sent once, however often it is handed over."""
        return self._transport.repeatable

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
        """By mark, the rows that a killed process had claimed and whose mail is yet to be sent.

        A mail that it had handed over goes again only where that is harmless; else it is told and done with.
        """
        again: dict[datetime, list[str]] = {}
        for one in self.journal.left():
            if one.step is Step.HANDING and not self.repeatable:
                self.tally.tell(may_have_gone(one.id), IN_DOUBT)
                self.journal.done([one.id])
            else:
                again.setdefault(one.mark, []).append(one.id)
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
        """Send one mail. False: it was refused and nothing of it went out.

        Raises:
            ServiceError, PermanentJobError: no mail can be sent now; ``UnknownOutcomeError`` where this
                one may have been taken.
        """
        if key in self.journal.sent:
            print(f"note: {row_id}: this mail was sent before; it is not sent again")
            self.journal.done([row_id])
            return True
        fault = address_fault(address) if address else "the user has no mail address, or is deleted"
        if fault is not None:
            self.tally.fail(
                f"{row_id}: {fault}", "the mail address cannot be used" if address else "no mail address"
            )
            return False
        subject, html, text = render(
            self._kind,
            **facts,
            app_url=self._settings.app_url,
            company=self._settings.company,
            support=self._settings.support,
        )
        self._at = row_id
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
        with suppress(OSError):  # the site's database keeps it too
            self.journal.note_sent(key)
        self.journal.done([row_id])
        self.tally.sent += 1
        return True  # still in doubt until the caller has taken it off its list: a signal may come in between

    def _handing(self, _: Message) -> None:
        if not self.repeatable:
            self.journal.handing(self._at)
            self.in_doubt = self._at


def may_have_gone(row_id: str) -> str:
    """The sentence for a mail of which nobody knows; sent again it might arrive twice."""
    return f"{row_id}: the mail server may have taken the mail or not; it is not sent again"


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
