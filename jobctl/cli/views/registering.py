"""What ``run`` shows where Trigger.dev is in charge: a line a job, what became of its schedule, and why."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobctl.cli.terminal import Column, Terminal, one_line, rows
from jobctl.cli.times import until, zulu
from jobctl.documents import time
from jobctl.managers.registering import Change, Step

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_STYLES = {
    Change.CREATED: "green",
    Change.CHANGED: "cyan",
    Change.REMOVED: "yellow",
    Change.REFUSED: "yellow",
    Change.FAILED: "red",
}
_TITLES = ("JOB", "CHANGE", "CRON", "TIMEZONE", "NEXT", "WHY")


def document(step: Step) -> dict[str, Any]:
    """One job for ``--json``."""
    there = step.there
    kept = step.put or there
    return {
        "id": step.job_id,
        "change": step.change.value,
        "detail": step.detail or None,
        "hint": step.hint,
        "caution": step.caution or None,
        "cron": kept.cron if kept else None,
        "timezone": kept.timezone if kept else None,
        "window": step.put.window if step.put else there.window if there else None,
        "schedule_id": there.id if there else None,
        "active": there.active if there else None,
        "next_run": time(step.next_run),
    }


def piped(steps: Iterable[Step]) -> Iterable[str]:
    """One job a line, tabs between, exact times."""
    return rows(_TITLES, (_record(one) for one in steps), header=True)


def screen(steps: Iterable[Step], now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    """A table."""
    titles = [Column("JOB"), Column("CHANGE"), Column("CRON"), Column("NEXT"), Column("WHY", wraps=True)]
    yield terminal.table(titles, [_cells(one, now, terminal) for one in steps])


def summary(steps: Sequence[Step]) -> str:
    """``2 created, 11 left``."""
    counts = Counter(one.change for one in steps)
    return ", ".join(f"{counts[one]} {one.value}" for one in Change if counts[one]) or "no job"


def _cells(step: Step, now: datetime, terminal: Terminal) -> "tuple[str | Text, ...]":
    kept = step.stays
    zone = f"  {kept.timezone}" if kept and kept.timezone != "UTC" else ""
    return (
        step.job_id,
        terminal.text(step.change.value, _STYLES.get(step.change, "")),
        f"{kept.cron}{zone}" if kept else "",
        until(step.next_run, now) if step.next_run else "",
        terminal.text(step.detail, "dim"),
    )


def _record(step: Step) -> tuple[str, ...]:
    kept = step.stays
    return (
        step.job_id,
        step.change.value,
        kept.cron if kept else "",
        kept.timezone if kept else "",
        zulu(step.next_run),
        one_line(step.detail),
    )
