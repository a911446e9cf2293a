"""What becomes of each job's schedule on Vercel."""

from typing import TYPE_CHECKING, Any

from jobctl.cli.output import Output
from jobctl.cli.views.table import Cell, Column, rows, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobctl.exports.vercel import Placed

_STYLES = {"exact": "green", "changed": "yellow", "left out": "red"}


def show_crons(placed: "Sequence[Placed]", out: Output) -> None:
    """A table, then a warning for each schedule that is not kept."""
    if not placed:
        return
    if out.is_terminal:
        titles = [Column("JOB", least=12), Column("VERCEL"), Column("CRON, UTC")]
        cells = [
            [Cell(one.job_id), Cell(one.kept.value, _STYLES[one.kept.value]), Cell(one.cron)]
            for one in placed
        ]
        out.lines(table(titles, cells, out.look))
    else:
        out.lines(rows((), ((one.job_id, one.kept.value, one.cron) for one in placed), header=False))
    for one in placed:
        if one.told:
            what = "runs" if one.cron else "is left out:"
            hint = f"; {one.hint}" if one.hint else ""
            out.warn(f"{one.job_id} {what} {one.told}{hint}")


def crons_document(placed: "Sequence[Placed]") -> list[dict[str, Any]]:
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
