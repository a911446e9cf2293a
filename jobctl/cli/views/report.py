"""What ``report`` shows: the headlines; the whole is in the files."""

from collections.abc import Iterator
from typing import Any

from jobctl.cli.views.look import Look
from jobctl.cli.views.table import Cell, Column, table
from jobctl.reports.headline import headlines


def screen(report: dict[str, Any], look: Look) -> Iterator[str]:
    """Title, period, and each figure beside the period before."""
    yield look.paint(look.cut(f"{report['title']}, {report['period']['label']}", look.width), "bold")
    titles = [Column("FIGURE"), Column("VALUE", right=True), Column("CHANGE")]
    rows = [[Cell(label), Cell(value), Cell(change, "dim")] for label, value, change in headlines(report)]
    yield from table(titles, rows, look)
