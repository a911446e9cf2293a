"""What ``report`` shows: the headlines; the whole is in the files."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jobctl.cli.terminal import Column, Terminal, plain
from jobctl.site.reports.plain_text import headlines

if TYPE_CHECKING:
    from rich.console import RenderableType

_TITLES = ("FIGURE", "VALUE", "CHANGE")


def piped(report: dict[str, Any]) -> Iterator[str]:
    """Title, period, and each figure beside the period before."""
    yield _title(report)
    yield from plain([_TITLES, *headlines(report)])


def screen(report: dict[str, Any], terminal: Terminal) -> "Iterator[RenderableType]":
    """The same as a table."""
    yield terminal.heading(_title(report))
    yield terminal.table(
        [Column(one, right=one == "VALUE", wraps=one != "VALUE") for one in _TITLES],
        [(label, value, terminal.text(change, "dim")) for label, value, change in headlines(report)],
        keep=3,
    )


def _title(report: dict[str, Any]) -> str:
    return f"{report['title']}, {report['period']['label']}"
