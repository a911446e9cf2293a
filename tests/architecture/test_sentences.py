"""Every sentence that a user can meet: in plain words, and of one style. ``python -m tests.support.sentences`` prints them."""

import re
from collections import Counter
from functools import cache

from tests.support.sentences import sentences

PRIVATE_WORDS = re.compile(
    r"\b(told|tells?|telling|hears?|looks? at|a look|settles?|settled|goes well|held for|that is there|is there (?:and|twice)"
    r"|so long|besides|by hand|nobody|somebody|waits on|troubles?|patience|forsake\w*|strangers?|the house)\b",
    re.IGNORECASE,
)
"""Words of an earlier dialect of this project, which readers from other countries did not understand."""
NAMES = {"Novu", "Resend", "Postgres", "Vercel", "Trigger.dev", "Root.main", "Ctrl-C"}
"""Words that are written with a capital letter."""


every_sentence = cache(sentences)


def without_values(text: str) -> str:
    return re.sub(r"\{[^{}]*\}", "X", text)


def test_all_kinds_are_found() -> None:
    kinds = Counter(one.kind for one in every_sentence())

    assert set(kinds) == {"error", "hint", "message", "help", "event"}
    assert min(kinds.values()) > 40


def test_a_sentence_is_in_plain_words() -> None:
    assert [one for one in every_sentence() if PRIVATE_WORDS.search(without_values(one.text))] == []


def test_a_sentence_has_single_spaces_and_none_around_it() -> None:
    aligned = [
        one for one in every_sentence() if one.kind != "event" and "  " in without_values(one.text).strip()
    ]

    assert aligned == []
    assert [
        one for one in every_sentence() if one.kind in {"error", "hint"} and one.text != one.text.strip()
    ] == []


def test_an_error_begins_in_lower_case_and_ends_without_a_full_stop() -> None:
    errors = [one for one in every_sentence() if one.kind in {"error", "hint"}]
    first = {one: one.text.partition(" ")[0] for one in errors}

    assert [one for one in errors if one.text.endswith((".", ",", ";", "!"))] == []
    assert [
        one
        for one, word in first.items()
        if word[:1].isupper() and word not in NAMES and not re.search(r"[A-Z_.]{2}|[a-z][A-Z]", word)
    ] == []


def test_help_is_a_sentence() -> None:
    helps = [one for one in every_sentence() if one.kind == "help"]

    assert [one for one in helps if not one.text.endswith(".")] == []
    assert [one for one in helps if one.text[:1].islower() and not re.match(r"bash|trigger-dev|systemd", one.text)] == []  # fmt: skip
