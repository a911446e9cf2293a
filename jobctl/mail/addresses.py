"""Mail addresses as RFC 5322 writes them; domains of other letters as IDNA 2008 has them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from jobctl.domains import ascii_domain
from jobctl.text import quote

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
