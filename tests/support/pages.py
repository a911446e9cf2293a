"""The README, the pages of ``jobctl/docs``, and the examples in them."""

import re
from pathlib import Path
from typing import NamedTuple

import jobctl

ROOT = Path(jobctl.__file__).parents[1]
README = "README"
PAGES = {
    README: (ROOT / "README.md").read_text(encoding="utf-8"),
    **{file.stem: file.read_text(encoding="utf-8") for file in sorted((ROOT / "jobctl/docs").glob("*.md"))},
}


class Example(NamedTuple):
    """A block of code in a page."""

    page: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text.strip().splitlines()[0]}"


EXAMPLES = [
    Example(page, language, text)
    for page, whole in PAGES.items()
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", whole, re.DOTALL | re.MULTILINE)
]


def examples(*languages: str, page: str | None = None) -> list[Example]:
    return [one for one in EXAMPLES if one.language in languages and page in {None, one.page}]


def example(page: str, language: str, holds: str) -> str:
    """The one example of a page in a language that holds a text."""
    (found,) = [one.text for one in examples(language, page=page) if holds in one.text]
    return found


def rows(page: str, first: str) -> list[list[str]]:
    """The cells of a page's table whose first column has this title, without the head."""
    table = re.search(rf"^\| {re.escape(first)} \|.*\n\|[- |]+\n((?:\|.*\n)+)", PAGES[page], re.MULTILINE)
    assert table, f"{page} has no table with the column {first}"
    return [line.strip("| ").split(" | ") for line in table[1].splitlines()]


def code(cell: str) -> list[str]:
    """What a cell shows as code."""
    return re.findall(r"`([^`]+)`", cell)
