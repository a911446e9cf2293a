"""Rows on a terminal: aligned columns without boxes; rows in a pipe: tabs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jobctl.cli.views.look import Look, columns, one_line, pad
from jobctl.text import printable

GAP = 2


class Column(NamedTuple):
    """One column. ``right`` aligns numbers; a ``flexible`` one gives way where there is little room."""

    title: str
    right: bool = False
    flexible: bool = False


class Cell(NamedTuple):
    """What stands in one place of a table, and in which style."""

    text: str
    style: str | None = None


def table(titles: Sequence[Column], rows: Sequence[Sequence[Cell]], look: Look) -> list[str]:
    """The lines of a table fitted to the width: the flexible column is cut, the last ones go."""
    grid = [[one_line(cell.text) for cell in row] for row in rows]
    widths = [
        max([columns(title.title), *(columns(row[at]) for row in grid)]) for at, title in enumerate(titles)
    ]
    shown = _fit(titles, widths, look.width)
    lines = [_line([look.paint(_place(titles[at], titles[at].title, widths[at]), "dim") for at in shown])]
    for row in rows:
        cells = []
        for at in shown:
            text = _place(titles[at], look.cut(row[at].text, widths[at]), widths[at])
            last = at == shown[-1]
            cells.append(look.paint(text.rstrip() if last and not titles[at].right else text, row[at].style))
        lines.append(_line(cells))
    return lines


def rows(titles: Iterable[str], records: Iterable[Iterable[str]], *, header: bool) -> Iterable[str]:
    """One record a line, values between tabs, nothing cut: for ``grep``, ``cut`` and ``sort``."""
    if header:
        yield "\t".join(titles)
    for record in records:
        yield "\t".join(printable(value).replace("\t", " ") for value in record)


def _fit(titles: Sequence[Column], widths: list[int], room: int) -> list[int]:
    shown = list(range(len(titles)))
    while True:
        excess = sum(widths[at] for at in shown) + GAP * (len(shown) - 1) - room
        if excess <= 0 or len(shown) == 1:
            widths[shown[0]] = min(widths[shown[0]], room)
            return shown
        soft = next((at for at in shown if titles[at].flexible and widths[at] > 12), None)
        if soft is not None:
            widths[soft] = max(12, widths[soft] - excess)
        else:
            shown.pop()


def _place(title: Column, text: str, width: int) -> str:
    return pad(text, width, right=title.right)


def _line(cells: Iterable[str]) -> str:
    return (" " * GAP).join(cells).rstrip()
