"""What a web address must have, so that whoever opens it later can: a scheme, a host and a port that can be."""

from string import ascii_letters, digits, hexdigits
from urllib.parse import urlsplit

_IN_LABELS = frozenset(ascii_letters + digits + "-_")
_IN_ADDRESSES = frozenset(hexdigits + ":.")


def is_web_address(text: str) -> bool:
    """Whether it begins with ``http://`` or ``https://``, and names a host as a resolver takes it."""
    if not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and parts.port != 0 and _is_host(parts.hostname or "")
    except ValueError:  # a bracket that does not close, a port that is none
        return False


def _is_host(name: str) -> bool:
    """A name by the limits of RFC 1035, with the underscore that names in use have; or an IPv6 address."""
    if ":" in name:
        return set(name) <= _IN_ADDRESSES  # urlsplit takes a colon within brackets alone
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return False
    return all(1 <= len(one) <= 63 and set(one) <= _IN_LABELS for one in name.removesuffix(".").split("."))
