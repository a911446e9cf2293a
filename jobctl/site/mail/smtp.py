"""SMTP: one connection for many mails, encrypted before a password is sent."""

import smtplib
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from jobctl.clock import SystemClock
from jobctl.errors import JobctlError, PermanentJobError, ServiceError
from jobctl.settings.masking import Mask, Secret
from jobctl.site.mail.message import Message, Sender, encoded, is_domain, to_bytes
from jobctl.site.mail.transport import MailRefusedError, Transport, UnknownOutcomeError
from jobctl.urls import is_loopback

IMPLICIT_TLS = 465
TIMEOUT_S = 30.0


class Smtp(Transport):
    """A mail server.

    Args:
        user: to log in with; None does not log in.
        before_data: called when the server has asked for a mail's content, before it is sent.
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            with suppress(OSError):
                server.quit()

    def check(self) -> str:
        """Connect, encrypt and log in."""
        server = self._connected()
        with suppress(smtplib.SMTPException):
            server.noop()
        encrypted = "encrypted" if isinstance(server.sock, ssl.SSLSocket) else "not encrypted"
        return f"{encrypted}, logged in as {self._user}" if self._user else f"{encrypted}, no login"

    def send(self, message: Message) -> None:
        """Send one mail; connects again, once, if the server has closed an idle connection."""
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
            raise self._error(ServiceError, "closed the connection") from error
        self._used = True

    def _deliver(self, server: smtplib.SMTP, message: Message) -> None:
        sender, to = encoded(self._sender.address), encoded(message.to)
        is_ascii = (sender + to).isascii()
        if not (is_ascii or server.has_extn("smtputf8")):
            if not sender.isascii():
                raise self._error(PermanentJobError, f"does not accept the sender {sender}", "see EMAIL_FROM")
            raise self._error(MailRefusedError, f"does not accept the address: {to}")
        options = [] if is_ascii else ["SMTPUTF8", "BODY=8BITMIME"]
        data = to_bytes(message, self._sender, SystemClock().now())
        code, answer = self._step(lambda: server.mail(sender, options))
        if code != 250:
            self._reset(server)
            raise self._sender_refused(code, answer)
        code, answer = self._step(lambda: server.rcpt(to))
        if code in {250, 251}:
            code, answer = self._step(lambda: server.docmd("DATA"))
        if code != 354:
            self._reset(server)
            raise self._refused(code, answer)
        self._hand_over(server, message, data)

    def _hand_over(self, server: smtplib.SMTP, message: Message, data: bytes) -> None:
        """Send the content. Only from here on the outcome can stay unknown."""
        try:
            if self._before_data is not None:
                self._before_data(message)
        except BaseException:
            self._drop()  # the server forgets a mail without its end
            raise
        unknown = self._error(UnknownOutcomeError, "gave no answer after a mail was handed over")
        try:
            server.send(data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            code, answer = server.getreply()
        except OSError as error:
            self._drop()
            raise unknown from error
        if not 200 <= code < 600:
            self._drop()
            raise unknown
        if code == 421:
            self._drop()
            raise self._unavailable(code, answer)
        if code >= 300:
            self._reset(server)
            raise self._refused(code, answer)

    def _step(self, step: Callable[[], tuple[int, bytes]]) -> tuple[int, bytes]:
        """Run a command before the content; if it fails, nothing was sent.

        Raises:
            ServiceError: no answer in time.
            _ClosedError: the connection is closed.
        """
        try:
            code, answer = step()
        except OSError as error:
            if _is_timeout(error):
                self._drop()
                raise self._explained(error) from error
            raise _ClosedError from error
        if code == 421:
            raise _ClosedError
        return code, answer

    def _reset(self, server: smtplib.SMTP) -> None:
        try:
            server.rset()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    # The connection

    def _connected(self) -> smtplib.SMTP:
        if self._server is None:
            self._server = self._connect()
            self._used = False
        return self._server

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        server: smtplib.SMTP | None = None
        name = "localhost"  # replaced below: the address of this machine is known once it is connected
        try:
            if self._port == IMPLICIT_TLS:
                server = smtplib.SMTP_SSL(
                    self._host, self._port, name, timeout=self._timeout, context=context
                )
            else:
                server = smtplib.SMTP(self._host, self._port, name, timeout=self._timeout)
            server.local_hostname = _own_name(server)
            _greet(server)
            if self._port != IMPLICIT_TLS and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            if self._user is not None:
                self._log_in(server, self._user)
        except BaseException as error:
            if server is not None:
                server.close()
            if isinstance(error, OSError):
                raise self._explained(error) from error
            raise
        return server

    def _log_in(self, server: smtplib.SMTP, user: str) -> None:
        if not isinstance(server.sock, ssl.SSLSocket) and not is_loopback(self._host):
            raise self._error(
                PermanentJobError,
                "offers no encryption, so the password is not sent",
                "use a server with STARTTLS, or port 465",
            )
        password = self._password.reveal() if self._password else ""
        if (user + password).isascii():
            server.login(user, password)
            return
        # smtplib's login takes only ASCII; RFC 4616 has UTF-8
        token = b64encode(f"\0{user}\0{password}".encode()).decode()
        code, answer = server.docmd("AUTH", f"PLAIN {token}")
        if code != 235:
            raise smtplib.SMTPAuthenticationError(code, answer)

    # Errors

    def _error(self, kind: type[JobctlError], clause: str, hint: str | None = None) -> JobctlError:
        return kind(f"the mail server {self.place} {clause}", hint=hint)

    def _explained(self, error: OSError) -> JobctlError:
        """The error for people of one that was raised while connecting; smtplib's errors are all ``OSError``."""
        if isinstance(error, smtplib.SMTPAuthenticationError):
            if 400 <= error.smtp_code < 500:
                return self._error(ServiceError, f"cannot log in {self._user} now ({error.smtp_code})")
            clause = f"refused the login of {self._user} ({error.smtp_code})"
            return self._error(PermanentJobError, clause, "see SMTP_USER and SMTP_PASSWORD")
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return self._error(PermanentJobError, "offers no login", "leave SMTP_USER out")
        if isinstance(error, ssl.SSLCertVerificationError):
            return PermanentJobError(
                f"the certificate of the mail server {self.place} is not trusted: {error.verify_message}",
                hint="set SSL_CERT_FILE to the certificate of your own authority",
            )
        if _is_timeout(error):
            return self._error(ServiceError, f"did not answer in {self._timeout:g} s")
        if isinstance(error, ConnectionRefusedError):
            return self._error(ServiceError, "did not answer: the connection was refused", "see SMTP_HOST")
        if isinstance(error, smtplib.SMTPHeloError) and error.smtp_code >= 500:
            answer = self._line(error.smtp_code, error.smtp_error)
            return self._error(PermanentJobError, f"refused the greeting: {answer}")
        if isinstance(error, smtplib.SMTPResponseException):
            return self._unavailable(error.smtp_code, error.smtp_error)
        if isinstance(error, smtplib.SMTPServerDisconnected):
            clause = "closed the connection at once"
        else:
            reason = getattr(error, "strerror", None) or type(error).__name__
            clause = f"did not answer: {reason.lower()}"
        return self._error(ServiceError, clause, "see SMTP_HOST and SMTP_PORT")

    def _sender_refused(self, code: int, answer: bytes) -> JobctlError:
        if code == 530:
            return self._error(PermanentJobError, "demands a login", "set SMTP_USER and SMTP_PASSWORD")
        if code < 500:
            return self._unavailable(code, answer)
        clause = f"refused the sender {self._sender.address}: {self._line(code, answer)}"
        return self._error(PermanentJobError, clause, "see EMAIL_FROM")

    def _unavailable(self, code: int, answer: bytes | str) -> JobctlError:
        return self._error(ServiceError, f"accepts no mail now: {self._line(code, answer)}")

    def _refused(self, code: int, answer: bytes) -> JobctlError:
        return self._error(MailRefusedError, f"refused it: {self._line(code, answer)}")

    def _line(self, code: int, answer: bytes | str) -> str:
        """The server's answer in one line of limited length, without the password, which it may repeat."""
        text = answer if isinstance(answer, str) else answer.decode("utf-8", "replace")
        return f"{code} {' '.join(self._mask(text).split())[:150]}"


class _ClosedError(Exception):
    """The connection was closed before the content of a mail was sent."""


def _own_name(server: smtplib.SMTP) -> str:
    """The name of this machine in EHLO, by RFC 5321: its DNS name if servers accept it, else its address."""
    name = socket.getfqdn()
    if "." in name and is_domain(name) and not name.endswith((".arpa", ".localdomain")):
        return name
    if server.sock is None:
        raise smtplib.SMTPServerDisconnected
    address = server.sock.getsockname()[0].partition("%")[0].removeprefix("::ffff:")
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _greet(server: smtplib.SMTP) -> None:
    """Send EHLO, then HELO if the server does not know it.

    Raises:
        SMTPHeloError: it refuses both; holds the answer to EHLO.
    """
    code, answer = server.ehlo()
    if 200 <= code < 300:
        return
    with suppress(smtplib.SMTPServerDisconnected):
        if 200 <= server.helo()[0] < 300:
            return
    raise smtplib.SMTPHeloError(code, answer)


def _is_timeout(error: OSError) -> bool:
    return isinstance(error, TimeoutError) or "timed out" in str(error)  # smtplib's own has only the words
