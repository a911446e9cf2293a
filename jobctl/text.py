"""Text from outside: made safe to print, checked as a job id, compared to suggest what was meant."""

from collections.abc import Iterable, Sequence

_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
_HIDDEN = {*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, *_BIDI} - {0x09}
_VISIBLE = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _HIDDEN}


def printable(text: str) -> str:
    r"""The text with control, direction and lone surrogate characters escaped (``\x1b``), except tabs.

    So the output of a job cannot move the cursor, or change the title or colours of a terminal.
    """
    if text.isprintable():
        return text
    return text.translate(_VISIBLE).encode("utf-8", "backslashreplace").decode("utf-8")


def quote(text: str, limit: int = 60) -> str:
    """The text in double quotes, printable and cut to ``limit`` characters."""
    shown = printable(text[: limit + 1]).replace("\t", "\\t").replace("\xa0", "\\xa0")
    return f'"{shown if len(shown) <= limit else shown[:limit] + "…"}"'


def clauses(*parts: str | None) -> str | None:
    """The parts that there are, with colons between them; None where there is none."""
    return ": ".join(filter(None, parts)) or None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that differs by few typing errors; else None, since a wrong suggestion is worse than none."""
    word = word[:100].lower()
    limit = min(3, len(word) // 3)
    distances = ((typing_errors(word, candidate.lower(), limit), candidate) for candidate in known)
    errors, closest = min(distances, default=(limit + 1, ""))
    return closest if errors <= limit else None


def typing_errors(word: str, other: str, limit: int) -> int:
    """The Damerau-Levenshtein distance of two words; ``limit + 1`` if their lengths already differ by more."""
    if abs(len(word) - len(other)) > limit:
        return limit + 1
    before, row = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, ours in enumerate(word, 1):
        above, row = row, [i] + [0] * len(other)
        for j, theirs in enumerate(other, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (ours != theirs))
            if i > 1 and j > 1 and ours == other[j - 2] and word[i - 2] == theirs:
                row[j] = min(row[j], before[j - 2] + 1)
        before = above
    return row[-1]


def suggestion(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint: the known words that were probably meant, if any, and what to do ``otherwise``."""
    known = list(known)
    near = nearest(word, known)
    meant = [near] if near else _abbreviated(word, known)
    return f"did you mean {' or '.join(map(quote, meant))}? {otherwise}".rstrip() if meant else otherwise


def _abbreviated(word: str, known: Iterable[str]) -> list[str]:
    """The words that this word abbreviates part by part, as ``repo-sync`` for ``repository-sync``; none if more than 3."""
    parts = word.lower().replace("_", "-").split("-")
    if min(map(len, parts)) < 3:
        return []
    found = [
        candidate
        for candidate in known
        if all(any(whole.startswith(part) for whole in candidate.split("-")) for part in parts)
    ]
    return found if len(found) <= 3 else []


def alternatives(words: Sequence[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def counted(number: int, noun: str) -> str:
    """``1 job``, ``2 jobs``, ``1,000 jobs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


# Patterns, without \w and \d since JSON Schema uses them too, and its engines differ on these.
IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
DOTTED_NAME = rf"{IDENTIFIER}(?:\.{IDENTIFIER})*"
MAX_ID = 64
ID_HINT = f"use lower-case letters, digits and single dashes, {MAX_ID} characters at most"


def is_id_prefix(text: str) -> bool:
    """Whether a text can be the id of a run in the run store, or its beginning of at least four characters."""
    return 4 <= len(text) <= 32 and set(text) <= set("0123456789abcdef")


def is_job_id(text: str) -> bool:
    """Whether a text is ``kebab-case``, ASCII, with at most 64 characters."""
    plain = text.isascii() and len(text) <= MAX_ID and text == text.lower()
    return plain and all(map(str.isalnum, text.split("-")))
