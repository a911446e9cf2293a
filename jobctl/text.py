"""Text that comes from outside: made safe to show, taken for a job's id or not; what was meant by it."""

from collections.abc import Iterable

_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
_HIDDEN = {*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, *_BIDI} - {0x09}
_VISIBLE = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _HIDDEN}


def printable(text: str) -> str:
    r"""Control, direction and lone surrogate characters made visible (``\x1b``); tabs stay.

    What a job prints can so neither move the cursor nor retitle or recolour a terminal.
    """
    if text.isprintable():
        return text
    return text.translate(_VISIBLE).encode("utf-8", "backslashreplace").decode("utf-8")


def quote(text: str, limit: int = 60) -> str:
    """The text in double quotes, made printable and cut to ``limit`` characters."""
    shown = printable(text[: limit + 1]).replace("\t", "\\t").replace("\xa0", "\\xa0")
    return f'"{shown if len(shown) <= limit else shown[:limit] + "…"}"'


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    from difflib import get_close_matches

    found = get_close_matches(word[:100], list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def suggestion(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint: which known word was probably meant, if any, and what to do ``otherwise``."""
    near = nearest(word, known)
    return f'did you mean "{near}"? {otherwise}'.rstrip() if near else otherwise


def counted(number: int, noun: str) -> str:
    """``1 job``, ``2 jobs``, ``1,000 jobs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


MAX_ID = 64
ID_HINT = f"use lower-case letters, digits and single dashes, {MAX_ID} characters at most"


def is_job_id(text: str) -> bool:
    """Whether a text is ``kebab-case``, ASCII, of 64 characters at most."""
    plain = text.isascii() and len(text) <= MAX_ID and text == text.lower()
    return plain and all(part.isalnum() for part in text.split("-"))
