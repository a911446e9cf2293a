"""Secrets that cannot be printed by accident, and how they are shown when one must be named."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NoReturn

from jobctl.masking import MASK, WEAK
from jobctl.settings.variables import (
    VARIABLES,
    Kind,
    is_secret,
    may_hold_password,
    names_password,
    sounds_secret,
)
from jobctl.text import quote

# Patterns are texts: each is compiled where it is first used, which most commands never do.
_PREFIXED = (
    r"\b(tr_(?:dev|stg|prod|preview|pat)_|gh[opsru]_|github_pat_|gl(?:pat|dt|rt|ptt)-|re_|[sr]k_(?:live|test)_|sk-(?:[a-z]+-)*"
    r"|xox[a-z]-|xapp-|whsec_|npm_|pypi-|hf_|dop_v1_|shp[a-z]{2}_|SG\.|AIza|ya29\.|eyJ(?=[\w-]+\.eyJ))[\w.-]{8,}"
)
"""The secrets of services that give theirs a prefix, by which secret scanners know them."""
_KEY = (
    r"(?s)(\b(?:AKIA|ASIA)[A-Z0-9]{16}\b)(?:\W+([A-Za-z0-9/+]{40})(?![\w/+]))?"
    r"|(?:/bot(?=\d+:)|\b(?=\d{6,}:[\w-]{30}))(\d+:[\w-]+)|(-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*-----)"
)
"""Of Amazon, of Telegram and in PEM."""


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
    known = re.match(_PREFIXED, text)
    return f"{known[1] if known else ''}{MASK} ({len(text)} characters)"


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


_VALUE = r"""(?='((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s'"]\S{0,4000}))"""
_PAIR = rf"""(?<!\w)([A-Za-z_][\w.-]{{0,80}})\s*=\s*{_VALUE}"""
"""A name and its value, as the query of an address, libpq, ODBC and HTTP headers have them."""
_FIELD = (
    r"""(?:(?<!\S)--?([A-Za-z][\w-]*)\s+(?!-)|(?<!\w)([A-Za-z_][\w.-]{0,80})["']?:(?=[\s"'])\s*)"""
    rf"(?:(?i:bearer|basic|token)\s+)?{_VALUE}"
)
"""The same as command lines, headers and YAML have them."""
_USER_OPTION = r"""(?<!\S)(?:-[uU]|--(?:proxy-)?user)[\s=]*["']?[^\s:"']+:([^\s"']+)"""
_BEARER = r"(?i)\b(?:bearer|basic)\s+([\w.~+/-]{8,})"
_LOGIN = r"(?s)(?:([A-Za-z][A-Za-z0-9+.-]{0,30}):?|(?<![/:\w])(?=//[^/]))//(?=(.{0,2000}))"
_BARE_LOGIN = (
    r"""(?:[\w.-]+=)?["']?(?!(?:mailto|sips?|xmpp|acct|npm):)([^\s:/@"']+:\S+)"""
    r"""@(?:[a-z]*\(.*|(?!sha\d+:)[\w.-]*[A-Za-z][\w.-]*(?:[:/?"',;].*)?|(?:\d+\.){3}\d.*|[\[/].*)"""
)
"""``user:password@host``, also behind ``postgresql:`` or ``jdbc:oracle:thin:``."""
_HOOK = r"(?i)https?://(?:hooks\.|[^/\s]+/(?:\S*/)?(?:web)?hooks?/)\S*"
"""Of Slack, Discord and those that follow them."""
_PLAIN_USER = r"(?:[A-Z]?[a-z]{2,}|[A-Z]{2,})(?:[._-]?[A-Z]?[a-z]+)*[._-]?\d{0,4}|.*@.*"
_NO_SECRETS = frozenset({"REQUIRE_AUTH"})
_LEAST_RANDOM = 10
_JSON = ("{", "[", "eyJ", "ewo", "W3s")
"""How JSON begins, as it is and in Base64."""
_MOST_READINGS = 20
_LONGEST_LOGIN = 2000


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
            is_password = not colon and scheme.lower() in {"redis", "rediss"} and not _is_name(user)
            if not re.search(r"[/\s]", user) and (is_password or is_token(user)):
                yield user
        user, colon, port = re.split(r"[/?#\s]", rest, maxsplit=1)[0].partition(":")
        is_port = "," in port or port.isdecimal() or user.startswith("[")
        if scheme and not ends and not is_port:
            yield port  # the host is missing, or what should stand between
    for word in text.split() if "@" in text else ():
        yield from _without_scheme(word)
    for pair in re.finditer(_PAIR, text) if "=" in text else ():
        if sounds_secret(pair[1]):
            quoted, bare = pair[2] or pair[3] or "", pair[4] or ""
            first = re.split("[&;#,]", bare, maxsplit=1)[0]
            if _says_secret(pair[1], quoted or first):
                yield from (quoted, re.sub(r"\\(.)", r"\1", quoted), bare, first)


def _without_scheme(word: str) -> Iterator[str]:
    """The password of ``user:password@host`` and the like; nothing of mail addresses and versions."""
    is_url = "://" in word or word.startswith("//") or len(word) > _LONGEST_LOGIN
    if not is_url and (login := re.fullmatch(_BARE_LOGIN, word)):
        parts = login[1].split(":")
        yield from (":".join(parts[at:]) for at in range(1, min(len(parts), 6)))
        if "thin" in parts:  # of Oracle
            yield parts[-1].partition("/")[2]


def text_secrets(text: str) -> Iterator[str]:
    """What any text holds of secrets: those of addresses, tokens, headers, options of commands, and JSON."""
    yield from address_secrets(text)
    yield from (one[0] for one in re.finditer(_PREFIXED, text))
    if any(sign in text for sign in ("AKIA", "ASIA", "/bot", ":AA", "PRIVATE KEY")):
        yield from (one for found in re.findall(_KEY, text) for one in found)
    if any(sign in text for sign in " \t\n\"'"):
        for option, name, single, double, bare in re.findall(_FIELD, text):
            value = single or double or bare.rstrip("\"',;)}")
            if _says_secret(option or name, value):
                yield value
                yield from _of_basic(value)
        yield from re.findall(_USER_OPTION, text)
        yield from (one for one in re.findall(_BEARER, text) if not one.islower())
    for path in re.findall(r"//[^/\s]+([^\s?#]*)", text) if "//" in text else ():
        yield from (one for one in path.split("/") if len(one) >= 2 * _LEAST_RANDOM and _is_mixed(one))
    if text.lstrip().startswith(_JSON):
        import json
        from base64 import b64decode

        with suppress(ValueError, RecursionError):
            plain = text if text.lstrip()[0] in "{[" else b64decode(text)
            yield from _json_secrets(json.loads(plain), "")


def _json_secrets(value: object, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _json_secrets(one, name if "PASS" in name.upper() else key)
    elif isinstance(value, list):
        for one in value:
            yield from _json_secrets(one, name)
    elif isinstance(value, str | int):
        if _says_secret(name, str(value)):
            yield str(value)
            yield from _of_basic(str(value))
        yield from text_secrets(str(value))


def _of_basic(text: str) -> Iterator[str]:
    """The password of ``user:password``, as it is or in Base64."""
    from base64 import b64decode

    try:
        plain = b64decode(text, validate=True).decode()
    except ValueError:
        plain = text
    yield plain.partition(":")[2]


def _says_secret(name: str, value: str) -> bool:
    """Whether a name makes a value secret; a word or a short number only where it is a password's."""
    is_named = sounds_secret(name) and name.upper() not in _NO_SECRETS
    return is_named and (not WEAK.fullmatch(value) or names_password(name))


def url_secrets(text: str) -> Iterator[str]:
    """Those of a URL that is as good as a password, as that of a webhook: the whole, its path, and its random parts."""
    yield text
    yield from path_secrets(text)


def path_secrets(text: str) -> Iterator[str]:
    """Those in the path and the query of a URL."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return
    pieces = [one for one in re.split("[/?&=]", f"{parts.path}?{parts.query}") if is_random(one)]
    yield from pieces
    yield from (one for part in parts.query.split("&") if not WEAK.fullmatch(one := part.rpartition("=")[2]))
    if pieces:
        yield parts.path


def is_random(text: str) -> bool:
    """Whether a text looks made by a machine: none of the words that people put into addresses."""
    digits = sum(map(str.isdecimal, text))
    mixed = any(map(str.islower, text)) and any(map(str.isupper, text[1:]))
    return len(text) >= _LEAST_RANDOM and (digits >= 2 or (mixed and text.isalnum()))


def is_token(user: str) -> bool:
    """Whether what stands in place of a user's name is a token or a password, and no name."""
    return re.match(_PREFIXED, user) is not None or (is_random(user) and not _is_name(user))


def _is_name(user: str) -> bool:
    return re.fullmatch(_PLAIN_USER, user.replace("%40", "@")) is not None


def _is_mixed(text: str) -> bool:
    return all(any(map(kind, text)) for kind in (str.isdecimal, str.islower, str.isupper))


def secret_texts(variables: Mapping[str, str]) -> list[str]:
    """Every text of some variables that must never be shown: secrets, and passwords inside addresses."""
    found: list[str] = []
    for name, text in variables.items():
        upper = name.upper()
        if is_secret(name) and (
            name in VARIABLES or names_password(name) or not WEAK.fullmatch(text.strip())
        ):
            found += [text, text.replace("\\n", "\n")]  # a key of several lines, in JSON or on one line
            if upper.endswith(("AUTH", "BASIC")):
                found.extend(_of_basic(text))
        for url in (
            [text] if "WEBHOOK" in upper else re.findall(_HOOK, text) if "hook" in text.lower() else ()
        ):
            found.extend(url_secrets(url))
        if name == "JOBCTL_CONTENT_CHANGED_URL":
            found.extend(path_secrets(text))
        found.extend(text_secrets(text))
        if name.startswith("OTEL_") and name.endswith("_HEADERS"):
            found.extend(one.partition("=")[2].strip() for one in text.split(","))
    if any("%" in one or "+" in one for one in found):
        from urllib.parse import unquote, unquote_plus

        found += [*map(unquote, found), *map(unquote_plus, found)]
    return [*filter(None, dict.fromkeys(found))]
