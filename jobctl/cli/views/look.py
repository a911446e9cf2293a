"""What a terminal can show: width, colour, characters. Text from outside passes through here."""

from collections.abc import Iterable
from typing import NamedTuple

from jobctl.text import printable

_CODES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1"}
STATES = {
    "running": "cyan", "completed": "green", "failed": "red", "skipped": "yellow", "stopped": "yellow",
}  # fmt: skip
"""The style of a job's or a run's state; ``scheduled`` has none."""


class Look(NamedTuple):
    """How lines are to look. ``width`` is in columns."""

    width: int = 80
    color: bool = False
    unicode: bool = True

    def paint(self, text: str, style: str | None) -> str:
        """The text in a style (``red``, ``dim`` …), where colour is on. Measure before painting."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.color and style and text else text

    def cut(self, text: str, width: int) -> str:
        """Text from outside on one line of at most ``width`` columns, with an ellipsis where it was cut."""
        shown = one_line(text)
        if columns(shown) <= width:
            return shown
        mark = "…" if self.unicode else "..."
        room = max(0, width - len(mark))
        kept = ""
        for character in shown:
            if columns(kept + character) > room:
                break
            kept += character
        return (kept + mark)[: max(0, width)]

    def wrap(self, text: str, *, indent: int = 0) -> list[str]:
        """Text from outside on as many lines as it needs, broken at blanks, the further ones indented."""
        lines: list[str] = []
        line = ""
        for number, word in enumerate(one_line(text).split(" ")):
            if number and columns(f"{line} {word}") <= self.width:
                line += f" {word}"
                continue
            if number:
                lines.append(line.rstrip())
                line = " " * indent
            for character in word:
                if columns(line + character) > self.width:
                    lines.append(line)
                    line = " " * indent
                line += character
        return [*lines, line.rstrip()]

    def spread(self, parts: Iterable[str], *, gap: int = 6, indent: int = 0) -> list[str]:
        """Short parts from outside side by side, on a further line, indented, where they find no room."""
        lines: list[str] = []
        for part in map(one_line, parts):
            if lines and columns(lines[-1]) + gap + columns(part) <= self.width:
                lines[-1] += " " * gap + part
            else:
                lines.extend(self.wrap(" " * indent + part if lines else part, indent=indent))
        return lines


def one_line(text: str) -> str:
    """Text from outside without controls, tabs and line ends made visible."""
    return printable(text).replace("\t", " ")


def columns(text: str) -> int:
    """How many columns a terminal needs for it."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Filled with blanks to ``width`` columns."""
    blanks = " " * max(0, width - columns(text))
    return blanks + text if right else text + blanks
