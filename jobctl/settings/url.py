"""What a web address must have, so that whoever opens it later can: a scheme, a host and a port that can be."""

from string import ascii_letters, digits, hexdigits
from urllib.parse import quote, urlsplit, urlunsplit

from jobctl.domains import ascii_domain

_IN_LABELS = frozenset(ascii_letters + digits + "-_")
_IN_ADDRESSES = frozenset(hexdigits + ":.")


def is_web_address(text: str) -> bool:
    """Whether it begins with ``http://`` or ``https://``, and names a host as a resolver takes it."""
    if not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and parts.port != 0 and _is_host(parts.hostname or "")
    except ValueError:  # a bracket that does not close, a port that is none, a name that no host can have
        return False


def in_ascii(text: str) -> str:
    """A web address as a request needs it: its host by IDNA 2008, other letters behind it percent-encoded."""
    if text.isascii():
        return text
    parts = urlsplit(text)
    login, at, place = parts.netloc.rpartition("@")
    host, colon, port = place.partition(":")  # in brackets stands ASCII alone
    kept = "%/:@!$&'()*+,;=~?"
    return urlunsplit(
        (
            parts.scheme,
            f"{quote(login, safe=kept)}{at}{ascii_domain(host)}{colon}{port}",
            *(quote(one, safe=kept) for one in parts[2:]),
        )
    )


def _is_host(name: str) -> bool:
    """A name by the limits of RFC 1035, with the underscore that names in use have; or an IPv6 address."""
    if ":" in name:
        return set(name) <= _IN_ADDRESSES  # urlsplit takes a colon within brackets alone
    name = ascii_domain(name)
    return all(1 <= len(one) <= 63 and set(one) <= _IN_LABELS for one in name.removesuffix(".").split("."))
