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
    """The known word that differs by few typing errors, or None: a wrong suggestion is worse than none."""
    word = word[:100].lower()
    most = min(3, len(word) // 3)
    found = min(((typing_errors(word, one.lower(), most), one) for one in known), default=(most + 1, ""))
    return found[1] if found[0] <= most else None


def typing_errors(word: str, other: str, most: int) -> int:
    """How many characters must be added, removed, replaced or exchanged with the next; more than ``most`` is not counted."""
    if abs(len(word) - len(other)) > most:
        return most + 1
    before, row = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, one in enumerate(word, 1):
        above, row = row, [i] + [0] * len(other)
        for j, two in enumerate(other, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (one != two))
            if i > 1 and j > 1 and one == other[j - 2] and word[i - 2] == two:
                row[j] = min(row[j], before[j - 2] + 1)
        before = above
    return row[-1]


def suggestion(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint: which known words were probably meant, if any, and what to do ``otherwise``."""
    known = list(known)
    near = nearest(word, known)
    meant = [near] if near else _holding(word, known)
    return f"did you mean {' or '.join(map(quote, meant))}? {otherwise}".rstrip() if meant else otherwise


def _holding(word: str, known: Iterable[str]) -> list[str]:
    """The words whose parts begin with all parts of this one, as ``repo-sync`` for ``repository-sync``; three at most."""
    parts = word.lower().replace("_", "-").split("-")
    if min(map(len, parts)) < 3:
        return []
    found = [one for one in known if all(any(p.startswith(q) for p in one.split("-")) for q in parts)]
    return found if len(found) <= 3 else []


def counted(number: int, noun: str) -> str:
    """``1 job``, ``2 jobs``, ``1,000 jobs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


MAX_ID = 64
ID_HINT = f"use lower-case letters, digits and single dashes, {MAX_ID} characters at most"


def is_job_id(text: str) -> bool:
    """Whether a text is ``kebab-case``, ASCII, of 64 characters at most."""
    plain = text.isascii() and len(text) <= MAX_ID and text == text.lower()
    return plain and all(part.isalnum() for part in text.split("-"))
