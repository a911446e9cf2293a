"""What ``plan --diff`` shows."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from jobctl.cli.terminal import Column, Terminal, rows
from jobctl.cli.times import zulu
from jobctl.cli.views.plan import span, warning_document
from jobctl.clock import iso
from jobctl.planning.plan import RunPlan
from jobctl.planning.plan_diff import ChangedSlot, PlanDiff, SlotChange

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {SlotChange.NEW: "green", SlotChange.GONE: "red", SlotChange.MOVED: "yellow"}


def piped(found: PlanDiff, *, header: bool) -> Iterable[str]:
    """A line per slot that differs, separated by tabs."""
    records = ((slot.change.value, slot.job_id, zulu(slot.at), zulu(slot.moved_to)) for slot in found.slots)
    return rows(("CHANGE", "JOB", "SLOT", "MOVED_TO"), records, header=header)


def document(plan: RunPlan, found: PlanDiff) -> dict[str, Any]:
    """The differences as ``--json`` shows them."""
    return {
        "from": iso(plan.begin),
        "to": iso(plan.end),
        "slots": [
            {
                "job_id": slot.job_id,
                "change": slot.change.value,
                "slot": iso(slot.at),
                "moved_to": iso(slot.moved_to) if slot.moved_to else None,
            }
            for slot in found.slots
        ],
        "new_warnings": list(map(warning_document, found.new_warnings)),
        "gone_warnings": list(map(warning_document, found.gone_warnings)),
    }


def screen(plan: RunPlan, found: PlanDiff, terminal: Terminal) -> "Iterator[RenderableType]":
    """A row for each job and change, with its first slot; then the warnings that differ."""
    yield terminal.heading(span(plan))
    if found.slots:
        columns = [Column("JOB"), Column("CHANGE"), Column("SLOTS", right=True), Column("FIRST")]
        yield terminal.table(columns, [_row(list(group), terminal) for _, group in _grouped(found)])
    else:
        yield "no slot differs"
    for sign, style, warnings in (("+", "green", found.new_warnings), ("-", "red", found.gone_warnings)):
        for warning in warnings:
            yield terminal.hanging(f"{sign} {warning.code}: ", warning.text, style)


def _grouped(found: PlanDiff) -> Iterator[tuple[Any, Iterator[ChangedSlot]]]:
    def kind(slot: ChangedSlot) -> tuple[str, str]:
        return slot.job_id, slot.change.value

    return groupby(sorted(found.slots, key=kind), kind)


def _row(slots: list[ChangedSlot], terminal: Terminal) -> list[Any]:
    first = min(slots, key=lambda slot: slot.at)
    times = [f"{time.astimezone():%a %m-%d %H:%M}" for time in (first.at, first.moved_to) if time]
    arrow = " → " if terminal.unicode else " to "
    change = terminal.text(first.change.value, _STYLES[first.change])
    return [first.job_id, change, f"{len(slots):,}", arrow.join(times)]
