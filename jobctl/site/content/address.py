"""Where the content repository is, its credentials split off so that they are kept nowhere."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from jobctl.errors import PermanentJobError
from jobctl.files import with_home
from jobctl.settings.masking import Secret, masked_address
from jobctl.text import quote

USER = "x-access-token"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TOKENS = ("ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-")
"""GitHub takes a token in the place of the user's name; clone addresses are often written so."""


@dataclass(frozen=True, slots=True)
class Address:
    """A repository without its credentials, and these apart."""

    url: str
    user: str = USER
    token: Secret | None = None
    own: bool = False
    """Whether the token stood in the address itself."""

    @property
    def host(self) -> str:
        """The server, empty for a folder."""
        return (urlsplit(self.url).hostname or "") if self.over_network else ""

    @property
    def over_network(self) -> bool:
        """Whether it is reached by HTTP."""
        return self.url.startswith(("http://", "https://"))

    @property
    def folder(self) -> Path:
        """The repository itself, where it is not reached by HTTP."""
        return Path(unquote(urlsplit(self.url).path))

    @property
    def encrypted(self) -> bool:
        """Whether what is sent goes over TLS; otherwise a token may go to loopback alone, past any proxy."""
        return self.url.startswith("https://")


def read_address(text: str, token: Secret | None, folder: Path) -> Address:
    """An address from ``DATA_REPOSITORY``; a password of its own goes before ``token``.

    Args:
        text: ``https://``, ``http://``, ``file://``, or a path, relative to ``folder``.
        token: the password, sent as HTTP Basic with the address's user name, or ``x-access-token``.
        folder: the project's.

    Raises:
        PermanentJobError: it is none of these, or the password would go over a network unencrypted.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        there = os.path.exists(text)  # noqa: PTH110 - False for what no path can be
        if text.startswith("git@") or (":" in text.partition("/")[0] and not there):
            raise _unsupported(text)
        return Address((folder / with_home(text, "DATA_REPOSITORY")).absolute().as_uri())
    scheme = scheme.lower()
    if scheme == "file":
        return Address(f"file://{rest}")
    if scheme not in {"http", "https"} or not rest:
        raise _unsupported(text)
    try:
        parts = urlsplit(text)
        host = parts.hostname
        place = f"[{host}]" if host and ":" in host else host or ""
        place += f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise _unsupported(text) from error
    if not host:
        raise _unsupported(text)
    clean = urlunsplit((parts.scheme, place, parts.path, "", ""))
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not password and user.startswith(_TOKENS):
        user, password = "", user
    address = Address(clean, user or USER, Secret(password) if password else token, own=bool(password))
    if address.token is not None and not (address.encrypted or address.host in _LOOPBACK):
        raise PermanentJobError(
            f"the token of {clean} would go over http:// unencrypted",
            hint="use an https:// address, or take the token out",
        )
    return address


def _unsupported(text: str) -> PermanentJobError:
    return PermanentJobError(
        f"DATA_REPOSITORY is {quote(masked_address(text))}, which cannot be used",
        hint="use an https:// address with GH_TOKEN, a file:// address or a path",
    )
