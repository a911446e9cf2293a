"""A real SMTP server on loopback, with TLS and login, that can be made to misbehave."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

USER, PASSWORD = "site", "swordfish-and-more"


class Mails:
    """What the server took, and how it is to behave.

    ``refuse`` names recipients; ``answer`` is asked for each DATA and may say something else than 250, or
    ``silent``: then it is taken and nothing is ever answered. ``hold`` answers no mail's beginning.
    ``close_after`` mails the connection is closed. ``at_data`` answers the command DATA, one each: a line,
    or nothing, which closes the connection.
    """

    def __init__(self) -> None:
        self.port = 0
        self.taken: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refuse: dict[str, str] = {}
        self.refuse_sender = ""
        self.hold = False
        self.answer: Callable[[EmailMessage], str | None] = lambda _: None
        self.on_data: Callable[[EmailMessage], None] = lambda _: None
        self.close_after: int | None = None
        self.at_data: list[str] = []
        self.connections = 0
        self.encrypted: list[bool] = []
        self.arrived = threading.Semaphore(0)

    # aiosmtpd calls these

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.hold:
            self.arrived.release()
            await asyncio.Event().wait()
        if self.refuse_sender:
            return self.refuse_sender
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        said = self.refuse.get(address) or self.refuse.get("*")
        if said:
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        said = self.answer(mail)
        if said not in {None, "silent"}:
            return str(said)
        self.taken.append(mail)
        self.recipients.extend(envelope.rcpt_tos)
        self.encrypted.append(session.ssl is not None)
        self.on_data(mail)
        self.arrived.release()
        if said == "silent":
            await asyncio.Event().wait()
        if self.close_after is not None and len(self.taken) % self.close_after == 0:
            assert server.transport is not None
            asyncio.get_running_loop().call_soon(server.transport.close)
        return "250 OK"


class _Server(SMTP):
    """aiosmtpd, with a word about DATA before it asks for the content."""

    async def smtp_DATA(self, arg: str) -> None:
        mails: Mails = self.event_handler
        if not mails.at_data:
            await super().smtp_DATA(arg)
            return
        said = mails.at_data.pop(0)
        if said:
            await self.push(said)
        if not said or said.startswith("421"):
            assert self.transport is not None
            self.transport.close()


def certificates() -> tuple[trustme.CA, ssl.SSLContext]:
    """An authority of our own, and what a server for 127.0.0.1 and localhost needs from it."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return authority, context


@contextmanager
def smtp_server(
    *,
    implicit: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    login: bool = False,
    password: str = PASSWORD,
) -> Iterator[Mails]:
    """A server for the block, on a free port."""
    mails = Mails()
    ready = threading.Event()
    stop: list[Callable[[], object]] = []

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        good = (data.login, data.password) == (USER.encode(), password.encode())
        return AuthResult(success=good, handled=good)

    def connected() -> SMTP:
        mails.connections += 1
        return _Server(
            mails,
            hostname="mail.test",
            enable_SMTPUTF8=True,
            tls_context=starttls,
            authenticator=check,
            auth_required=login and starttls is not None,  # else aiosmtpd warns
            auth_require_tls=starttls is not None,
            loop=asyncio.get_running_loop(),
        )

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(connected, "127.0.0.1", 0, ssl=implicit)
        mails.port = server.sockets[0].getsockname()[1]
        ended = asyncio.Event()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        ready.set()
        await ended.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield mails
    finally:
        stop[0]()
        thread.join(10)


def trust(authority: trustme.CA, folder: Path) -> str:
    """A file for ``SSL_CERT_FILE``."""
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(file)
    return str(file)
