"""What becomes of each job's schedule on Vercel."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jobctl.cli.terminal import Column, Terminal, rows

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jobctl.exports.vercel import Placed

_STYLES = {"exact": "green", "changed": "yellow", "left out": "red"}


def piped(placed: "Iterable[Placed]") -> Iterable[str]:
    """One job a line, tabs between."""
    return rows((), ((one.job_id, one.kept.value, one.cron) for one in placed), header=False)


def screen(placed: "Sequence[Placed]", terminal: Terminal) -> "Iterator[RenderableType]":
    """A table, where there is a job to show."""
    if placed:
        titles = [Column("JOB"), Column("VERCEL"), Column("CRON, UTC")]
        yield terminal.table(
            titles,
            [
                (one.job_id, terminal.text(one.kept.value, _STYLES[one.kept.value]), one.cron)
                for one in placed
            ],
        )


def warnings(placed: "Iterable[Placed]") -> Iterator[str]:
    """A sentence for each schedule that is not kept."""
    for one in placed:
        if one.told:
            what = "runs" if one.cron else "is left out:"
            hint = f"; {one.hint}" if one.hint else ""
            yield f"{one.job_id} {what} {one.told}{hint}"


def document(placed: "Iterable[Placed]") -> list[dict[str, Any]]:
    """The same for ``--json``."""
    return [
        {
            "id": one.job_id,
            "path": one.path,
            "change": one.kept.value,
            "cron": one.cron or None,
            "detail": one.told or None,
            "hint": one.hint,
        }
        for one in placed
    ]
