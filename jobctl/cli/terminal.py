"""Draws on a terminal with Rich: signs, styles, tables and the console.

Rich is imported when something is drawn: never in a pipe.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl.text import printable

if TYPE_CHECKING:
    from typing import IO

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.segment import Segment
    from rich.table import Table
    from rich.text import Text

GAP = 2
NARROW = 60
"""A terminal with fewer columns shows lists instead of tables in help."""
_LEAST_ROOM = 24
STATES = {
    "failed": ("✗", "x", "red"),
    "late": ("!", "!", "yellow"),
    "retrying": ("↻", "~", "yellow"),
    "running": ("●", "*", "cyan"),
    "completed": ("✓", "+", "green"),
    "scheduled": ("○", "o", ""),
    "skipped": ("»", ">", "yellow"),
    "cancelled": ("⊘", "/", "yellow"),
    "stopped": ("■", "#", "yellow"),
}
"""Sign, its ASCII form and style of each state of a job or a run."""
_PREFIXES = ("cyan", "magenta", "blue", "green", "yellow", "bright_cyan", "bright_magenta", "bright_blue")


class Column(NamedTuple):
    """A column of a table. ``right`` aligns numbers; a column that ``wraps`` is folded on a narrow terminal."""

    title: str
    right: bool = False
    wraps: bool = False


class Terminal:
    """A terminal with its width in columns, colour and characters. Masks secrets in the text that it draws.

    Args:
        mask: masks secrets in a text. It is applied before a text is folded, since a secret on two lines
            would not be recognized.
    """

    def __init__(
        self,
        width: int = 80,
        *,
        color: bool = False,
        unicode: bool = True,
        mask: Callable[[str], str] = str,
    ) -> None:
        self.width = width
        self.color = color
        self.unicode = unicode
        self.mask = mask

    @cached_property
    def console(self) -> "Console":
        """Rich's console without markup, emoji codes, highlighting and detection of the terminal."""
        from io import StringIO

        return self._console(StringIO(), width=self.width, height=25, force_interactive=False, _environ={})

    def animated(self, stream: "IO[str] | None") -> "Console":
        """A console for lines that are drawn repeatedly, as wide as the window at that time."""
        return self._console(stream, force_interactive=True)

    def _console(self, stream: "IO[str] | None", **more: Any) -> "Console":
        from rich.console import Console

        return Console(
            file=stream,
            color_system="standard" if self.color else None,
            force_terminal=True,
            no_color=False,
            markup=False,
            emoji=False,
            highlight=False,
            legacy_windows=False,
            **more,
        )

    def lines(self, *parts: "RenderableType") -> list[str]:
        """The parts below each other as lines, not wider than the terminal, without trailing blanks."""
        from rich.color import ColorSystem

        colors = ColorSystem.STANDARD if self.color else None
        return [
            "".join(
                style.render(text, color_system=colors) if style else text
                for text, style, _ in _stripped(line)
            )
            for part in parts
            for line in self.console.render_lines(
                self.text(part) if isinstance(part, str) else part, pad=False
            )
        ]

    def paint(self, text: str, style: str) -> str:
        """A line of text in a style, if colour is on."""
        if not (self.color and style and text):
            return text
        from rich.color import ColorSystem
        from rich.style import Style

        return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)

    def text(self, text: str, style: str = "") -> "Text":
        """Untrusted text with control characters made visible and secrets masked. Line ends stay."""
        from rich.text import Text

        masked = self.mask(text)
        shown = masked if masked.isprintable() else "\n".join(map(one_line, masked.split("\n")))
        return Text(shown, style, overflow="fold")

    def sign(self, state: str) -> str:
        """The sign of a state."""
        unicode, plain, _ = STATES.get(state, ("·", ".", ""))
        return unicode if self.unicode else plain

    def state(self, state: str, words: str = "") -> "Text":
        """Sign and name of a state, or ``words`` instead of the name, in its colour."""
        return self.text(f"{self.sign(state)} {words or state}", STATES.get(state, ("", "", ""))[2])

    def heading(self, title: str) -> "RenderableType":
        """A title, in a horizontal rule if there is colour."""
        text = self.text(title, "bold")
        if not (self.color and self.unicode):
            return text
        from rich.rule import Rule

        return Rule(text, align="left", style="dim") if text.cell_len < self.width - 4 else text

    def fields(self, rows: "Iterable[tuple[str | Text, RenderableType]]") -> "Table":
        """Names and values in two columns; a long value is wrapped."""
        from rich.table import Table

        grid = Table.grid(padding=(0, GAP, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in rows:
            head = self.text(name, "dim") if isinstance(name, str) else name
            grid.add_row(head, self.text(value) if isinstance(value, str) else value)
        return grid

    def grid(
        self, rows: "Iterable[Sequence[str | Text]]", *, indent: int = 0, widths: Sequence[int] = ()
    ) -> "RenderableType":
        """Rows in aligned columns; the last cell is wrapped, or below the others if there is no room for its words.

        Args:
            widths: least widths of the columns but the last, to align rows that are drawn separately.
        """
        from rich.console import Group
        from rich.padding import Padding
        from rich.table import Table

        cells = [[self.text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        found = [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)][:-1]
        widths = [max(pair) for pair in zip(found, widths or found, strict=True)]
        below = self.width - indent - 2 * GAP
        room = self.width - indent - sum(widths) - GAP * len(widths)
        words = [len(word) for row in cells for word in row[-1].plain.split()]
        least = min(_LEAST_ROOM, max(row[-1].cell_len for row in cells))
        if room >= max([least, *(word for word in words if word <= below)]):
            grid = Table.grid(padding=(0, GAP, 0, 0))
            for width in widths:
                grid.add_column(width=width, no_wrap=True)
            grid.add_column(overflow="fold")
            for row in cells:
                grid.add_row(*row)
            return Padding(grid, (0, 0, 0, indent))
        parts: list[RenderableType] = []
        for first, *others, last in cells:
            line, left = first, indent
            for cell in others:
                if left + line.cell_len + GAP + cell.cell_len <= self.width:
                    line = self.text(" " * GAP).join([line, cell])
                else:
                    parts.append(Padding(line, (0, 0, 0, left)))
                    line, left = cell, indent + 2 * GAP
            parts += Padding(line, (0, 0, 0, left)), Padding(last, (0, 0, 0, indent + 2 * GAP))
        return Group(*parts)

    def hanging(self, head: str, text: str, style: str = "") -> "RenderableType":
        """A paragraph with a hanging indent of the width of ``head``."""
        from rich.table import Table

        grid = Table.grid()
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(self.text(head, style), self.text(text))
        return grid

    def table(
        self,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Any]],
        below: "Mapping[int, Text] | None" = None,
        *,
        keep: int = 2,
    ) -> "RenderableType":
        """Rows below bold titles. On a narrow terminal the last columns are left out, but never the first ``keep``.

        Args:
            rows: of untrusted text, Rich's texts and bars.
            below: a text under a row, by the row's number: on lines of its own, indented.
        """
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        cells = [[self._cell(cell) for cell in row] for row in rows]
        for at, cell in enumerate(cells[0] if cells else ()):
            if isinstance(cell, Bar):
                columns = [*columns[:at], columns[at]._replace(wraps=True), *columns[at + 1 :]]
        widths = self._fit(columns, cells, keep)
        first = None if columns[0].wraps or not cells or _widest(cells, 0) <= widths[0] else widths[0]
        boxed = self.color and self.unicode
        table = Table(
            box=SIMPLE_HEAD if boxed else None,
            padding=(0, GAP - boxed, 0, 0),
            show_edge=False,
            pad_edge=False,
            header_style="bold",
            border_style="dim",
        )
        for at, (column, width) in enumerate(zip(columns, widths, strict=False)):
            table.add_column(
                self.text(column.title),
                justify="right" if column.right else "left",
                no_wrap=not (column.wraps or (not at and first)),
                overflow="fold",
                width=None if column.wraps else width,  # with a width, Rich measures no cell
            )
        for row in cells:
            if first and not isinstance(row[0], Bar):
                row[0] = self.text(_broken(row[0].plain, first))
            table.add_row(*row[: len(widths)])
        if not below:
            return table
        heights = [1 if isinstance(row[0], Bar) else 1 + row[0].plain.count("\n") for row in cells]
        return _Annotated(table, 1 + boxed, heights, below)

    def _cell(self, cell: "str | Text | Bar") -> "Text | Bar":
        return self.text(cell.replace("\n", " ")) if isinstance(cell, str) else cell

    def _fit(
        self, columns: Sequence[Column], cells: "Sequence[Sequence[Text | Bar]]", keep: int
    ) -> list[int]:
        """The widths of the columns that fit; of the first one less than it needs if it has to be folded."""
        widths = [
            max(len(column.title), min(_widest(cells, at), 16) if column.wraps else _widest(cells, at))
            for at, column in enumerate(columns)
        ]
        while len(widths) > keep and sum(widths) + GAP * (len(widths) - 1) > self.width:
            widths.pop()
        room = self.width - sum(widths[1:]) - GAP * (len(widths) - 1)
        if not columns[0].wraps:
            widths[0] = min(widths[0], max(8, room))
        return widths

    def prefix(self, job: str) -> str:
        """``[job]`` in a colour that depends on the job's id."""
        from zlib import crc32

        return self.paint(f"[{job}]", _PREFIXES[crc32(job.encode()) % len(_PREFIXES)])


class Bar:
    """A horizontal bar, as wide as its column allows. A value above 0 is always visible."""

    WIDEST = 40

    def __init__(self, value: float, most: float, style: str, *, unicode: bool) -> None:
        self._share = value / most if most > 0 else 0.0
        self._style = style
        self._unicode = unicode

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        del console
        width = min(options.max_width, self.WIDEST)
        eighths = max(1, round(width * 8 * self._share)) if self._share > 0 else 0
        whole, rest = divmod(eighths, 8)
        if self._unicode:
            bar = "█" * whole + " ▏▎▍▌▋▊▉"[rest].strip()
        else:
            bar = "#" * max(1 if eighths else 0, round(eighths / 8))
        yield Text(bar, self._style, no_wrap=True)

    def __rich_measure__(self, console: "Console", options: "ConsoleOptions") -> "object":
        from rich.measure import Measurement

        del console
        return Measurement(min(4, options.max_width), min(self.WIDEST, options.max_width))


class _Annotated:
    """A table with texts between its rows, over the whole width."""

    def __init__(
        self, table: "Table", head: int, heights: Sequence[int], below: "Mapping[int, Text]"
    ) -> None:
        self._table = table
        self._head = head
        self._heights = heights
        self._below = below

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.padding import Padding
        from rich.segment import Segment, Segments

        lines = iter(console.render_lines(self._table, options, pad=False))
        for at, height in enumerate((self._head, *self._heights)):
            for _, line in zip(range(height), lines, strict=False):
                yield Segments([*line, Segment.line()])
            if at and at - 1 in self._below:
                yield Padding(self._below[at - 1], (0, 0, 0, GAP))


def plain(rows: Iterable[Sequence[str]], *, indent: int = 0) -> Iterator[str]:
    """Rows in aligned columns without Rich, for people who read a pipe."""
    grid = [[one_line(cell) for cell in row] for row in rows]
    widths = [
        max(len(row[at]) for row in grid if at < len(row)) for at in range(max(map(len, grid), default=0))
    ]
    for row in grid:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield (" " * indent + (" " * GAP).join(cells)).rstrip()


def rows(titles: Iterable[str], records: Iterable[Iterable[str]], *, header: bool) -> Iterable[str]:
    """A record per line, values separated by tabs, nothing truncated: for ``grep``, ``cut`` and ``sort``."""
    if header:
        yield "\t".join(titles)
    for record in records:
        cells = tuple(record)
        yield "\t".join(cells if "".join(cells).isprintable() else map(one_line, cells))


def one_line(text: str) -> str:
    """Untrusted text on a single line: control characters, tabs and line ends are made visible."""
    return printable(text).replace("\t", " ")


def _widest(cells: "Sequence[Sequence[Text | Bar]]", at: int) -> int:
    """The width of a column's widest cell."""
    return max((4 if isinstance(cell := row[at], Bar) else cell.cell_len for row in cells), default=0)


def _broken(job: str, width: int) -> str:
    """A job's id on several lines, broken at its dashes."""
    lines = []
    while len(job) > width:
        at = job.rfind("-", 0, width) + 1 or width
        lines.append(job[:at])
        job = job[at:]
    return "\n".join([*lines, job])


def _stripped(line: "list[Segment]") -> "Iterator[Segment]":
    """The line without the blanks that a table adds at its end."""
    end = len(line)
    while end and not line[end - 1].text.strip():
        end -= 1
    yield from line[: end - 1]
    if end:
        last = line[end - 1]
        yield last._replace(text=last.text.rstrip())


_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.:-=+*#"


def sparkline(values: Sequence[float], *, unicode: bool) -> str:
    """A chart with a character for each value; 0 is always the lowest level."""
    levels = _LEVELS if unicode else _ASCII_LEVELS
    most = max(values, default=0)
    if most <= 0:
        return levels[0] * len(values)
    top = len(levels) - 1
    return "".join(levels[0 if value <= 0 else max(1, round(top * value / most))] for value in values)
