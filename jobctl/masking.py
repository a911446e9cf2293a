"""Takes secrets out of texts, also where they are encoded, escaped, quoted or collapsed."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

MASK = "••••"
SHORTEST = 4
"""Characters. What is shorter stands in too many places where it is no secret."""

_LEAST_BEGINNING = 6
_WORDS = frozenset([
    "true", "false", "null", "none", "undefined", "yes", "auto", "enabled", "disabled", "required", "optional",
    "default", "basic", "bearer", "production", "development", "staging", "preview",
])  # fmt: skip
"""Values of switches and names of surroundings, which no variable makes secret, whatever its name."""
WEAK = re.compile(r"[a-z]{1,8}|\d{1,6}")
"""A text that stands in too many places where it is no secret: masked only where it is a word of its own."""
_ALONE = (r"(?:(?<![\w-])(?<!\d[.,])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2})|(?<=\dm))", r"(?!-?\w|[.,]\d)")
_LEAST_RUN = 8
"""Characters of Base64 that are looked for among the long words of a text alone, which most texts have few of."""
_MOST_LOOKUPS = 1000
"""Characters; in more of them it is quicker to search for each form."""
_BLANK = r"(?:\s|\+|\\{1,4}[nrtfv]|%(?:25)*(?:20|0[9-dA-D])|&#(?:x?[9adAD]|1[03]|32|x20);|&nbsp;)"
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")
"""What no writer escapes."""
_PARTS = rf"(?s)\s+|{_PLAIN.pattern}|."
_ENTITIES = {'"': "quot", "'": "apos", "&": "amp", "<": "lt", ">": "gt"}
_IN_SHELL = {"'": r"""'\\''|'"'"'""", "!": r"'\\!'"}


class _Form(NamedTuple):
    """One way in which a secret may be written.

    Attributes:
        sign: a part that all texts with it have: what is quick to look for.
        pattern: the whole; None where ``sign`` is the whole.
        longest: an upper bound of its length, in characters.
    """

    sign: str
    pattern: re.Pattern[str] | None
    longest: int


class Mask:
    """Replaces each secret that occurs in a text by ``••••``: as it stands, line by line, percent-encoded, in Base64
    wherever it stands in the encoded text, escaped as JSON, Python, XML or a shell have it, and with its
    blanks collapsed; also as UTF-16, Latin-1 and twice in Base64. Secrets under 4 characters, and words such as
    ``true``, are left alone; a short word or number (``WEAK``) is replaced where it stands alone.

    From any thread.
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
            for one in (secret, *secret.splitlines()):
                plain = one.strip()
                if len(plain) >= SHORTEST and plain.lower() not in _WORDS and plain not in self._secrets:
                    self._secrets = {**self._secrets, plain: None}
                    self._forms = None

    def __call__(self, text: str) -> str:
        """The text without its secrets."""
        spans = self._spans(text)
        return _hidden(text, spans) if spans else text

    def split(self, text: str, at: int) -> tuple[str, str]:
        """The text up to ``at`` without its secrets, and the rest as it is.

        A secret that stands across the place is whole in the first part, if ``longest`` characters follow the place.
        """
        spans = self._spans(text)
        at = next((end for begin, end in spans if begin < at < end), at)
        return _hidden(text[:at], [one for one in spans if one[1] <= at]), text[at:]

    def value(self, value: Any) -> Any:
        """A JSON value without secrets and lone surrogates, wherever in it they stand. A number of
        more than 6 digits that holds one becomes a text.
        """
        if isinstance(value, str):
            return self(value).encode("utf-8", "backslashreplace").decode("utf-8")
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {self.value(key): self.value(one) for key, one in value.items()}
        if isinstance(value, int | float) and not isinstance(value, bool) and not WEAK.fullmatch(str(value)):
            text = str(value)
            return value if (shown := self(text)) == text else shown
        return value

    @property
    def longest(self) -> int:
        """How long an occurrence may be, in characters."""
        return self._longest if self._made() else 0

    def _made(self) -> tuple[_Form, ...]:
        """The forms that are looked for one by one; those in ``_encoded`` by how the sign begins. Made at the
        first use, for most processes show nothing that could hold a secret.
        """
        forms = self._forms
        if forms is None:
            texts = [text for secret in self._secrets for text in _normal_forms(secret)]
            found = [_word(text) if WEAK.fullmatch(text) else _form(text) for text in texts]
            known = set(texts)
            encoded = [
                _form(one)
                for one in dict.fromkeys(one for text in texts for one in _in_base64(text))
                if one not in known
            ]
            self._encoded = {}
            for one in encoded:
                if len(one.sign) >= _LEAST_RUN:
                    self._encoded.setdefault(one.sign[:_LEAST_RUN], []).append(one)
            least = min((len(one.sign) for one in encoded if len(one.sign) >= _LEAST_RUN), default=_LEAST_RUN)
            self._long_words = re.compile(rf"(?a)\b\w{{{least},}}")
            self._longest = max((one.longest for one in (*found, *encoded)), default=0)
            forms = (*found, *(one for one in encoded if len(one.sign) < _LEAST_RUN))
            self._forms = forms
        return forms

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where secrets stand, in order; those that touch or overlap as one."""
        found: list[tuple[int, int]] = []
        # what costs on each line: one search a form, each at the speed of memchr, and one for long words
        here = [form for form in self._made() if form.sign in text]
        if self._encoded and (words := " ".join(self._long_words.findall(text))):
            begun = self._encoded
            if len(words) < _MOST_LOOKUPS:
                parts = {words[at : at + _LEAST_RUN] for at in range(len(words) - _LEAST_RUN + 1)}
                begun = {part: begun[part] for part in parts if part in begun}
            here += [form for forms in begun.values() for form in forms if form.sign in words]
        for sign, pattern, _ in here:
            if pattern is not None:
                found += (one.span() for one in pattern.finditer(text))
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
        """Where ``…`` stands for the rest of a secret, as messages have it that quote a long text."""
        for mark in re.finditer("…", text):
            end = mark.start()
            for secret in self._secrets:
                beginning = secret[:_LEAST_BEGINNING]
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
    """A text as it is, composed and decomposed, as file systems and editors rewrite it."""
    if secret.isascii():
        return (secret,)
    from unicodedata import normalize

    return dict.fromkeys((secret, normalize("NFC", secret), normalize("NFD", secret)))


def _in_base64(secret: str) -> Iterator[str]:
    """In UTF-8, in Latin-1 as HTTP has it, in UTF-16 as PowerShell has it, and what is in Base64 once more."""
    data = _bytes(secret)
    for one in _fragments(data):
        yield one
        yield from (twice for twice in _fragments(one.encode()) if len(twice) >= _LEAST_RUN)
    yield from _fragments(secret.encode("utf-16-le", "surrogatepass"))
    if not secret.isascii() and max(secret) < "\u0100":
        yield from _fragments(secret.encode("latin-1"))


def _fragments(data: bytes) -> list[str]:
    """The characters of Base64 that hold nothing but the data, for each place where it may begin in a group of
    three bytes; and its lines of 76 characters, as ``base64`` writes them.
    """
    import base64

    whole = base64.b64encode(data).decode()
    found = [whole[at : at + 76] for at in range(0, len(whole), 76)] if len(whole) > 76 else []
    for before in range(3):
        begin, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        found.append(base64.b64encode(bytes(before) + data).decode()[begin:end])
    return [one for one in found if len(one) >= SHORTEST]


def _word(text: str) -> _Form:
    return _Form(text, re.compile(text.join(_ALONE)), len(text))


def _form(text: str) -> _Form:
    """A text, each character of which may be escaped."""
    parts: list[str] = []
    longest = 0
    for one in re.findall(_PARTS, text):
        if one.isspace():
            most = 2 * len(one) + 6
            parts.append(f"{_BLANK}{{1,{most}}}")
            longest += most * 6
        elif _PLAIN.fullmatch(one):
            parts.append(re.escape(one))
            longest += len(one)
        else:
            parts.append(_escapable(one))
            longest += 12 * len(_bytes(one))
    sign = max(_PLAIN.findall(text), key=len, default="")
    if sign == text:
        return _Form(text, None, len(text))
    return _Form(sign, re.compile("".join(parts)), longest)


def _escapable(char: str) -> str:
    """A pattern for a character as it is and as the usual writers escape it."""
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
    if char in "'\"":  # as SQL and CSV double them
        forms.insert(0, char * 2)
    if char in _IN_SHELL:
        forms.insert(0, _IN_SHELL[char])
    if char in "+/":  # of Base64 in addresses
        forms.append("-" if char == "+" else "_")
    return f"(?i:{'|'.join(forms)})"


def _surrogates(code: int) -> str:
    high, low = divmod(code - 0x10000, 0x400)
    return rf"\\{{1,4}}u{0xD800 + high:04x}\\{{1,4}}u{0xDC00 + low:04x}|\\{{1,4}}U{code:08x}"
