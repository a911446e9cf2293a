"""The small interface that everything that sends mail keeps, and what can go wrong.

::

    MailRefusedError       this one mail is refused: the rest may go on
    UnknownOutcomeError    the provider may have taken it or not (a ServiceError)
    ServiceError           no mail can be sent now
    PermanentJobError      no mail will ever be sent like this: a wrong login, a wrong sender
"""

from types import TracebackType
from typing import Protocol, Self

from jobctl.errors import JobctlError, ServiceError
from jobctl.site.mail.message import Message


class MailRefusedError(JobctlError):
    """One mail was refused, and nothing of it went out."""

    code = "mail_refused"


class UnknownOutcomeError(ServiceError):
    """The mail was handed over, and no answer came."""

    code = "mail_unknown"


class Transport(Protocol):
    """Sends mails, one after the other, over one connection where there is one.

    Attributes:
        name: ``smtp``, ``resend``, ``novu`` or ``outbox``.
        place: where mails go, for people.
        repeatable: whether the same key may be sent again and arrives once all the same.
    """

    name: str
    place: str
    repeatable: bool

    def __enter__(self) -> Self:
        """Nothing is opened before the first mail."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave politely."""

    def send(self, message: Message) -> None:
        """Send one mail.

        Raises:
            MailRefusedError: this one is refused.
            ServiceError: none can be sent now.
            PermanentJobError: none ever will.
        """

    def check(self) -> str:
        """Try it without sending anything; a clause about it. Raises as ``send`` does."""


class Stateless:
    """A transport that holds nothing open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to leave."""
