"""Secrets that cannot be printed by accident, and how they are shown when one must be named."""

from collections.abc import Mapping
from typing import NoReturn

from jobctl.settings.variables import is_secret

_PREFIXES = (
    "tr_dev_",
    "tr_stg_",
    "tr_prod_",
    "tr_preview_",
    "tr_pat_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "re_",
)
MASK = "••••"


class Secret:
    """A text that shows itself as ``••••`` in every form; ``reveal()`` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Never show or keep what comes from here."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        import hmac

        return hmac.compare_digest(
            *(one.reveal().encode("utf-8", "surrogateescape") for one in (self, other))
        )

    def __hash__(self) -> int:
        return hash(Secret)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


def masked(text: str) -> str:
    """``tr_prod_•••• (24 characters)``: a well-known prefix and the length, nothing else of it."""
    if not text:
        return '""'
    prefix = next((one for one in _PREFIXES if text.startswith(one)), "")
    return f"{prefix}{MASK} ({len(text)} characters)"


def masked_address(text: str) -> str:
    """A URL with its user's name and password, and its query, masked.

    What stands before the last ``@`` is never shown, whether or not the rest is a URL: it may be a mistyped one.
    """
    login, at, place = text.rpartition("@")
    scheme, separator, _ = login.partition("://")
    begin = f"{scheme}://" if separator and scheme.replace("+", "").isalpha() else ""
    path, mark, _ = place.partition("?")
    return f"{begin}{MASK}@{path}{mark}{mark and MASK}" if at else f"{path}{mark}{mark and MASK}"


def header_secrets(text: str) -> list[str]:
    """The values of ``name=value,name=value``, as they stand there and decoded."""
    from urllib.parse import unquote

    values = [one.partition("=")[2].strip() for one in text.split(",")]
    return [*values, *map(unquote, values)]


def address_secrets(text: str) -> list[str]:
    """The password of a URL, as it stands there and decoded."""
    _, separator, rest = text.partition("://")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    name, colon, password = user.partition(":")
    if not (separator and at):
        return []
    from urllib.parse import unquote

    found = password if colon else name
    return [found, unquote(found)]


def secret_texts(variables: Mapping[str, str]) -> list[str]:
    """Every text of some variables that must never be shown: secrets, and passwords inside addresses."""
    found: list[str] = []
    for name, text in variables.items():
        if is_secret(name):
            found.extend(text.splitlines())
        found.extend(address_secrets(text))
        if name.startswith("OTEL_") and name.endswith("_HEADERS"):
            found.extend(header_secrets(text))
    return [one for one in found if one]
