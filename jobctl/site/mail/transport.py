"""The interface of everything that sends mail, and its errors."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

from jobctl.errors import JobctlError, ServiceError
from jobctl.site.mail.message import Message


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
