"""What ``status`` shows: the scheduler, a line per job, and a job in detail."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobctl.cli.terminal import Column, Terminal, rows
from jobctl.cli.times import dated, ms, share, took, zone_names, zulu
from jobctl.cli.views.runs import bar, progress_text, result_summary, signs
from jobctl.durations import ago, format_duration, short, until
from jobctl.managers.board import Board, who_schedules
from jobctl.memory_limit import MIB
from jobctl.model import AFTER, Job, JobStatus, JobTotals, Run, SentNotification, Status
from jobctl.store.logs import LIMIT_VARIABLE
from jobctl.text import counted

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from jobctl.store.logs import LogUsage

_TITLES = ("JOB", "STATE", "LAST", "TOOK_MS", "NEXT", "ERROR", "NOTE", "STOPPED_UNTIL", "WAITING", "LATE")


def piped(jobs: Iterable[JobStatus], *, header: bool) -> Iterable[str]:
    """A line per job, separated by tabs: exact times, durations in milliseconds."""
    return rows(_TITLES, (_record(job) for job in jobs), header=header)


def screen(
    board: Board, shown: Sequence[JobStatus], left_out: str, terminal: Terminal
) -> "Iterator[RenderableType]":
    """The table on a terminal; ``left_out`` describes jobs that were left out."""
    yield who_schedules(board)
    yield ""
    if not shown:
        yield "no job to show"
        return
    columns = [Column("JOB"), Column("STATE"), Column("LAST"), Column("TOOK", right=True)]
    columns += [Column("NEXT")] if board.is_scheduled else []
    columns.append(Column("SCHEDULE"))
    shared = Counter(_why_stopped(job) for job in board.jobs if _is_stopped(job))
    below = {}
    for at, job in enumerate(shown):
        details = _below(job, terminal, is_alone=shared[_why_stopped(job)] == 1)
        if details is not None:
            below[at] = details
    yield terminal.table(columns, [_cells(job, board, terminal) for job in shown], below)
    if left_out:
        yield f"… {left_out}" if terminal.unicode else left_out
    yield ""
    for note, number in shared.items():
        if number > 1:
            yield terminal.hanging(f"{terminal.sign('stopped')} ", f"{number} stopped: {note}", "yellow")
    yield _counts(board)
    if board.failed:
        yield f"See why: jobctl logs {board.failed[0].id} --failed"


def _below(job: JobStatus, terminal: Terminal, *, is_alone: bool) -> "Text | None":
    """The line below a job, if it has one: its error, its progress, what waits, or why it is stopped."""
    if job.status is Status.FAILED and job.error:
        return terminal.text(job.error, "red")
    if job.progress is not None:
        return bar(job.progress, terminal)
    if job.late is not None:
        return terminal.text(job.late, "yellow")
    if job.waiting:
        wait = "waits" if job.waiting == 1 else "wait"
        return terminal.text(f"{counted(job.waiting, 'run')} {wait}", "dim")
    return terminal.text(_why_stopped(job), "dim") if _is_stopped(job) and is_alone else None


def by_urgency(board: Board) -> list[JobStatus]:
    """Jobs by urgency: failed, late, running, others, and stopped jobs last."""

    def rank(job: JobStatus) -> int:
        if job.status is Status.FAILED:
            return 0
        if board.late_since(job) is not None:
            return 1
        return {Status.RUNNING: 2, Status.STOPPED: 4}.get(job.status, 3)

    return sorted(board.jobs, key=rank)


def _why_stopped(job: JobStatus) -> str:
    """The reason, if a person gave one, and until when."""
    end = f"until {dated(job.stopped_until)}" if job.stopped_until else ""
    return ", ".join(filter(None, ("" if job.note == "stopped" else job.note, end)))


def _is_stopped(job: JobStatus) -> bool:
    return job.status is Status.STOPPED and _why_stopped(job) != ""


def _counts(board: Board) -> str:
    counts = Counter(job.status for job in board.jobs)
    kinds = (Status.FAILED, Status.RUNNING, Status.COMPLETED, Status.SCHEDULED, Status.STOPPED)
    parts = [f"{counts[kind]} {kind.value}" for kind in kinds if counts[kind]]
    if late := sum(board.late_since(job) is not None for job in board.jobs):
        parts.insert(bool(counts[Status.FAILED]), f"{late} late")
    return f"{counted(len(board.jobs), 'job')}: {', '.join(parts)}"


def detail(
    job: JobStatus,
    board: Board,
    *,
    definition: Job | None,
    runs: Sequence[Run],
    totals: JobTotals | None,
    logs: "LogUsage | None",
    notification: SentNotification | None,
    terminal: Terminal,
) -> "Iterator[RenderableType]":
    """A job with its exact times, last result and history."""
    now = board.now
    origin = f"  ({definition.origin})" if definition else ""
    name = f"  {job.name}" if job.name != job.id else ""
    yield terminal.heading(f"{job.id}{name}{origin}")
    late = board.late_since(job)
    if late and job.status is not Status.FAILED:
        why = job.late or f"due since {short(now - late)}"
        state = terminal.state("late", f"late  ({why})")
    else:
        state = state_of(job, now, terminal)
        if job.retry_at is None and (why := _why_stopped(job)):
            state.append_text(terminal.text(f"  ({why})", "not bold"))
    fields: list[tuple[str, RenderableType]] = [("state", state)]
    schedule = job.schedule or "none, manual only"
    if job.schedule and not _runs_after_others(job):
        schedule += f"  {job.timezone}"
    fields.append(("schedule", schedule))
    if job.progress is not None:
        fields.append(("progress", bar(job.progress, terminal)))
    if job.next_run and board.is_scheduled:
        fields.append(("next", f"{dated(job.next_run)} ({until(job.next_run, now)})"))
    if job.waiting:
        fields.append(("waiting", f"{counted(job.waiting, 'run')}: jobctl runs {job.id} --waiting"))
    if runs:
        fields += _last(runs[0], definition, now, terminal)
        fields.append(("history", _history(runs, totals, terminal)))
    else:
        fields.append(("last", "never"))
    if times := [time for time in (job.next_run, job.last_run) if time]:
        fields.append(("times in", zone_names(times)))
    fields += _kept(notification, logs, now, terminal)
    yield terminal.fields(fields)


def _kept(
    notification: SentNotification | None, logs: "LogUsage | None", now: datetime, terminal: Terminal
) -> "Iterator[tuple[str, RenderableType]]":
    if notification is not None:
        yield "notified", terminal.text(_notified(notification, now))
    if logs is not None and logs.deleted_at is not None:
        yield "logs", logs_words(logs, now)


def _notified(sent: SentNotification, now: datetime) -> str:
    outcome = "not delivered" if sent.error else "delivered"
    why = f": {sent.error}" if sent.error else ""
    return f"{ago(sent.at, now)}, {sent.event} by {sent.channel} to {sent.receiver}, {outcome}{why}"


def logs_words(logs: "LogUsage", now: datetime) -> str:
    """A sentence about logs that were deleted because of their size."""
    size, limit = (f"{number / MIB:,.0f}" for number in (logs.size, logs.limit))
    return f"{size} of {limit} MiB; the oldest were deleted {ago(logs.deleted_at, now)} ({LIMIT_VARIABLE})"


def _last(
    run: Run, definition: Job | None, now: datetime, terminal: Terminal
) -> "Iterator[tuple[str, RenderableType]]":
    spent = f", took {format_duration(run.duration)}" if run.duration is not None else ""
    attempts = (
        f", attempt {run.attempt} of {definition.retries + 1}" if definition and definition.retries else ""
    )
    when = f"{dated(run.started_at)} ({ago(run.started_at, now)})"
    yield "last", f"{when}{spent}, run {run.short_id}{attempts}"
    if run.error:
        yield "error", terminal.text(run.error)
    if summary := result_summary(run):
        yield "result", summary


def _history(runs: Sequence[Run], totals: JobTotals | None, terminal: Terminal) -> "Text":
    text = signs(runs, terminal)
    text.append("  newest first")
    if totals is not None and totals.success_rate is not None:
        completed = f"{totals.successful_jobs:,} of {totals.total_executions:,} completed"
        text.append(f"; {completed} ({share(totals.success_rate)})")
    return text


def state_of(job: JobStatus, now: datetime, terminal: Terminal) -> "Text":
    """Sign and state; after a failed attempt, when the next attempt begins."""
    if job.retry_at is None:
        share_done = None if job.progress is None else job.progress.share
        done = "" if share_done is None else f" {share_done:.0%}".replace("%", " %")
        return terminal.state(job.status.value, f"{job.status.value}{done}")
    return terminal.state("retrying", f"{job.note} {until(job.retry_at, now)}")


def _cells(job: JobStatus, board: Board, terminal: Terminal) -> list[Any]:
    running = job.status is Status.RUNNING
    late = board.late_since(job)
    cells: list[Any] = [
        job.id,
        state_of(job, board.now, terminal),
        ago(job.last_run, board.now),
        "" if running or not job.last_run else took(job.duration),
    ]
    if late is not None:
        cells.append(terminal.state("late", f"late by {short(board.now - late)}"))
    elif board.is_scheduled:
        waits = running and job.next_run is None and not _runs_after_others(job)
        cells.append("after this run" if waits else until(job.next_run, board.now))
    zone = "" if job.timezone == "UTC" else f"  {job.timezone}"
    cells.append(terminal.text(f"{job.schedule or 'manual'}{zone}", "dim"))
    return cells


def _runs_after_others(job: JobStatus) -> bool:
    return job.schedule is not None and job.schedule.startswith(AFTER)


def _record(job: JobStatus) -> tuple[str, ...]:
    return (
        job.id,
        job.status.value,
        zulu(job.last_run),
        ms(job.duration),
        zulu(job.next_run),
        job.error or "",
        progress_text(job.progress) if job.progress and job.retry_at is None else job.note or "",
        zulu(job.stopped_until),
        str(job.waiting or ""),
        job.late or "",
    )
