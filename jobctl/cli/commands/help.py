"""``jobctl help [COMMAND|TOPIC]``: help on a command, or a page of the documentation."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

import jobctl
from jobctl.cli.command_data import COMMANDS
from jobctl.cli.context import Context
from jobctl.cli.terminal import GAP, NARROW
from jobctl.errors import UsageError
from jobctl.text import quote, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

PAGES = Path(jobctl.__file__).with_name("docs")
TOPICS = (
    "getting-started",
    "jobs",
    "schedules",
    "planning",
    "running",
    "library",
    "site",
    "mail",
    "trigger-dev",
    "vercel",
    "http",
    "page",
    "several-machines",
    "observability",
    "deployment",
    "variables",
    "secrets",
    "exit-codes",
    "reliability",
    "performance",
    "internals",
)
MOST_UNTITLED = 3
"""Tables with more columns repeat their titles where they are shown as lists."""
FORMER_NAMES = {"files": "reliability", "project-file": "jobs"}
"""Pages by the names that they had before version 0.9."""
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
_LINK_TO_PAGE = re.compile(r"\[([^\]]+)\]\(([a-z-]+)\.md\)")


def run(
    context: Context,
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="COMMAND|TOPIC",
            help=f"A command, or a topic: {', '.join(TOPICS)}.",
            autocompletion=lambda: [*TOPICS, *COMMANDS],
        ),
    ] = None,
) -> int:
    """Show help on a command, or on a topic.

    Examples:
        jobctl help status
        jobctl help getting-started
        jobctl help exit-codes
    """
    out = context.output
    page = FORMER_NAMES.get(topic or "", topic)
    if page in TOPICS:
        text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
        if out.json:
            out.document({"topic": page, "text": text})
        else:
            out.page(lambda terminal: drawn(text, terminal.width), text.splitlines)
        return 0
    if topic is not None and topic not in COMMANDS:
        raise UsageError(
            f"there is no help on {quote(topic)}",
            hint=suggestion(
                topic,
                [*COMMANDS, *TOPICS],
                f"commands: jobctl help; topics: {', '.join(TOPICS)}",
            ),
        )
    from jobctl.cli.app import help_on

    help_on(topic, out)
    return 0


def drawn(text: str, width: int) -> "Iterable[RenderableType]":
    """A page of Markdown for a terminal of ``width`` columns. Tables that do not fit are lists."""
    from rich.markdown import Markdown, TableElement
    from rich.table import Table

    class WholeWords(TableElement):
        """A table that cuts no word."""

        def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
            for table in super().__rich_console__(console, options):
                if isinstance(table, Table):
                    for column in table.columns:
                        column.min_width = max(map(_longest_word, map(str, column.cells)))
                yield table

    class Page(Markdown):
        elements: ClassVar = {**Markdown.elements, "table_open": WholeWords}

    text = _TABLE.sub(lambda table: _fitting(table[0], width), text)
    # a link to another page is a command to type
    return [Page(_LINK_TO_PAGE.sub(r"\1 (`jobctl help \2`)", text), hyperlinks=False)]


def _fitting(table: str, width: int) -> str:
    """The table, or its rows as a list where the terminal is too narrow for it."""
    titles, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines())
    least = GAP + sum(GAP + max(map(_longest_word, column)) for column in zip(titles, *rows, strict=True))
    if width >= max(NARROW, least):
        return table
    titled = len(titles) > MOST_UNTITLED
    return "".join(
        f"- {first}: {'; '.join(f'{title}: {cell}' if titled else cell for title, cell in cells if cell)}\n"
        for first, *others in rows
        for cells in [list(zip(titles[1:], others, strict=True))]
    )


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)
