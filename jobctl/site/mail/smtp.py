"""SMTP: one connection for many mails, encrypted before any password."""

import smtplib
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from jobctl.clock import SystemClock
from jobctl.errors import JobctlError, PermanentJobError, ServiceError
from jobctl.settings.masking import Mask, Secret
from jobctl.site.mail.message import Message, Sender, encoded, is_domain, to_bytes
from jobctl.site.mail.transport import MailRefusedError, UnknownOutcomeError
from jobctl.urls import is_loopback

IMPLICIT_TLS = 465
_NAME_UNKNOWN = "localhost"
TIMEOUT_S = 30.0


class Smtp:
    """A mail server.

    Args:
        user: to log in with; None does not log in.
        before_data: called right before a mail's content leaves this process, when the server has asked for it.
        timeout: of each step, in seconds.
    """

    name = "smtp"
    repeatable = False

    def __init__(
        self,
        host: str,
        port: int,
        sender: Sender,
        *,
        user: str | None = None,
        password: Secret | None = None,
        before_data: Callable[[Message], None] | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        self.place = f"{host}:{port}"
        self._host, self._port = host, port
        self._sender = sender
        self._user, self._password = user, password
        self._mask = Mask([password.reveal()] if password else ())
        self._before_data = before_data
        self._timeout = timeout
        self._server: smtplib.SMTP | None = None
        self._used = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()

    def check(self) -> str:
        """Connect, encrypt and log in."""
        server = self._connected()
        with suppress(smtplib.SMTPException):
            server.noop()
        encrypted = "encrypted" if isinstance(server.sock, ssl.SSLSocket) else "not encrypted"
        return f"{encrypted}, logged in as {self._user}" if self._user else f"{encrypted}, no login"

    def send(self, message: Message) -> None:
        """Send one mail; a connection that the server has closed meanwhile is made anew, once."""
        if self._server is not None and self._used:
            try:
                self._deliver(self._server, message)
                return
            except _ClosedError:
                self._drop()
        server = self._connected()
        try:
            self._deliver(server, message)
        except _ClosedError as error:
            self._drop()
            raise ServiceError(f"the mail server {self.place} closed the connection") from error
        self._used = True

    def _deliver(self, server: smtplib.SMTP, message: Message) -> None:
        sender, to = encoded(self._sender.address), encoded(message.to)
        wide = not (sender + to).isascii()
        if wide and not server.has_extn("smtputf8"):
            raise self._too_wide(sender, to)
        options = ["SMTPUTF8", "BODY=8BITMIME"] if wide else []
        data = to_bytes(message, self._sender, SystemClock().now())
        code, said = self._step(lambda: server.mail(sender, options))
        if code != 250:
            self._reset(server)
            raise self._sender_refused(code, said)
        code, said = self._step(lambda: server.rcpt(to))
        if code not in {250, 251}:
            self._reset(server)
            raise self._refused(code, said)
        code, said = self._step(lambda: server.docmd("DATA"))
        if code != 354:
            self._reset(server)
            raise self._refused(code, said)
        self._hand_over(server, message, data)

    def _hand_over(self, server: smtplib.SMTP, message: Message, data: bytes) -> None:
        """The content. Only from here on can it stay unknown what became of the mail."""
        try:
            if self._before_data is not None:
                self._before_data(message)
        except BaseException:
            self._drop()  # it waits for the content; a mail without its end is forgotten
            raise
        unknown = UnknownOutcomeError(
            f"the mail server {self.place} gave no answer after a mail was handed over"
        )
        try:
            server.send(data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            code, said = server.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise unknown from error
        if not 200 <= code < 600:
            self._drop()
            raise unknown
        if code == 421:
            self._drop()
            raise ServiceError(f"the mail server {self.place} takes no mail now: {code} {self._line(said)}")
        if code >= 300:
            self._reset(server)
            raise self._refused(code, said)

    def _step(self, step: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
        """One command before the content: should the connection be gone, nothing has happened."""
        try:
            code, said = step()
        except (OSError, smtplib.SMTPException) as error:
            if _is_timeout(error):
                self._drop()
                raise self._explained(error) from error
            raise _ClosedError from error
        if code == 421:
            raise _ClosedError
        return code, said

    def _connected(self) -> smtplib.SMTP:
        if self._server is None:
            self._server = self._connect()
            self._used = False
        return self._server

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        server: smtplib.SMTP | None = None
        try:
            # the name is set below, once it is known by which address this machine is seen
            if self._port == IMPLICIT_TLS:
                server = smtplib.SMTP_SSL(
                    self._host, self._port, _NAME_UNKNOWN, timeout=self._timeout, context=context
                )
            else:
                server = smtplib.SMTP(self._host, self._port, _NAME_UNKNOWN, timeout=self._timeout)
            server.local_hostname = _own_name(server)
            _greet(server)
            if self._port != IMPLICIT_TLS and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            self._log_in(server)
        except (OSError, smtplib.SMTPException, JobctlError) as error:
            if server is not None:
                server.close()
            raise self._explained(error) from error
        return server

    def _log_in(self, server: smtplib.SMTP) -> None:
        if self._user is None:
            return
        if not isinstance(server.sock, ssl.SSLSocket) and not is_loopback(self._host):
            raise PermanentJobError(
                f"the mail server {self.place} offers no encryption, so the password is not sent",
                hint="use a server with STARTTLS, or port 465",
            )
        password = self._password.reveal() if self._password else ""
        if (self._user + password).isascii():
            server.login(self._user, password)
            return
        # smtplib's login knows ASCII alone; RFC 4616 has UTF-8
        token = b64encode(f"\0{self._user}\0{password}".encode()).decode()
        code, said = server.docmd("AUTH", f"PLAIN {token}")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, said)

    def _explained(self, error: Exception) -> Exception:
        where = f"the mail server {self.place}"
        if isinstance(error, JobctlError):
            return error
        if isinstance(error, smtplib.SMTPAuthenticationError):
            if 400 <= error.smtp_code < 500:
                return ServiceError(f"{where} cannot log in {self._user} now ({error.smtp_code})")
            return PermanentJobError(
                f"{where} refused the login of {self._user} ({error.smtp_code})",
                hint="see SMTP_USER and SMTP_PASSWORD",
            )
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return PermanentJobError(f"{where} offers no login", hint="leave SMTP_USER out")
        if isinstance(error, ssl.SSLCertVerificationError):
            return PermanentJobError(
                f"the certificate of {where} is not trusted: {error.verify_message}",
                hint="an authority of your own goes into SSL_CERT_FILE",
            )
        if _is_timeout(error):
            return ServiceError(f"{where} did not answer in {self._timeout:g} s")
        if isinstance(error, ConnectionRefusedError):
            return ServiceError(f"{where} did not answer: the connection was refused", hint="see SMTP_HOST")
        if isinstance(error, smtplib.SMTPResponseException):
            return self._answered(error)
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return ServiceError(f"{where} closed the connection at once", hint="see SMTP_HOST and SMTP_PORT")
        reason = (getattr(error, "strerror", None) or type(error).__name__).lower()
        return ServiceError(f"{where} did not answer: {reason}", hint="see SMTP_HOST and SMTP_PORT")

    def _answered(self, error: smtplib.SMTPResponseException) -> Exception:
        said = f"{error.smtp_code} {self._line(error.smtp_error)}"
        if isinstance(error, smtplib.SMTPHeloError) and error.smtp_code >= 500:
            return PermanentJobError(f"the mail server {self.place} refused the greeting: {said}")
        return ServiceError(f"the mail server {self.place} takes no mail now: {said}")

    def _sender_refused(self, code: int, said: bytes) -> Exception:
        if code == 530:
            return PermanentJobError(
                f"the mail server {self.place} demands a login", hint="set SMTP_USER and SMTP_PASSWORD"
            )
        if code < 500:
            return ServiceError(f"the mail server {self.place} takes no mail now: {code} {self._line(said)}")
        return PermanentJobError(
            f"the mail server {self.place} refused the sender {self._sender.address}: {code} {self._line(said)}",
            hint="see EMAIL_FROM",
        )

    def _too_wide(self, sender: str, to: str) -> Exception:
        if not sender.isascii():
            return PermanentJobError(
                f"the mail server {self.place} takes no sender such as {sender}", hint="see EMAIL_FROM"
            )
        return MailRefusedError(f"the mail server {self.place} takes no such address: {to}")

    def _refused(self, code: int, said: bytes) -> MailRefusedError:
        return MailRefusedError(f"the mail server {self.place} refused it: {code} {self._line(said)}")

    def _line(self, said: bytes | str) -> str:
        """What the server said, in one short line, without the password that it may repeat."""
        text = said if isinstance(said, str) else said.decode("utf-8", "replace")
        return " ".join(self._mask(text).split())[:150]

    def _reset(self, server: smtplib.SMTP) -> None:
        """Ready for the next mail."""
        try:
            server.rset()
        except (OSError, smtplib.SMTPException):
            self._drop()

    def _drop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()


class _ClosedError(Exception):
    """The connection ended before the mail's content was handed over."""


def _own_name(server: smtplib.SMTP) -> str:
    """What EHLO calls this machine, by RFC 5321: its name in DNS, or its address where it has none that servers take."""
    name = socket.getfqdn()
    if "." in name and is_domain(name) and not name.endswith((".arpa", ".localdomain")):
        return name
    if server.sock is None:
        raise smtplib.SMTPServerDisconnected
    address = server.sock.getsockname()[0].partition("%")[0].removeprefix("::ffff:")
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _greet(server: smtplib.SMTP) -> None:
    """EHLO, or HELO for a server that does not know it.

    Raises:
        SMTPHeloError: it takes neither; with the answer to EHLO where it then closed the connection.
    """
    code, said = server.ehlo()
    if 200 <= code < 300:
        return
    with suppress(smtplib.SMTPServerDisconnected):
        if 200 <= server.helo()[0] < 300:
            return
    raise smtplib.SMTPHeloError(code, said)


def _is_timeout(error: Exception) -> bool:
    """Whether the time was over; smtplib has it in words alone."""
    return isinstance(error, TimeoutError) or "timed out" in str(error)
