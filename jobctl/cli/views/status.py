"""What ``status`` shows: who schedules, every job on a line, and one job in detail."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from jobctl.cli.views.history import marks
from jobctl.cli.views.look import STATES, Look, one_line
from jobctl.cli.views.metrics import share
from jobctl.cli.views.runs import result_summary
from jobctl.cli.views.table import LEAST_ID, Cell, Column, rows, table
from jobctl.cli.views.times import ago, exact, ms, short, took, until, zulu
from jobctl.durations import format_duration
from jobctl.errors import ServiceError
from jobctl.memory import MIB
from jobctl.model import Job, JobStatus, JobTotals, Run, Status
from jobctl.modes import Mode
from jobctl.runs.logs import VARIABLE

if TYPE_CHECKING:
    from datetime import tzinfo

    from jobctl.managers.presence import Presence
    from jobctl.runs.logs import Usage

_TITLES = ("JOB", "STATE", "LAST", "TOOK_MS", "NEXT", "ERROR")


class Board(NamedTuple):
    """Everything that ``status`` knows at one moment."""

    mode: Mode
    scheduler: "Presence"
    jobs: Sequence[JobStatus]
    now: datetime
    trouble: ServiceError | None = None

    @property
    def failed(self) -> list[JobStatus]:
        """The jobs whose last run failed."""
        return [one for one in self.jobs if one.status is Status.FAILED]


def piped(jobs: Iterable[JobStatus], *, header: bool) -> Iterable[str]:
    """One job a line, tabs between, exact times, durations in milliseconds."""
    return rows(_TITLES, (_record(one) for one in jobs), header=header)


def screen(board: Board, shown: Sequence[JobStatus], left_out: str, look: Look) -> Iterator[str]:
    """The whole answer on a terminal; ``left_out`` says what was, for length."""
    yield from look.wrap(who_schedules(board))
    yield ""
    if not shown:
        yield "no job to show"
        return
    titles = [
        Column("JOB", least=LEAST_ID),
        Column("STATE"),
        Column("LAST"),
        Column("TOOK", right=True),
        Column("NEXT", least=12),
        Column("SCHEDULE"),
    ]
    yield from table(titles, [_cells(one, board.now) for one in shown], look)
    if left_out:
        yield f"… {left_out}" if look.unicode else left_out
    yield from _why_stopped(board, look)
    failed = board.failed
    if failed:
        first = failed[0]
        others = ", ".join([*(one.id for one in failed[:3]), *(["others"] if len(failed) > 3 else [])])
        yield ""
        yield look.cut(
            f"{len(failed)} of {len(board.jobs)} failed: {others}: {first.error or ''}", look.width
        )
        yield from look.wrap(f"See why: jobctl logs {first.id} --failed")


def _why_stopped(board: Board, look: Look) -> Iterator[str]:
    """The reasons that stand behind several jobs, or may not have found room in their rows."""
    notes = Counter(
        one.note for one in board.jobs if one.status is Status.STOPPED and one.note not in {None, "stopped"}
    )
    if notes:
        yield ""
    for note, number in notes.items():
        yield from look.wrap(f"{number} stopped: {note}")


def who_schedules(board: Board) -> str:
    """The line that says who is in charge, and whether it lives."""
    found = board.scheduler
    if board.mode is Mode.DISABLED:
        return "scheduling is disabled; jobctl mode shows why"
    if board.mode is Mode.TRIGGER_DEV:
        if board.trouble is None:
            return "scheduled by Trigger.dev; this is what it has"
        return "Trigger.dev does not answer; next times are computed from the schedules, runs are not known"
    if board.mode is Mode.VERCEL:
        return "scheduled by Vercel Cron; next times are computed from the schedules"
    if found.running and found.since:
        return (
            f"local scheduler: running for {short(board.now - found.since)}, pid {found.pid} on {found.host}"
        )
    if found.stopped:
        return (
            f"no scheduler is working: pid {found.pid} on {found.host} is stopped by a signal or a debugger."
            f" Continue it: kill -CONT {found.pid}"
        )
    if found.pid is None:
        return "no scheduler is running. Start it: jobctl run"
    how = f"ended {ago(found.ended, board.now)}" if found.ended else "was killed"
    return (
        f"no scheduler is running (the last one, pid {found.pid} on {found.host}, {how})."
        " Start it: jobctl run"
    )


def detail(
    job: JobStatus,
    *,
    definition: Job | None,
    runs: Sequence[Run],
    totals: JobTotals | None,
    logs: "Usage | None",
    now: datetime,
    zone: "tzinfo",
    look: Look,
) -> Iterator[str]:
    """One job with its exact times, last result and history."""
    origin = f"  ({definition.origin})" if definition else ""
    yield from _painted(look.spread([job.id, f"{job.name}{origin}"], gap=2), job.id, "bold", look)
    state = _field("state", job.status.value + (f"  ({job.note})" if job.note else ""), look)
    yield from _painted(state, job.status.value, STATES.get(job.status), look)
    schedule = f"{job.schedule}  {job.timezone}" if job.schedule else "none, by hand only"
    yield from _field("schedule", schedule, look)
    if job.next_run:
        yield from _field("next", f"{exact(job.next_run, zone)} ({until(job.next_run, now)})", look)
    if runs:
        yield from _last(runs[0], definition, now, zone, look)
        yield from _history(runs, totals, look)
    else:
        yield "last      never"
    if logs is not None and logs.deleted_at is not None:
        yield from _field("logs", logs_words(logs, now), look)


def logs_words(logs: "Usage", now: datetime) -> str:
    """That its logs were more than is kept."""
    size, most = (f"{one / MIB:,.0f}" for one in (logs.size, logs.most))
    return f"{size} of {most} MiB; the oldest were deleted {ago(logs.deleted_at, now)} ({VARIABLE})"


def _painted(lines: list[str], word: str, style: str | None, look: Look) -> Iterator[str]:
    """Measured first, painted then: the word stands in the first line."""
    yield lines[0].replace(word, look.paint(word, style), 1)
    yield from lines[1:]


def _last(run: Run, definition: Job | None, now: datetime, zone: "tzinfo", look: Look) -> Iterator[str]:
    spent = f", took {format_duration(run.duration)}" if run.duration is not None else ""
    attempts = (
        f", attempt {run.attempt} of {definition.retries + 1}" if definition and definition.retries else ""
    )
    when = f"{exact(run.started_at, zone)} ({ago(run.started_at, now)})"
    yield from _field("last", f"{when}{spent}, run {run.short_id}{attempts}", look)
    if run.error:
        yield from _field("error", run.error, look)
    if summary := result_summary(run):
        yield from _field("result", summary, look)


def _history(runs: Sequence[Run], totals: JobTotals | None, look: Look) -> list[str]:
    plain, painted = (" ".join(marks(runs, one)) for one in (look._replace(color=False), look))
    parts = [f"history   {plain}", "newest first", *([_rate(totals)] if totals else [])]
    first, *others = look.spread(filter(None, parts), gap=3, indent=10)
    return [first.replace(plain, painted), *others]


def _rate(totals: JobTotals) -> str:
    if totals.success_rate is None:
        return ""
    return (
        f"{totals.successful_jobs:,} of {totals.total_executions:,} completed ({share(totals.success_rate)})"
    )


def _field(name: str, text: str, look: Look) -> list[str]:
    return look.wrap(f"{name:<10}{text}", indent=10)


def _cells(job: JobStatus, now: datetime) -> list[Cell]:
    running = job.status is Status.RUNNING
    planned = f"- ({job.note})" if job.status is Status.STOPPED and job.note else until(job.next_run, now)
    return [
        Cell(job.id),
        Cell(job.status.value, STATES.get(job.status)),
        Cell(ago(job.last_run, now)),
        Cell("" if running else took(job.duration) if job.last_run else ""),
        Cell("after this run" if running and job.next_run is None else planned),
        Cell((job.schedule or "by hand") + ("" if job.timezone == "UTC" else f"  {job.timezone}"), "dim"),
    ]


def _record(job: JobStatus) -> tuple[str, ...]:
    return (
        job.id,
        job.status.value,
        zulu(job.last_run),
        ms(job.duration),
        zulu(job.next_run),
        one_line(job.error or ""),
    )
