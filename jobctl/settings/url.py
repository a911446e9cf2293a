"""What a web address must have, so that whoever opens it later can: a scheme, a host and a port that can be."""

from urllib.parse import urlsplit


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
    """By the limits of RFC 1035, which Python's resolver turns into a UnicodeError: labels of 1 to 63 letters."""
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return False
    return all(1 <= len(label) <= 63 for label in name.removesuffix(".").split("."))
