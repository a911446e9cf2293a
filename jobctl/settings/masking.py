"""Secrets: values that cannot be printed, which texts are secret, and the mask that takes them out of other texts."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from jobctl.settings.variables import VARIABLES, VariableKind
from jobctl.text import quote

MASK = "••••"
SHORTEST = 4
"""Characters. A shorter text occurs too often where it is not a secret."""
_WORDS = frozenset([
    "true", "false", "null", "none", "undefined", "yes", "auto", "enabled", "disabled", "required", "optional",
    "default", "basic", "bearer", "production", "development", "staging", "preview",
])  # fmt: skip
"""Values of switches and environments: never secret, whatever the name of their variable."""
WEAK = re.compile(r"[a-z]{1,8}|\d{1,6}")
"""A text that occurs often where it is not a secret: masked only as a separate word."""


class Secret:
    """A text that prints as ``••••`` in every form; ``reveal()`` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Never print or store it."""
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
            *(secret.reveal().encode("utf-8", "surrogateescape") for secret in (self, other))
        )

    def __hash__(self) -> int:
        return hash(Secret)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


_SECRET_NAMES = re.compile(
    r"(?<!MON)KEY(?!CLOAK|BOARD|WORD|RING)|TOKEN(?!I[SZ])|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASSCODE|PASSCOMMAND"
    r"|CREDENTIAL|WEBHOOK|AUTHORIZATION|(?:_|\b|DB|FTP|MAIL|PG|SMTP|USER)PASS$|(?<!DESKTOP)(?:_|\b)SESSION$|SESS(?:ION)?_?ID$"
    r"|(?:_|\b|DB)(?:PW|PWD|AUTH|BASIC|BEARER|DSN|COOKIES?|JWT|PAT|PRIVATE|SALT|SIG|SIGNATURE)$"
)
"""In upper case: without regard to case it would take three times as long to compile."""
_DESCRIBING_ENDS = (
    r"(?i)_(?:TTL|PREFIX|REALM|ID|LENGTH|SIZE|COUNT|LIMIT|MAX|MIN|EXPIR\w*|EXPIRY|AGE|DAYS|HOURS|MINUTES|SECONDS|MS|TIMEOUT"
    r"|INTERVAL|YEAR|DATE|NAME|TYPE|ALGORITHM|ALG|FORMAT|VERSION|ENABLED|REQUIRED|HEADER|ISSUER|AUDIENCE|SCOPES?"
    r"|HOST|PORT|REGION|PATH|FILE|DIR|URL|URI|ENDPOINT)$"
)
"""Ends of names of variables that describe a secret and do not hold it."""
_SECRET_ADDRESSES = ("_URL", "_URI", "_DSN", "_ENDPOINT", "DATA_REPOSITORY", "WEBHOOK")


def is_secret(name: str) -> bool:
    """Whether a variable holds a secret: by the table of variables, or else by its name."""
    known = VARIABLES.get(name)
    if known is not None:
        return known.kind is VariableKind.SECRET
    return name != "PWD" and not name.upper().startswith("NEXT_PUBLIC_") and sounds_secret(name)


def sounds_secret(name: str) -> bool:
    """Whether the name of a variable, a parameter or a header indicates a secret value."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.replace("-", "_")).rstrip("_0123456789")
    return _SECRET_NAMES.search(words.upper()) is not None and (
        re.search(_DESCRIBING_ENDS, words) is None or re.search("(?i)WEBHOOK|SESSION_ID$", words) is not None
    )


def names_password(name: str) -> bool:
    """Whether a variable holds a password by its name: people choose passwords, so it may be a plain word."""
    return re.search("(?i)PASS|PWD|PW[0-9]*$|SECRET", name) is not None


def may_hold_password(name: str) -> bool:
    """Whether a variable is an address, which may hold a password."""
    return name.upper().endswith(_SECRET_ADDRESSES)


# Patterns are texts, compiled at their first use: most commands never need them.
_PREFIXED = (
    r"\b(tr_(?:dev|stg|prod|preview|pat)_|gh[opsru]_|github_pat_|gl(?:pat|dt|rt|ptt)-|re_|[sr]k_(?:live|test)_|sk-(?:[a-z]+-)*"
    r"|xox[a-z]-|xapp-|whsec_|npm_|pypi-|hf_|dop_v1_|shp[a-z]{2}_|SG\.|AIza|ya29\.|eyJ(?=[\w-]+\.eyJ))[\w.-]{8,}"
)
"""Tokens of services that give them a known prefix, for secret scanners."""
_KEYS = (
    r"(?s)(\b(?:AKIA|ASIA)[A-Z0-9]{16}\b)(?:\W+([A-Za-z0-9/+]{40})(?![\w/+]))?"
    r"|(?:/bot(?=\d+:)|\b(?=\d{6,}:[\w-]{30}))(\d+:[\w-]+)|(-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*-----)"
)
"""Keys of Amazon and Telegram, and private keys in PEM."""


SHORTEST_CRON_SECRET = 16
"""Characters, as Vercel advises: https://vercel.com/docs/cron-jobs/manage-cron-jobs#securing-cron-jobs."""


def cron_secret_weakness(secret: Secret | None) -> str | None:
    """What is wrong with ``CRON_SECRET``, as a sentence; None if it is strong or not set."""
    text = secret.reveal() if secret is not None else None
    if text is None:
        return None
    if not (text.isascii() and text.isprintable()):
        return "CRON_SECRET holds a character beyond printable ASCII, which not every client can send in a header"
    if len(text) < SHORTEST_CRON_SECRET:
        return f"CRON_SECRET has fewer than {SHORTEST_CRON_SECRET} characters, which can be guessed"
    return None


def masked(text: str) -> str:
    """``tr_prod_•••• (24 characters)``: only a well-known prefix and the length."""
    if not text:
        return '""'
    known = re.match(_PREFIXED, text)
    return f"{known[1] if known else ''}{MASK} ({len(text)} characters)"


def shown(name: str, text: str) -> str:
    """A variable's text for people, quoted so that blanks are visible. Secrets are masked, and so is a malformed
    address: it may be a password in the wrong place.
    """
    if is_secret(name):
        return masked(text)
    kind = VARIABLES[name].kind if name in VARIABLES else None
    if not may_hold_password(name) and kind not in {
        VariableKind.URL,
        VariableKind.ADDRESS,
        VariableKind.DATABASE,
    }:
        return quote(text)
    address = masked_address(text) if kind is VariableKind.ADDRESS or not re.fullmatch(_PATH, text) else MASK
    return address if address == MASK else quote(address, 200)


_PATH = r"[^:=;@?]*"
_PLACE = rf"(?:file:|sqlite:|[\w.-]+:\d{{1,5}}(?=/|$))?{_PATH}"
_ON_SSH = r"[\w.-]+@([\w.-]+:[^@?=;]*)"
_URL = r"(?s)([A-Za-z][A-Za-z0-9+.-]*://)(.*@)?([^?#]*)([?#])?.*"
_HOSTS = r"(?:(?:\[[^\]]*\]|[^:,\[\]]*)(?::\d*)?(?:,|$))*"


def masked_address(text: str) -> str:
    """A URL with its user, password and query masked; a path as it is; anything else masked as a whole.

    The part before the last ``@`` is always masked, since a mistyped URL may hold a password too.
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
"""``name=value``, as in the query of an address, in libpq, ODBC and HTTP headers."""
_FIELD = (
    r"""(?:(?<!\S)--?([A-Za-z][\w-]*)\s+(?!-)|(?<!\w)([A-Za-z_][\w.-]{0,80})["']?:(?=[\s"'])\s*)"""
    rf"(?:(?i:bearer|basic|token)\s+)?{_VALUE}"
)
"""The same as in command lines, headers and YAML."""
_USER_OPTION = r"""(?<!\S)(?:-[uU]|--(?:proxy-)?user)[\s=]*["']?[^\s:"']+:([^\s"']+)"""
_BEARER = r"(?i)\b(?:bearer|basic)\s+([\w.~+/-]{8,})"
_LOGIN = r"(?s)(?:([A-Za-z][A-Za-z0-9+.-]{0,30}):?|(?<![/:\w])(?=//[^/]))//(?=(.{0,2000}))"
_BARE_LOGIN = (
    r"""(?:[\w.-]+=)?["']?(?!(?:mailto|sips?|xmpp|acct|npm):)([^\s:/@"']+:\S+)"""
    r"""@(?:[a-z]*\(.*|(?!sha\d+:)[\w.-]*[A-Za-z][\w.-]*(?:[:/?"',;].*)?|(?:\d+\.){3}\d.*|[\[/].*)"""
)
"""``user:password@host``, also behind ``postgresql:`` or ``jdbc:oracle:thin:``."""
_HOOK = r"(?i)https?://(?:hooks\.|[^/\s]+/(?:\S*/)?(?:web)?hooks?/)\S*"
"""Webhooks of Slack, Discord and similar services."""
_PLAIN_USER = r"(?:[A-Z]?[a-z]{2,}|[A-Z]{2,})(?:[._-]?[A-Z]?[a-z]+)*[._-]?\d{0,4}|.*@.*"
_PUBLIC_NAMES = frozenset({"REQUIRE_AUTH"})
_SHORTEST_RANDOM = 10
_JSON = ("{", "[", "eyJ", "ewo", "W3s")
"""Beginnings of JSON, plain and in Base64."""
_MOST_AT_SIGNS = 20
_LONGEST_LOGIN = 2000


def address_secrets(text: str) -> Iterator[str]:
    """The secrets in the addresses of a text: passwords, tokens in place of a user, and values such as ``password=``.

    A password may contain ``/``, ``@`` or ``?``, so every possible end of it counts.
    """
    for scheme, rest in re.findall(_LOGIN, text) if "//" in text else ():
        ends = [at for at, character in enumerate(rest) if character == "@"][:_MOST_AT_SIGNS]
        for at in ends:
            user, colon, password = rest[:at].partition(":")
            if colon and "/" not in user:
                yield password
            is_password = not colon and scheme.lower() in {"redis", "rediss"} and not _is_name(user)
            if not re.search(r"[/\s]", user) and (is_password or _is_token(user)):
                yield user
        user, colon, port = re.split(r"[/?#\s]", rest, maxsplit=1)[0].partition(":")
        is_port = "," in port or port.isdecimal() or user.startswith("[")
        if scheme and not ends and not is_port:
            yield port  # a password: the host is missing
    for word in text.split() if "@" in text else ():
        yield from _without_scheme(word)
    for pair in re.finditer(_PAIR, text) if "=" in text else ():
        if sounds_secret(pair[1]):
            quoted, bare = pair[2] or pair[3] or "", pair[4] or ""
            first = re.split("[&;#,]", bare, maxsplit=1)[0]
            if _is_named_secret(pair[1], quoted or first):
                yield from (quoted, re.sub(r"\\(.)", r"\1", quoted), bare, first)


def _without_scheme(word: str) -> Iterator[str]:
    """The password of ``user:password@host`` and similar forms; nothing for mail addresses and versions."""
    is_url = "://" in word or word.startswith("//") or len(word) > _LONGEST_LOGIN
    if not is_url and (login := re.fullmatch(_BARE_LOGIN, word)):
        parts = login[1].split(":")
        yield from (":".join(parts[at:]) for at in range(1, min(len(parts), 6)))
        if "thin" in parts:  # Oracle
            yield parts[-1].partition("/")[2]


def text_secrets(text: str) -> Iterator[str]:
    """The secrets in any text: in addresses, tokens, headers, command options and JSON."""
    yield from address_secrets(text)
    yield from (token[0] for token in re.finditer(_PREFIXED, text))
    if any(sign in text for sign in ("AKIA", "ASIA", "/bot", ":AA", "PRIVATE KEY")):
        yield from (key for found in re.findall(_KEYS, text) for key in found)
    if any(sign in text for sign in " \t\n\"'"):
        for option, name, single, double, bare in re.findall(_FIELD, text):
            value = single or double or bare.rstrip("\"',;)}")
            if _is_named_secret(option or name, value):
                yield value
                yield from _basic_password(value)
        yield from re.findall(_USER_OPTION, text)
        yield from (token for token in re.findall(_BEARER, text) if not token.islower())
    for path in re.findall(r"//[^/\s]+([^\s?#]*)", text) if "//" in text else ():
        yield from (part for part in path.split("/") if len(part) >= 2 * _SHORTEST_RANDOM and _is_mixed(part))
    if text.lstrip().startswith(_JSON):
        import json
        from base64 import b64decode

        with suppress(ValueError, RecursionError):
            plain = text if text.lstrip()[0] in "{[" else b64decode(text)
            yield from _json_secrets(json.loads(plain), "")


def _json_secrets(value: object, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _json_secrets(member, name if "PASS" in name.upper() else key)
    elif isinstance(value, list):
        for member in value:
            yield from _json_secrets(member, name)
    elif isinstance(value, str | int):
        if _is_named_secret(name, str(value)):
            yield str(value)
            yield from _basic_password(str(value))
        yield from text_secrets(str(value))


def _basic_password(text: str) -> Iterator[str]:
    """The password of ``user:password``, plain or in Base64."""
    from base64 import b64decode

    try:
        plain = b64decode(text, validate=True).decode()
    except ValueError:
        plain = text
    yield plain.partition(":")[2]


def _is_named_secret(name: str, value: str) -> bool:
    """Whether a name makes a value secret; a plain word or a short number only if the name is that of a password."""
    is_named = sounds_secret(name) and name.upper() not in _PUBLIC_NAMES
    return is_named and (not WEAK.fullmatch(value) or names_password(name))


def url_secrets(text: str) -> Iterator[str]:
    """The secrets of a URL that grants access, such as that of a webhook: all of it, its path and its random parts."""
    yield text
    yield from path_secrets(text)


def path_secrets(text: str) -> Iterator[str]:
    """The secrets in the path and the query of a URL."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return
    pieces = [piece for piece in re.split("[/?&=]", f"{parts.path}?{parts.query}") if _is_random(piece)]
    yield from pieces
    values = (pair.rpartition("=")[2] for pair in parts.query.split("&"))
    yield from (value for value in values if not WEAK.fullmatch(value))
    if pieces:
        yield parts.path


def _is_random(text: str) -> bool:
    """Whether a text looks generated, unlike the words that people put into addresses."""
    digits = sum(map(str.isdecimal, text))
    mixed = any(map(str.islower, text)) and any(map(str.isupper, text[1:]))
    return len(text) >= _SHORTEST_RANDOM and (digits >= 2 or (mixed and text.isalnum()))


def _is_token(user: str) -> bool:
    """Whether the user of an address is in fact a token or a password."""
    return re.match(_PREFIXED, user) is not None or (_is_random(user) and not _is_name(user))


def _is_name(user: str) -> bool:
    return re.fullmatch(_PLAIN_USER, user.replace("%40", "@")) is not None


def _is_mixed(text: str) -> bool:
    return all(any(map(kind, text)) for kind in (str.isdecimal, str.islower, str.isupper))


def secret_texts(variables: Mapping[str, object]) -> list[str]:
    """Every text in these variables or arguments that must never be shown: secrets, and passwords inside addresses."""
    found: list[str] = []
    for name, text in variables.items():
        if not isinstance(text, str):
            continue
        upper = name.upper()
        if is_secret(name) and (
            name in VARIABLES or names_password(name) or not WEAK.fullmatch(text.strip())
        ):
            found += [text, text.replace("\\n", "\n")]  # a key of several lines, in JSON or on one line
            if upper.endswith(("AUTH", "BASIC")):
                found.extend(_basic_password(text))
        hooks = re.findall(_HOOK, text) if "hook" in text.lower() else ()
        for url in [text] if "WEBHOOK" in upper else hooks:
            found.extend(url_secrets(url))
        if name == "JOBCTL_CONTENT_CHANGED_URL":
            found.extend(path_secrets(text))
        found.extend(text_secrets(text))
        if name.startswith("OTEL_") and name.endswith("_HEADERS"):
            found.extend(header.partition("=")[2].strip() for header in text.split(","))
    if any("%" in secret or "+" in secret for secret in found):
        from urllib.parse import unquote, unquote_plus

        found += [*map(unquote, found), *map(unquote_plus, found)]
    return [*filter(None, dict.fromkeys(found))]


_SHORTEST_BEGINNING = 6
"""Characters of a secret before ``…`` that are enough to recognize it."""
_ALONE = (r"(?:(?<![\w-])(?<!\d[.,])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\dm))", r"(?!-?\w|[.,]\d)")
_SHORTEST_RUN = 8
"""Characters of Base64 from which on a form is searched only in the long words of a text: most texts have few."""
_MOST_LOOKUPS = 1000
"""Characters of long words; for more it is faster to search for each form."""
_BLANK = r"(?:\s|\+|\\{1,4}[nrtfv]|%(?:25)*(?:20|0[9-dA-D])|&#(?:x?[9adAD]|1[03]|32|x20);|&nbsp;)"
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
"""Characters that are never escaped."""
_PARTS = rf"(?s)\s+|{_PLAIN.pattern}|."
_ENTITIES = {'"': "quot", "'": "apos", "&": "amp", "<": "lt", ">": "gt"}
_IN_SHELL = {"'": r"""'\\''|'"'"'""", "!": r"'\\!'"}


class _Form(NamedTuple):
    """One way to write a secret.

    Attributes:
        sign: a fixed part, quick to search for.
        pattern: the whole; None if ``sign`` is the whole.
        longest: an upper bound of its length, in characters.
    """

    sign: str
    pattern: re.Pattern[str] | None
    longest: int


class Mask:
    """Replaces each secret in a text by ``••••``. Thread-safe.

    It finds a secret in plain form, line by line, percent-encoded, in Base64 at any offset, in Base64 of UTF-16 and
    Latin-1, twice in Base64, escaped as in JSON, Python, XML or a shell, and with its blanks collapsed. Secrets under
    4 characters and words such as ``true`` are not masked; a short word or number (``WEAK``) is masked only as a
    separate word.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: dict[str, None] = {}
        self._forms: tuple[_Form, ...] | None = None
        self._encoded: dict[str, list[_Form]] = {}
        self._long_words = re.compile("")
        self._longest = 0
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Replace these too, from now on."""
        for secret in secrets:
            for part in (secret, *secret.splitlines()):
                plain = part.strip()
                if len(plain) >= SHORTEST and plain.lower() not in _WORDS and plain not in self._secrets:
                    self._secrets = {**self._secrets, plain: None}
                    self._forms = None

    def __call__(self, text: str) -> str:
        """The text without its secrets."""
        spans = self._spans(text)
        return _hidden(text, spans) if spans else text

    def split(self, text: str, at: int) -> tuple[str, str]:
        """The text up to ``at`` without its secrets, and the rest unchanged.

        A secret across the place goes into the first part, if ``longest`` characters follow the place.
        """
        spans = self._spans(text)
        at = next((end for begin, end in spans if begin < at < end), at)
        return _hidden(text[:at], [span for span in spans if span[1] <= at]), text[at:]

    def value(self, value: Any) -> Any:
        """A JSON value without secrets and lone surrogates at any depth. A number of more than 6 digits that
        contains a secret becomes a text.
        """
        if isinstance(value, str):
            return self(value).encode("utf-8", "backslashreplace").decode("utf-8")
        if isinstance(value, list):
            return [self.value(member) for member in value]
        if isinstance(value, dict):
            return {self.value(key): self.value(member) for key, member in value.items()}
        if isinstance(value, int | float) and not isinstance(value, bool) and not WEAK.fullmatch(str(value)):
            text = str(value)
            return value if (shown := self(text)) == text else shown
        return value

    @property
    def longest(self) -> int:
        """The length of the longest possible occurrence, in characters."""
        return self._longest if self._made() else 0

    def _made(self) -> tuple[_Form, ...]:
        """The forms to search for one by one; ``_encoded`` holds the others by the beginning of their sign.

        Made at the first use: most processes show nothing that could contain a secret.
        """
        forms = self._forms
        if forms is None:
            texts = [text for secret in self._secrets for text in _normal_forms(secret)]
            found = [_word(text) if WEAK.fullmatch(text) else _form(text) for text in texts]
            known = set(texts)
            encoded = [
                _form(run)
                for run in dict.fromkeys(run for text in texts for run in _in_base64(text))
                if run not in known
            ]
            long = [form for form in encoded if len(form.sign) >= _SHORTEST_RUN]
            self._encoded = {}
            for form in long:
                self._encoded.setdefault(form.sign[:_SHORTEST_RUN], []).append(form)
            least = min((len(form.sign) for form in long), default=_SHORTEST_RUN)
            self._long_words = re.compile(rf"(?a)\b\w{{{least},}}")
            self._longest = max((form.longest for form in (*found, *encoded)), default=0)
            forms = (*found, *(form for form in encoded if len(form.sign) < _SHORTEST_RUN))
            self._forms = forms
        return forms

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """The places of secrets, in order; secrets that touch or overlap make one place."""
        found: list[tuple[int, int]] = []
        # the cost of each line: one search for each form, at the speed of memchr, and one for long words
        here = [form for form in self._made() if form.sign in text]
        if self._encoded and (words := " ".join(self._long_words.findall(text))):
            begun = self._encoded
            if len(words) < _MOST_LOOKUPS:
                parts = {words[at : at + _SHORTEST_RUN] for at in range(len(words) - _SHORTEST_RUN + 1)}
                begun = {part: begun[part] for part in parts if part in begun}
            here += [form for forms in begun.values() for form in forms if form.sign in words]
        for sign, pattern, _ in here:
            if pattern is not None:
                found += (match.span() for match in pattern.finditer(text))
                continue
            at = text.find(sign)
            while at >= 0:
                found.append((at, at + len(sign)))
                at = text.find(sign, at + 1)
        if "…" in text:
            found += self._cut_short(text)
        if len(found) < 2:
            return found
        merged: list[tuple[int, int]] = []
        for begin, end in sorted(found):
            if merged and begin <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        return merged

    def _cut_short(self, text: str) -> Iterator[tuple[int, int]]:
        """The places where ``…`` replaces the end of a secret, as in messages that quote a long text."""
        for mark in re.finditer("…", text):
            end = mark.start()
            for secret in self._secrets:
                beginning = secret[:_SHORTEST_BEGINNING]
                at = text.find(beginning, max(0, end - len(secret)), end)
                while at >= 0 and not secret.startswith(text[at:end]):
                    at = text.find(beginning, at + 1, end)
                if at >= 0:
                    yield at, end


def _hidden(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts, last = [], 0
    for begin, end in spans:
        parts += [text[last:begin], MASK]
        last = end
    return "".join([*parts, text[last:]])


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _normal_forms(secret: str) -> Iterable[str]:
    """The text, and its composed and decomposed Unicode forms, into which file systems and editors change it."""
    if secret.isascii():
        return (secret,)
    from unicodedata import normalize

    return dict.fromkeys((secret, normalize("NFC", secret), normalize("NFD", secret)))


def _in_base64(secret: str) -> Iterator[str]:
    """Its Base64 in UTF-8, in Latin-1 (HTTP) and in UTF-16 (PowerShell), and its Base64 encoded again."""
    data = _bytes(secret)
    for run in _fragments(data):
        yield run
        yield from (twice for twice in _fragments(run.encode()) if len(twice) >= _SHORTEST_RUN)
    yield from _fragments(secret.encode("utf-16-le", "surrogatepass"))
    if not secret.isascii() and max(secret) < "\u0100":
        yield from _fragments(secret.encode("latin-1"))


def _fragments(data: bytes) -> list[str]:
    """The characters of Base64 that depend only on the data, for each offset in a group of three bytes; and its
    lines of 76 characters, as ``base64`` writes them.
    """
    import base64

    whole = base64.b64encode(data).decode()
    found = [whole[at : at + 76] for at in range(0, len(whole), 76)] if len(whole) > 76 else []
    for before in range(3):
        begin, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        found.append(base64.b64encode(bytes(before) + data).decode()[begin:end])
    return [run for run in found if len(run) >= SHORTEST]


def _word(text: str) -> _Form:
    return _Form(text, re.compile(text.join(_ALONE)), len(text))


def _form(text: str) -> _Form:
    """The form of a text in which any character may be escaped."""
    parts: list[str] = []
    longest = 0
    for part in re.findall(_PARTS, text):
        if part.isspace():
            most = 2 * len(part) + 6
            parts.append(f"{_BLANK}{{1,{most}}}")
            longest += most * 6
        elif _PLAIN.fullmatch(part):
            parts.append(re.escape(part))
            longest += len(part)
        else:
            parts.append(_escapable(part))
            longest += 12 * len(_bytes(part))
    sign = max(_PLAIN.findall(text), key=len, default="")
    if sign == text:
        return _Form(text, None, len(text))
    return _Form(sign, re.compile("".join(parts)), longest)


def _escapable(char: str) -> str:
    """A pattern for a character, plain or escaped in any of the usual ways."""
    code = ord(char)
    forms = [
        rf"\\{{0,7}}{re.escape(char)}" if char != "\\" else r"\\{1,8}",
        rf"\\{{1,4}}u{code:04x}" if code < 0x10000 else _surrogates(code),
        rf"&#(?:{code}|x0*{code:x});",
    ]
    for data in dict.fromkeys((_bytes(char), bytes([code]) if code < 0x100 else _bytes(char))):
        forms.append("".join(f"%(?:25){{0,3}}{byte:02x}" for byte in data))
        forms.append("".join(rf"\\{{1,4}}(?:x{byte:02x}|{byte:03o})" for byte in data))
    if char in _ENTITIES:
        forms.append(f"&{_ENTITIES[char]};")
    if char in "'\"":  # doubled in SQL and CSV
        forms.insert(0, char * 2)
    if char == "\b":
        forms.append(r"\\{1,4}b")  # in JSON
    if char in _IN_SHELL:
        forms.insert(0, _IN_SHELL[char])
    if char in "+/":  # Base64 in addresses
        forms.append("-" if char == "+" else "_")
    return f"(?i:{'|'.join(forms)})"


def _surrogates(code: int) -> str:
    high, low = divmod(code - 0x10000, 0x400)
    return rf"\\{{1,4}}u{0xD800 + high:04x}\\{{1,4}}u{0xDC00 + low:04x}|\\{{1,4}}U{code:08x}"
