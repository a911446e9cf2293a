"""Secrets that cannot be printed by accident, and how they are shown when one must be named."""

import re
from collections.abc import Iterator, Mapping
from typing import NoReturn

from jobctl.masking import MASK
from jobctl.settings.variables import VARIABLES, Kind, is_secret, may_hold_password, sounds_secret
from jobctl.text import quote

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


SHORTEST_CRON_SECRET = 16
"""Characters, as Vercel advises: https://vercel.com/docs/cron-jobs/manage-cron-jobs#securing-cron-jobs."""


def cron_secret_weakness(secret: Secret | None) -> str | None:
    """What is wrong with ``CRON_SECRET``, as a sentence; None where nothing is, or where it is not set."""
    text = secret.reveal() if secret is not None else None
    if text is None:
        return None
    if not (text.isascii() and text.isprintable()):
        return "CRON_SECRET holds a character beyond printable ASCII, which not every client can send in a header"
    if len(text) < SHORTEST_CRON_SECRET:
        return f"CRON_SECRET has fewer than {SHORTEST_CRON_SECRET} characters, which can be guessed"
    return None


def masked(text: str) -> str:
    """``tr_prod_•••• (24 characters)``: a well-known prefix and the length, nothing else of it."""
    if not text:
        return '""'
    prefix = next((one for one in _PREFIXES if text.startswith(one)), "")
    return f"{prefix}{MASK} ({len(text)} characters)"


def shown(name: str, text: str) -> str:
    """A variable's text for people: quoted so that blanks show. Nothing is shown of a secret, and nothing of what
    should be an address and is none, for it may be a password in the wrong place.
    """
    if is_secret(name):
        return masked(text)
    kind = VARIABLES[name].kind if name in VARIABLES else None
    if not may_hold_password(name) and kind not in {Kind.URL, Kind.ADDRESS, Kind.DATABASE}:
        return quote(text)
    address = masked_address(text) if kind is Kind.ADDRESS or not re.fullmatch(_PATH, text) else MASK
    return address if address == MASK else quote(address, 200)


# Patterns are texts: each is compiled where it is first used, which most commands never do.
_PATH = r"[^:=;@?]*"
_PLACE = rf"(?:file:|sqlite:|[\w.-]+:\d{{1,5}}(?=/|$))?{_PATH}"
_ON_SSH = r"[\w.-]+@([\w.-]+:[^@?=;]*)"
_URL = r"(?s)([A-Za-z][A-Za-z0-9+.-]*://)(.*@)?([^?#]*)([?#])?.*"
_HOSTS = r"(?:(?:\[[^\]]*\]|[^:,\[\]]*)(?::\d*)?(?:,|$))*"


def masked_address(text: str) -> str:
    """A URL with its user's name and password, and its query, masked; a path as it is; of anything else nothing.

    What stands before the last ``@`` is never shown, whether or not the rest is a URL: it may be a mistyped one.
    """
    if re.fullmatch(_PLACE, text):
        return text
    if secure_shell := re.fullmatch(_ON_SSH, text):
        return f"{MASK}@{secure_shell[1]}"
    url = re.fullmatch(_URL, text)
    if url is None or not re.fullmatch(_HOSTS, url[3].partition("/")[0]):
        return MASK
    return f"{url[1]}{(url[2] and f'{MASK}@') or ''}{url[3]}{(url[4] and url[4] + MASK) or ''}"


_PAIR = r"""([A-Za-z_][\w.-]*)\s*=\s*(?='((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s'"]\S*))"""
"""A name and its value, as the query of an address, libpq, ODBC and HTTP headers have them."""
_LOGIN = r"(?s)([A-Za-z][A-Za-z0-9+.-]*):?//(?=(.{0,2000}))"
_HOOK = r"(?i)https?://(?:hooks\.|[^/\s]+/(?:\S*/)?(?:web)?hooks?/)\S*"
"""Of Slack, Discord and those that follow them."""
_NO_SECRETS = frozenset({"REQUIRE_AUTH"})
_LEAST_RANDOM = 10
_MOST_READINGS = 20


def address_secrets(text: str) -> Iterator[str]:
    """What the addresses in a text hold of secrets: passwords of users, and values such as ``password=``.

    A password may hold what ends it elsewhere (``/``, ``@``, ``?``), so each way to read it counts. A user's name
    alone is none, but for a token in its place.
    """
    for scheme, rest in re.findall(_LOGIN, text) if "//" in text else ():
        ends = [at for at, one in enumerate(rest) if one == "@"][:_MOST_READINGS]
        for at in ends:
            user, colon, password = rest[:at].partition(":")
            if colon and "/" not in user:
                yield password
            elif not colon and scheme.lower().startswith("http") and is_random(user):
                yield user
        user, colon, port = re.split(r"[/?#\s]", rest, maxsplit=1)[0].partition(":")
        if not ends and colon and "," not in port and not user.startswith("[") and not port.isdecimal():
            yield port  # the host is missing, or what should stand between
    for name, single, double, bare in re.findall(_PAIR, text) if "=" in text else ():
        if sounds_secret(name) and name.upper() not in _NO_SECRETS:
            yield from (single, double, re.sub(r"\\(.)", r"\1", single or double))
            yield from (bare, *re.split("[&;#,]", bare, maxsplit=1)[:1])


def url_secrets(text: str) -> Iterator[str]:
    """Those of a URL that is as good as a password, as that of a webhook: the whole, its path, and its random parts."""
    from urllib.parse import urlsplit

    yield text
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return
    pieces = [one for one in re.split("[/?&=]", f"{parts.path}?{parts.query}") if is_random(one)]
    yield from pieces
    if pieces:
        yield parts.path


def is_random(text: str) -> bool:
    """Whether a text looks made by a machine: none of the words that people put into addresses."""
    digits = sum(map(str.isdecimal, text))
    mixed = any(map(str.islower, text)) and any(map(str.isupper, text[1:]))
    return len(text) >= _LEAST_RANDOM and (digits >= 2 or (mixed and text.isalnum()))


def secret_texts(variables: Mapping[str, str]) -> list[str]:
    """Every text of some variables that must never be shown: secrets, and passwords inside addresses."""
    found: list[str] = []
    for name, text in variables.items():
        upper = name.upper()
        if is_secret(name):
            found += [text, text.replace("\\n", "\n")]  # a key of several lines, in JSON or on one line
            if upper.endswith("AUTH"):
                found.append(text.partition(":")[2])
        for url in (
            [text] if "WEBHOOK" in upper else re.findall(_HOOK, text) if "hook" in text.lower() else ()
        ):
            found.extend(url_secrets(url))
        found.extend(address_secrets(text))
        if name.startswith("OTEL_") and name.endswith("_HEADERS"):
            found.extend(one.partition("=")[2].strip() for one in text.split(","))
    if any("%" in one or "+" in one for one in found):
        from urllib.parse import unquote, unquote_plus

        found += [*map(unquote, found), *map(unquote_plus, found)]
    return [*filter(None, dict.fromkeys(found))]
