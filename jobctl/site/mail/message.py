"""A mail as a value: checked addresses, an idempotency key, and its bytes."""

import hashlib
import re
from base64 import b64encode, encodebytes
from binascii import b2a_qp
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from typing import NamedTuple

from jobctl.errors import ConfigurationError
from jobctl.text import quote
from jobctl.urls import ascii_domain

_MOST_ADDRESS, _MOST_SUBJECT, _MOST_NAME = 254, 250, 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ADDRESS = re.compile(
    rf"""(?:[^\s@<>"(),:;\\\[\]]+|{_QUOTED})@(?:[^\s@<>"(),:;\\\[\]_]+|\[[0-9A-Za-z:.]+\])""", re.DOTALL
)
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_IN_ANGLES = re.compile(r"(?P<name>.*)<(?P<address>[^<>]*)>(?:\s*\([^()]*\))?", re.DOTALL)
_WITH_COMMENT = re.compile(r"(?P<address>[^()]*?)\s*\((?P<name>[^()]*)\)", re.DOTALL)
_BETWEEN_COMMAS = re.compile(rf"(?:[^,\"]|{_QUOTED}|\")+", re.DOTALL)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


# Addresses: RFC 5322, with domains by IDNA 2008


class Mailbox(NamedTuple):
    """An address and the name before it."""

    address: str
    name: str = ""


def parse_mailbox(text: str) -> Mailbox:
    """``a@b.c``, ``Name <a@b.c>`` or ``a@b.c (Name)``. The address is in ``< >``, whatever the name is."""
    text = text.strip()
    found = _IN_ANGLES.fullmatch(text) or _WITH_COMMENT.fullmatch(text)
    if found is None:
        return Mailbox(text)
    name = found["name"].strip()
    if re.fullmatch(_QUOTED, name, re.DOTALL):
        name = re.sub(r"\\(.)", r"\1", name[1:-1], flags=re.DOTALL)
    elif "<" in name:
        return Mailbox(text)  # several mailboxes: not a valid one
    return Mailbox(found["address"].strip(), name)


def parse_mailboxes(text: str) -> Iterator[Mailbox]:
    """Mailboxes separated by commas; a comma within quotes does not separate."""
    for part in _BETWEEN_COMMAS.findall(text):
        if part.strip():
            yield parse_mailbox(part)


def address_fault(address: str) -> str | None:
    """What is wrong with an address, as a clause; None if mail can be sent to it."""
    if not address:
        return "there is no mail address"
    if _CONTROL.search(address) or not address.isprintable():
        return f"the mail address {quote(address)} holds control characters"
    if len(address.encode("utf-8", "replace")) > _MOST_ADDRESS:
        return f"the mail address is longer than {_MOST_ADDRESS} characters"
    if not _ADDRESS.fullmatch(address):
        return f"{quote(address)} is not a mail address"
    try:
        domain = encoded(address).rpartition("@")[2]
        address.encode()
        if domain.startswith("["):
            from ipaddress import ip_address

            ip_address(domain[1:-1].removeprefix("IPv6:"))
            return None
    except ValueError:
        domain = ""
    return None if is_domain(domain) else f"the domain of {quote(address)} is not valid"


def is_domain(text: str) -> bool:
    """Whether it is a host name by RFC 5321: letters, digits and hyphens between dots."""
    return len(text) < 254 and _DOMAIN.fullmatch(text) is not None


def encoded(address: str) -> str:
    """An address with its domain in ASCII. Other letters before the ``@`` stay as they are.

    Raises:
        ValueError: the domain is not valid.
    """
    local, _, domain = address.rpartition("@")
    return f"{local}@{ascii_domain(domain)}"


def mailbox(address: str, name: str = "") -> str:
    """``"Name" <address>``, for APIs that take it as one text."""
    plain = re.sub(r'["<>\\]', "", one_line(name))
    return f'"{plain}" <{encoded(address)}>' if plain else encoded(address)


def one_line(text: str) -> str:
    """Without line breaks and control characters: a text in a header must not become another header."""
    return " ".join(_CONTROL.sub(" ", text.encode("utf-8", "replace").decode()).split())


# Messages


class Attachment(NamedTuple):
    """An HTML page with an ASCII file name."""

    name: str
    html: str

    @property
    def base64(self) -> str:
        """Its bytes in Base64."""
        return b64encode(self.html.encode()).decode()


@dataclass(frozen=True, slots=True)
class Message:
    """A mail to one person.

    Attributes:
        to: the address.
        key: the idempotency key: equal each time the same mail is tried; at most 200 ASCII characters.
        name: of the person; any text.
    """

    to: str
    subject: str
    html: str
    text: str
    key: str
    name: str = ""
    attachment: Attachment | None = None

    @property
    def digest(self) -> str:
        """A hash of the key, 32 hexadecimal characters."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of mails."""

    address: str
    name: str = ""

    def __str__(self) -> str:
        return _mailbox_header(self.name, encoded(self.address))


def parse_sender(text: str, where: str | None = None) -> Sender:
    """Parse ``EMAIL_FROM``, see ``parse_mailbox``.

    Raises:
        ConfigurationError: it has no valid address.
    """
    address, name = parse_mailbox(text)
    if address_fault(address) is not None:
        raise ConfigurationError(
            f"EMAIL_FROM is {quote(text)}, expected an address, or Name <address>", where=where
        )
    return Sender(address, name)


# Bytes, by RFC 5322. The library's generator would take ten times as long for these fixed parts.


def to_bytes(message: Message, sender: Sender, at: datetime) -> bytes:
    """The mail as it is sent: plain text first, then HTML, then the attachment.

    The ``Message-ID`` is made from the key, so that mail programs recognize a repeated mail.
    """
    origin = encoded(sender.address)
    headers = (
        "MIME-Version: 1.0",
        f"From: {_mailbox_header(sender.name, origin)}",
        f"To: {_mailbox_header(message.name, encoded(message.to))}",
        f"Subject: {_header(one_line(message.subject[:_MOST_SUBJECT]))}",
        f"Date: {format_datetime(at)}",
        f"Message-ID: <{message.digest}@{origin.rpartition('@')[2]}>",
        "Auto-Submitted: auto-generated",
    )
    head = "\r\n".join(headers).encode("ascii", "surrogateescape")
    texts = [_text("plain", message.text), _text("html", message.html)]
    body = _multipart("alternative", message.digest, texts)
    if message.attachment is not None:
        body = _multipart("mixed", f"m{message.digest}", [body, _attached(message.attachment)])
    return head + b"\r\n" + body


def _multipart(kind: str, mark: str, parts: list[bytes]) -> bytes:
    boundary = f"=_{mark}"
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
    begin, end = f"--{boundary}\r\n".encode(), f"--{boundary}--\r\n".encode()
    return head + b"".join(begin + part for part in parts) + end


def _text(kind: str, text: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    # a lone carriage return could end a line for a careless server
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    body = b2a_qp(lines.encode("utf-8", "replace"), istext=True)
    return head.encode() + body.replace(b"\n", b"\r\n") + b"\r\n"


def _attached(attachment: Attachment) -> bytes:
    head = (
        f'Content-Type: text/html; charset=utf-8; name="{attachment.name}"\r\n'
        f'Content-Disposition: attachment; filename="{attachment.name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + encodebytes(attachment.html.encode()).replace(b"\n", b"\r\n")


def _mailbox_header(name: str, address: str) -> str:
    address = address.encode().decode(
        "ascii", "surrogateescape"
    )  # beyond ASCII it is sent as UTF-8: SMTPUTF8
    plain = one_line(name)[:_MOST_NAME]
    if not plain:
        return address
    if _is_plain(plain) and not _ATOMS.fullmatch(plain):
        escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{address}>'
    return f"{_header(plain)} <{address}>"


def _header(line: str) -> str:
    """ASCII unchanged, anything else by RFC 2047."""
    return line if _is_plain(line) else Header(line, "utf-8").encode(linesep="\r\n")


def _is_plain(line: str) -> bool:
    """Whether mail programs show it unchanged: they decode ``=?``, even within quotes."""
    return line.isascii() and "=?" not in line
