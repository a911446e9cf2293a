"""Rows on a terminal: aligned columns without boxes; rows in a pipe: tabs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jobctl.cli.views.look import Look, columns, one_line, pad
from jobctl.text import printable

GAP = 2
LEAST_ID = 30
"""Room for the id of every built-in job."""


class Column(NamedTuple):
    """One column. ``right`` aligns numbers; one with a ``least`` width is cut down to it where there is little room."""

    title: str
    right: bool = False
    least: int = 0


class Cell(NamedTuple):
    """What stands in one place of a table, and in which style."""

    text: str
    style: str | None = None


def table(titles: Sequence[Column], rows: Sequence[Sequence[Cell]], look: Look) -> list[str]:
    """The lines of a table fitted to the width: those that may be cut are, the widest first; then the last go."""
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
    """The columns to show, as many as there is room for; ``widths`` become what each is cut to."""
    least = [min(width, title.least or width) for title, width in zip(titles, widths, strict=True)]
    number = len(titles)
    while number > 1 and sum(least[:number]) + GAP * (number - 1) > room:
        number -= 1
    excess = sum(widths[:number]) + GAP * (number - 1) - room
    while excess > 0:
        soft = [at for at in range(number) if least[at] < widths[at]]
        if not soft:
            widths[0] = min(widths[0], room)
            break
        widest = max(soft, key=lambda at: widths[at])
        cut = min(excess, widths[widest] - least[widest])
        widths[widest] -= cut
        excess -= cut
    return list(range(number))


def _place(title: Column, text: str, width: int) -> str:
    return pad(text, width, right=title.right)


def _line(cells: Iterable[str]) -> str:
    return (" " * GAP).join(cells).rstrip()
