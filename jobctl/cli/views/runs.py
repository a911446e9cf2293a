"""What ``runs`` shows, and the sentences about one run."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from jobctl.cli.views.history import recent
from jobctl.cli.views.look import STATES, Look, one_line
from jobctl.cli.views.table import LEAST_ID, Cell, Column, rows, table
from jobctl.cli.views.times import ago, ms, took, zulu
from jobctl.durations import format_duration
from jobctl.model import Run, RunStatus

_TITLES = ("RUN", "JOB", "STATE", "REASON", "STARTED", "TOOK_MS", "TRIGGER", "ERROR", "ATTEMPT")


def piped(runs: Iterable[Run], *, header: bool) -> Iterable[str]:
    """One run a line, tabs between, whole ids, exact times, durations in milliseconds."""
    return rows(_TITLES, (_record(one) for one in runs), header=header)


def screen(
    runs: Sequence[Run], now: datetime, look: Look, *, more: bool, lately: Sequence[Run] = ()
) -> Iterator[str]:
    """A table; the error is cut to what is left of the width. ``lately`` are runs of one job to show at a glance."""
    if not runs:
        yield "no run to show"
        return
    if len(lately) > 1:
        yield from recent(lately, look)
        yield ""
    titles = [
        Column("RUN"),
        Column("JOB", least=LEAST_ID),
        Column("STATE"),
        Column("STARTED"),
        Column("TOOK", right=True),
        Column("BY"),
        Column("ERROR", least=12),
    ]
    yield from table(titles, [_cells(one, now) for one in runs], look)
    if more:
        yield "… there are more: --limit 0" if look.unicode else "there are more: --limit 0"


def ending(run: Run) -> str:
    """``repository-sync: completed in 1.2 s (processed 4)``, or how and why it failed."""
    spent = format_duration(run.duration) if run.duration is not None else ""
    if run.status is RunStatus.COMPLETED:
        summary = result_summary(run)
        return f"{run.job_id}: completed in {spent}" + (f" ({summary})" if summary else "")
    if run.status is RunStatus.SKIPPED:
        told = f": {one_line(run.error)}" if run.error else ""
        return f"{run.job_id}: skipped ({run.reason.value if run.reason else 'not run'}){told}"
    why = one_line(run.error) if run.error else (run.reason.value if run.reason else "unknown")
    after = f" after {spent}" if spent else ""
    reason = run.reason.value if run.reason else ""
    named = f" ({reason})" if reason not in {"", "error"} and not why.startswith(reason) else ""
    return f"{run.job_id}: failed{after}{named}: {why}"


def result_summary(run: Run) -> str:
    """What a job's result says, on one line; empty where there is none."""
    result = run.result
    if not isinstance(result, dict):
        return "" if result is None else one_line(str(result))
    parts = [one_line(str(result["message"]))] if result.get("message") else []
    counts = [f"{name} {result[name]}" for name in ("processed", "successful", "failed") if result.get(name)]
    return ": ".join([*parts, ", ".join(counts)] if counts else parts)


def _cells(run: Run, now: datetime) -> list[Cell]:
    state = run.status.value if run.reason in {None, "error"} else f"{run.status.value} ({run.reason})"
    state += f", attempt {run.attempt}" if run.attempt > 1 else ""
    return [
        Cell(run.short_id),
        Cell(run.job_id),
        Cell(state, STATES[run.status]),
        Cell(ago(run.started_at, now)),
        Cell(took(run.duration)),
        Cell(run.trigger.value),
        Cell(run.error or "", "dim"),
    ]


def _record(run: Run) -> tuple[str, ...]:
    return (
        run.id,
        run.job_id,
        run.status.value,
        run.reason.value if run.reason else "",
        zulu(run.started_at),
        ms(run.duration),
        run.trigger.value,
        one_line(run.error or ""),
        str(run.attempt),
    )
