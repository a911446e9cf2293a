"""What ``runs`` shows, and sentences about a run."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobctl.cli.terminal import STATES, Column, Terminal, one_line, rows, sparkline
from jobctl.cli.times import dated, local, ms, took, zone_names, zulu
from jobctl.durations import ago, format_duration, until
from jobctl.model import Action, Progress, Run, RunStatus, WaitingRun, short_id

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_BAR = 20
_TITLES = (
    "RUN",
    "JOB",
    "STATE",
    "REASON",
    "STARTED",
    "TOOK_MS",
    "TRIGGER",
    "ERROR",
    "ATTEMPT",
    "ARGUMENTS",
    "ACTOR",
)


def piped(runs: Iterable[Run], *, header: bool) -> Iterable[str]:
    """A line per run, separated by tabs: whole ids, exact times, durations in milliseconds."""
    return rows(_TITLES, (_record(run) for run in runs), header=header)


def screen(
    runs: Sequence[Run],
    now: datetime,
    terminal: Terminal,
    *,
    more: bool,
    of_one_job: bool = False,
    lately: Sequence[Run] = (),
) -> "Iterator[RenderableType]":
    """A table, with the errors below their runs.

    Args:
        of_one_job: leave out the column of job ids.
        lately: runs of the job for the summary of its history.
    """
    if not runs:
        yield "no run to show"
        return
    if len(lately) > 1:
        yield recent(lately, terminal)
        yield ""
    started = Column(f"STARTED, {zone_names(run.started_at for run in runs)}")
    columns = [
        Column("JOB"),
        Column("STATE"),
        Column("RUN"),
        started,
        Column("TOOK", right=True),
        Column("BY"),
    ]
    cells = [_cells(run, now, terminal) for run in runs]
    if of_one_job:
        columns[0:3] = [columns[2], columns[1]]
        for row in cells:
            row[0:3] = [row[2], row[1]]
    errors = {at: terminal.text(run.error, "red") for at, run in enumerate(runs) if run.error}
    yield terminal.table(columns, cells, errors)
    if more:
        yield "… there are more: --limit 0" if terminal.unicode else "there are more: --limit 0"


def detail(run: Run, now: datetime, terminal: Terminal) -> "Iterator[RenderableType]":
    """A single run in detail."""
    yield terminal.heading(f"{run.job_id}, run {run.id}")
    fields: list[tuple[str, RenderableType]] = [("state", terminal.state(run.status.value, _state(run)))]
    due = f", due {dated(run.scheduled_for)}" if run.scheduled_for else ""
    actor = f" by {run.actor}" if run.actor else ""
    fields.append(("trigger", f"{run.trigger.value}{actor}{due}"))
    fields.append(("started", f"{dated(run.started_at)} ({ago(run.started_at, now)})"))
    if run.finished_at:
        fields.append(("finished", f"{dated(run.finished_at)} ({ago(run.finished_at, now)})"))
    fields.append(
        ("times in", zone_names(filter(None, (run.scheduled_for, run.started_at, run.finished_at))))
    )
    if run.duration is not None:
        fields.append(("took", took(run.duration)))
    fields.append(("attempt", str(run.attempt)))
    fields += _of_its_own(run, terminal)
    if run.host:
        fields.append(("process", f"{f'pid {run.pid} on ' if run.pid else ''}{run.host}"))
    if run.error:
        fields.append(("error", terminal.text(run.error)))
    if run.result is not None:
        import json

        whole = json.dumps(run.result, indent=2, ensure_ascii=not terminal.unicode)
        fields.append(("result", terminal.text(result_summary(run) or whole)))
        if isinstance(run.result, dict) and run.result.get("details"):
            shown = json.dumps(run.result["details"], indent=2, ensure_ascii=not terminal.unicode)
            fields.append(("details", terminal.text(shown)))
    yield terminal.fields(fields)
    if not run.id.startswith("run_"):
        yield f"what it printed: jobctl logs {run.short_id}"


def _of_its_own(run: Run, terminal: Terminal) -> "Iterator[tuple[str, RenderableType]]":
    """What only some runs have."""
    if run.rerun_of is not None:
        yield "repeats", f"run {run.rerun_of}"
    if run.batch is not None:
        yield "backfill", run.batch
    if run.progress is not None:
        yield "progress", bar(run.progress, terminal)
    if run.arguments:
        yield "arguments", terminal.text(as_json(run.arguments))


def ending(run: Run) -> str:
    """``repository-sync: completed in 1.2 s (processed 4)``, or how and why it failed."""
    spent = format_duration(run.duration) if run.duration is not None else ""
    if run.status is RunStatus.COMPLETED:
        summary = result_summary(run)
        return f"{run.job_id}: completed in {spent}" + (f" ({summary})" if summary else "")
    if run.status is RunStatus.SKIPPED:
        error = f": {one_line(run.error)}" if run.error else ""
        return f"{run.job_id}: skipped ({run.reason.value if run.reason else 'not run'}){error}"
    if run.status is RunStatus.CANCELLED:
        return f"{run.job_id}: {one_line(run.error or 'cancelled')}" + (f", after {spent}" if spent else "")
    why = one_line(run.error) if run.error else (run.reason.value if run.reason else "unknown")
    after = f" after {spent}" if spent else ""
    reason = run.reason.value if run.reason else ""
    named = f" ({reason})" if reason not in {"", "error"} and not why.startswith(reason) else ""
    return f"{run.job_id}: failed{after}{named}: {why}"


def result_summary(run: Run) -> str:
    """A job's result on a single line; empty without a result."""
    result = run.result
    if not isinstance(result, dict):
        return "" if result is None else one_line(str(result))
    parts = [one_line(str(result["message"]))] if result.get("message") else []
    counts = [f"{name} {result[name]}" for name in ("processed", "successful", "failed") if result.get(name)]
    return ": ".join([*parts, ", ".join(counts)] if counts else parts)


def as_json(value: Any) -> str:
    """A JSON value on one line."""
    import json

    return one_line(json.dumps(value, ensure_ascii=False))


def bar(progress: Progress, terminal: Terminal) -> "Text":
    """A bar, and what the run reports: ``━━━━━━━━────────────  42 of 100  resizing images``."""
    text = terminal.text("")
    if progress.share is not None:
        full = round(progress.share * _BAR)
        text.append(("━" if terminal.unicode else "=") * full, "cyan")
        text.append(("─" if terminal.unicode else "-") * (_BAR - full) + "  ", "dim")
    text.append_text(terminal.text(progress_text(progress)))
    return text


def progress_text(progress: Progress) -> str:
    """What the run reports: ``42 of 100  resizing images``."""
    total = "" if progress.share is None else f" of {progress.total:,g}"
    return "  ".join(filter(None, (f"{progress.done:,g}{total}", progress.note)))


def _state(run: Run) -> str:
    says_more = run.reason not in {None, "error", run.status.value}
    state = f"{run.status.value} ({run.reason})" if says_more else run.status.value
    return state + (f", attempt {run.attempt}" if run.attempt > 1 else "")


def _cells(run: Run, now: datetime, terminal: Terminal) -> list[Any]:
    return [
        run.job_id,
        terminal.state(run.status.value, _state(run)),
        run.short_id,
        local(run.started_at, now),
        took(run.duration),
        run.actor or run.trigger.value,
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
        "" if run.arguments is None else as_json(run.arguments),
        run.actor or "",
    )


_WAITING_TITLES = ("RUN", "JOB", "BEGINS_AT", "SLOT", "TRIGGER", "ACTOR", "REASON", "BATCH", "ARGUMENTS")


def waiting_piped(runs: Iterable[WaitingRun], *, header: bool) -> Iterable[str]:
    """A line per run that is kept for later, separated by tabs."""
    records = (
        (
            run.id,
            run.job_id,
            zulu(run.begins_at),
            zulu(run.slot),
            run.trigger.value,
            run.actor or "",
            one_line(run.reason or ""),
            run.batch or "",
            "" if run.arguments is None else as_json(run.arguments),
        )
        for run in runs
    )
    return rows(_WAITING_TITLES, records, header=header)


def waiting_screen(
    runs: Sequence[WaitingRun], now: datetime, terminal: Terminal, *, left_out: int
) -> "Iterator[RenderableType]":
    """A table of the runs that are kept for later, with reason and arguments below each."""
    if not runs:
        yield "no run is kept for later"
        return
    columns = [
        Column("JOB"),
        Column("BEGINS"),
        Column("RUN"),
        Column(f"SLOT, {zone_names(run.slot or run.begins_at for run in runs)}"),
        Column("BY"),
    ]
    cells: list[list[Any]] = [
        [
            run.job_id,
            until(run.begins_at, now) if run.begins_at > now else f"due {ago(run.begins_at, now)}",
            run.short_id,
            local(run.slot, now) if run.slot else "",
            run.actor or run.trigger.value,
        ]
        for run in runs
    ]
    below = {}
    for at, run in enumerate(runs):
        details = [run.reason or "", as_json(run.arguments) if run.arguments else ""]
        if run.batch:
            details.append(f"backfill {short_id(run.batch)}")
        if text := "  ".join(filter(None, details)):
            below[at] = terminal.text(text, "dim")
    yield terminal.table(columns, cells, below)
    if left_out:
        yield f"{left_out:,} more: --limit 0"


_ACTION_TITLES = ("AT", "ACTOR", "ACTION", "JOB", "RUN", "REASON")


def actions_piped(actions: Iterable[Action], *, header: bool) -> Iterable[str]:
    """A line per action, separated by tabs."""
    records = (
        (
            zulu(each.at),
            each.actor,
            each.kind.value,
            each.job_id,
            each.run_id or "",
            one_line(each.reason or ""),
        )
        for each in actions
    )
    return rows(_ACTION_TITLES, records, header=header)


def actions_screen(
    actions: Sequence[Action], now: datetime, terminal: Terminal
) -> "Iterator[RenderableType]":
    """A table of what people did, with the reasons below."""
    if not actions:
        yield "no action to show; they are kept for 30 days"
        return
    columns = [
        Column("JOB"),
        Column("ACTION"),
        Column("BY"),
        Column(f"AT, {zone_names(each.at for each in actions)}"),
        Column("RUN"),
    ]
    cells: list[list[Any]] = [
        [each.job_id, each.kind.value, each.actor, local(each.at, now), short_id(each.run_id or "")]
        for each in actions
    ]
    reasons = {at: terminal.text(each.reason, "dim") for at, each in enumerate(actions) if each.reason}
    yield terminal.table(columns, cells, reasons)


LAST = 20


def signs(runs: Iterable[Run], terminal: Terminal) -> "Text":
    """The sign of each run's state, in its colour."""
    text = terminal.text("")
    for run in runs:
        text.append(terminal.sign(run.status.value), STATES[run.status.value][2])
    return text


def recent(newest_first: Sequence[Run], terminal: Terminal) -> "RenderableType":
    """The last 20 runs of a job, newest first: a sign for each outcome, and a bar for each duration."""
    runs = newest_first[:LAST]
    counts = Counter(run.status.value for run in runs)
    outcomes = ", ".join(
        f"{counts[status.value]} {status.value}" for status in RunStatus if counts[status.value]
    )
    lines = [(signs(runs, terminal), f"the last {len(runs)}, newest first: {outcomes}")]
    durations = [run.duration for run in runs if run.duration is not None]
    if durations:
        levels = iter(
            sparkline([duration.total_seconds() for duration in durations], unicode=terminal.unicode)
        )
        shown = "".join(" " if run.duration is None else next(levels) for run in runs)  # under its sign
        lines.append((terminal.text(shown), f"took {took(min(durations))} to {took(max(durations))}"))
    return terminal.fields(lines)
