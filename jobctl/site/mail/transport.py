"""The interface of everything that sends mail, its errors, and the outbox: a folder where no provider is configured."""

import os
import re
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from jobctl.clock import SystemClock
from jobctl.errors import JobctlError, ServiceError, reason_of
from jobctl.files import PRIVATE_FILE, open_private, private_folder, write_whole
from jobctl.site.mail.message import Message, Sender, to_bytes


class MailRefusedError(JobctlError):
    """One mail was refused, and certainly not sent. Other mails can be sent."""

    code = "mail_refused"


class UnknownOutcomeError(ServiceError):
    """The mail was handed over, and no answer came: it may have been sent."""

    code = "mail_unknown"


class Transport(ABC):
    """Sends mails, one after the other. A context manager: leaving it closes the connection if there is one.

    Attributes:
        name: ``smtp``, ``resend``, ``novu`` or ``outbox``.
        place: where mails go, for people.
        repeatable: whether a key that is sent again arrives only once.
    """

    name: ClassVar[str]
    repeatable: ClassVar[bool] = True
    place: str

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 - most transports have nothing to close
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""

    @abstractmethod
    def send(self, message: Message) -> None:
        """Send one mail.

        Raises:
            MailRefusedError: this mail is refused.
            UnknownOutcomeError: this mail may have been sent.
            ServiceError: no mail can be sent now.
            PermanentJobError: no mail can ever be sent like this: a wrong login, a wrong sender.
        """

    @abstractmethod
    def check(self) -> str:
        """Test it without sending a mail; returns a clause for people. Raises as ``send`` does."""


class Outbox(Transport):
    """Writes each mail as a file. The same key again replaces its file."""

    name = "outbox"

    def __init__(self, folder: Path, sender: Sender) -> None:
        self.place = str(folder)
        self._folder = folder
        self._sender = sender

    def send(self, message: Message) -> None:
        """Write one file, named by time, subject and key."""
        now = SystemClock().now()
        slug = re.sub(r"[^a-z0-9]+", "-", message.subject.lower()).strip("-")[:40] or "mail"
        mark = message.digest[:12]
        try:
            private_folder(self._folder)
            earlier = list(self._folder.glob(f"*-{mark}.eml"))
            file = earlier[0] if earlier else self._folder / f"{now:%Y%m%d-%H%M%S}-{slug}-{mark}.eml"
            write_whole(file, to_bytes(message, self._sender, now), mode=PRIVATE_FILE)
        except OSError as error:
            raise self._write_error(error) from error

    def check(self) -> str:
        """Write a file and remove it."""
        probe = self._folder / f".check.{os.getpid()}"
        try:
            private_folder(self._folder)
            os.close(open_private(probe, os.O_WRONLY))
            probe.unlink()
        except OSError as error:
            raise self._write_error(error) from error
        return "mails are written as files"

    def _write_error(self, error: OSError) -> ServiceError:
        return ServiceError(f"the outbox {self._folder} cannot be written: {reason_of(error)}")
