"""Where a credential may go: over TLS, or within this machine."""

from urllib.parse import urlsplit

from jobctl.errors import PermanentJobError


def is_loopback(host: str) -> bool:
    """Whether it is this machine by its own name; ``localhost.example.com`` is somebody else's."""
    from ipaddress import ip_address

    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_in_clear(url: str) -> bool:
    """Whether what is sent to a web address can be read on the way."""
    parts = urlsplit(url)
    return parts.scheme.lower() != "https" and not is_loopback(parts.hostname or "")


def demand_private(url: str, name: str, what: str = "the key") -> None:
    """That a credential may be sent there.

    Args:
        name: of the address, as the subject of a sentence.
        what: would be read.

    Raises:
        PermanentJobError: it would cross the network in clear.
    """
    if is_in_clear(url):
        raise PermanentJobError(
            f"{name} begins with http://, so {what} would cross the network in clear", hint="write https://"
        )
