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

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
MOST = 254
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ADDRESS = re.compile(
    rf"""(?:[^\s@<>"(),:;\\\[\]]+|{_QUOTED})@(?:[^\s@<>"(),:;\\\[\]_]+|\[[0-9A-Za-z:.]+\])""", re.DOTALL
)
_DOMAIN = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_IN_ANGLES = re.compile(r"(?P<name>.*)<(?P<address>[^<>]*)>(?:\s*\([^()]*\))?", re.DOTALL)
_WITH_COMMENT = re.compile(r"(?P<address>[^()]*?)\s*\((?P<name>[^()]*)\)", re.DOTALL)
_ONE_OF_MANY = re.compile(rf"(?:[^,\"]|{_QUOTED}|\")+", re.DOTALL)


class Mailbox(NamedTuple):
    """An address, and the name that stands with it."""

    address: str
    name: str = ""


def parse_mailbox(text: str) -> Mailbox:
    """``a@b.c``, ``Name <a@b.c>`` or ``a@b.c (Name)``. What stands in ``< >`` is the address, whatever the name is."""
    text = text.strip()
    found = _IN_ANGLES.fullmatch(text) or _WITH_COMMENT.fullmatch(text)
    if found is None:
        return Mailbox(text)
    name = found["name"].strip()
    if re.fullmatch(_QUOTED, name, re.DOTALL):
        name = re.sub(r"\\(.)", r"\1", name[1:-1], flags=re.DOTALL)
    elif "<" in name:
        return Mailbox(text)  # several, which is none
    return Mailbox(found["address"].strip(), name)


def parse_mailboxes(text: str) -> Iterator[Mailbox]:
    """Several with commas; one within quotes separates nothing."""
    for one in _ONE_OF_MANY.findall(text):
        if one.strip():
            yield parse_mailbox(one)


def address_fault(address: str) -> str | None:
    """What is wrong with an address, as a clause; None where it can be sent to."""
    if not address:
        return "there is no mail address"
    if CONTROL.search(address) or not address.isprintable():
        return f"the mail address {quote(address)} holds control characters"
    if len(address.encode("utf-8", "replace")) > MOST:
        return f"the mail address is longer than {MOST} characters"
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
    return None if is_domain(domain) else f"the domain of {quote(address)} cannot be"


def is_domain(text: str) -> bool:
    """Whether mail servers take it as a host's name: letters, digits and dashes between dots, by RFC 5321."""
    return len(text) < 254 and _DOMAIN.fullmatch(text) is not None


def encoded(address: str) -> str:
    """An address with the domain as the mail system has it. A local part of other letters stays as it is.

    Raises:
        ValueError: no domain can be called so.
    """
    local, _, domain = address.rpartition("@")
    return f"{local}@{ascii_domain(domain)}"


MOST_SUBJECT = 250
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


class Attachment(NamedTuple):
    """An HTML page under an ASCII file name."""

    name: str
    html: str

    @property
    def base64(self) -> str:
        """Its bytes, for APIs that take text."""
        return b64encode(self.html.encode()).decode()


@dataclass(frozen=True, slots=True)
class Message:
    """One mail to one person.

    Attributes:
        to: the bare address.
        key: equal for the same mail however often it is tried; at most 200 ASCII characters.
        name: of the person; may hold anything.
        attachment: a page that goes along, if any.
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
        """The key as 32 hexadecimal characters, for places that take no other."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who mails are from."""

    address: str
    name: str = ""

    def __str__(self) -> str:
        return _mailbox_header(self.name, encoded(self.address))


def parse_sender(text: str, where: str | None = None) -> Sender:
    """A sender, see ``parse_mailbox``.

    Raises:
        ConfigurationError: there is no address in it that could be used.
    """
    address, name = parse_mailbox(text)
    fault = address_fault(address)
    if fault is not None:
        raise ConfigurationError(
            f"EMAIL_FROM is {quote(text)}, expected an address, or Name <address>", where=where
        )
    return Sender(address, name)


def one_line(text: str) -> str:
    """Without line breaks and other controls: what stands in a header must not become another one."""
    return " ".join(CONTROL.sub(" ", text.encode("utf-8", "replace").decode()).split())


def mailbox(address: str, name: str = "") -> str:
    """``Name <address>`` for APIs that take it as one text."""
    plain = one_line(name).replace('"', "").replace("<", "").replace(">", "").replace("\\", "")
    return f'"{plain}" <{encoded(address)}>' if plain else encoded(address)


def to_bytes(message: Message, sender: Sender, at: datetime) -> bytes:
    """The mail as it goes over the wire: plain text first, HTML second.

    The ``Message-ID`` follows from the key, so that a mail that did arrive twice is seen to be one. Put
    together here, as two fixed parts need no more: the library's generator takes ten times as long.
    """
    origin = encoded(sender.address)
    headers = (
        "MIME-Version: 1.0",
        f"From: {_mailbox_header(sender.name, origin)}",
        f"To: {_mailbox_header(message.name, encoded(message.to))}",
        f"Subject: {_header(message.subject[:MOST_SUBJECT])}",
        f"Date: {format_datetime(at)}",
        f"Message-ID: <{message.digest}@{origin.rpartition('@')[2]}>",
        "Auto-Submitted: auto-generated",
    )
    head = "\r\n".join(headers).encode("ascii", "surrogateescape")
    words = _multipart(
        "alternative", message.digest, [_text("plain", message.text), _text("html", message.html)]
    )
    if message.attachment is not None:
        words = _multipart("mixed", f"m{message.digest}", [words, _attached(message.attachment)])
    return head + b"\r\n" + words


def _multipart(kind: str, mark: str, parts: list[bytes]) -> bytes:
    boundary = f"=_{mark}"
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
    begin, end = f"--{boundary}\r\n".encode(), f"--{boundary}--\r\n".encode()
    return head + b"".join(begin + part for part in parts) + end


def _text(kind: str, text: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    # a carriage return of its own would go out as it is, and may end a line for a careless server
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


def _header(text: str) -> str:
    """Plain ASCII as it is, anything else as RFC 2047 has it."""
    line = one_line(text)
    return line if _is_plain(line) else _coded(line)


def _is_plain(line: str) -> bool:
    """Not so where it looks coded already: mail programs would decode it, in quotes or not."""
    return line.isascii() and "=?" not in line


def _coded(line: str) -> str:
    return Header(line, "utf-8").encode(linesep="\r\n")


def _mailbox_header(name: str, address: str) -> str:
    plain = one_line(name)[:100]
    # beyond ASCII it goes out as it is: SMTPUTF8
    address = address.encode().decode("ascii", "surrogateescape")
    if not plain:
        return address
    return f"{quoted(plain) if _is_plain(plain) else _coded(plain)} <{address}>"


def quoted(name: str) -> str:
    """A name as RFC 5322 has it: in quotes where it holds what else would mean something."""
    if _ATOMS.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
