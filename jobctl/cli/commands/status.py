"""``jobctl status [ID|RUN]``: every job as it stands, or one, or one run, in detail."""

import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn, Self

from jobctl.cli.context import Context
from jobctl.cli.options import MOST, argument, option
from jobctl.cli.output import Output, error_document
from jobctl.cli.sources import run_named, told
from jobctl.cli.views.status import (
    Board,
    by_urgency,
    detail,
    logs_words,
    piped,
    screen,
    who_schedules,
)
from jobctl.documents import job_document, logs_document, run_document, scheduler_document
from jobctl.errors import ConfigurationError, ExitCode, ServiceError, UsageError
from jobctl.managers.status import all_statuses, job_statuses, with_next_times
from jobctl.managers.store_outage import ride_out
from jobctl.memory import MIB
from jobctl.model import Job, JobStatus, JobTotals, Run, Status
from jobctl.modes import Mode
from jobctl.scheduler.liveness import Presence, scheduler_presence
from jobctl.store.logs import FOLDER, VARIABLE, Usage, usage

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jobctl.store.records import JobRecord

SCREENFUL = 200
TICK = 1.0
TICK_THERE = 10.0
"""Where each look is a handful of requests to Trigger.dev, which counts them."""


class Options(NamedTuple):
    """What is asked for. ``limit`` None is all in a pipe, a screenful on a terminal."""

    job_id: Annotated[str | None, argument("ID|RUN")] = None
    watch: Annotated[bool, option("status", "--watch")] = False
    failed: Annotated[bool, option("status", "--failed")] = False
    exit_status: Annotated[bool, option("status", "--exit-status")] = False
    limit: Annotated[int | None, option("status", "--limit", min=0, max=MOST)] = None
    no_header: Annotated[bool, option("status", "--no-header")] = False


def run(options: Options, context: Context) -> int:
    """Look and show."""
    context.tolerate_bad_settings()
    if options.job_id is not None:
        if (one := run_named(options.job_id, context)) is not None and not options.watch:
            from jobctl.cli.commands.runs import show_run

            return show_run(one, context, header=not options.no_header)
        context.job(options.job_id)
    if options.watch:
        if options.exit_status:
            raise UsageError(
                "--watch goes on until Ctrl-C, so there is no state to exit by",
                hint="leave --exit-status out",
            )
        return _watch(options, context)
    board = look(options, context)
    if not (context.output.quiet and options.exit_status):
        show(board, options, context)
    if board.trouble is not None:
        return told(board.trouble, context.output)
    return _exit_status(board) if options.exit_status else ExitCode.DONE


def look(options: Options, context: Context) -> Board:
    """Everything at this moment."""
    now = context.now()
    store = context.store_if_any
    if context.mode is Mode.TRIGGER_DEV:
        return _look_there(options, context, now)
    records: Mapping[str, JobRecord] = {}
    if options.job_id is not None:
        record = store.job(options.job_id) if store else None
        records = {record.id: record} if record else {}
    elif store:
        records = store.jobs()
    jobs = all_statuses(_chosen(options, context), records, now, context.mode)
    found = (
        scheduler_presence(store, context.project.state, context.clock) if store else Presence(running=False)
    )
    due = {
        one.id: one.next_run for one in records.values() if one.next_run is not None and one.next_run <= now
    }
    return Board(context.mode, found, jobs, now, due=due)


def _chosen(options: Options, context: Context) -> Sequence[Job]:
    return [context.job(options.job_id)] if options.job_id is not None else context.catalogue.jobs


def _look_there(options: Options, context: Context, now: datetime) -> Board:
    """What Trigger.dev knows; where it does not answer, what follows from the definitions."""
    jobs = _chosen(options, context)
    trouble: ServiceError | None = None
    try:
        found = context.trigger_dev.statuses_of(jobs)
    except ServiceError as error:
        trouble = error
        found = with_next_times(job_statuses(jobs, {}, now), jobs, now)
    return Board(context.mode, Presence(running=False), found, now, trouble)


def _wanted(jobs: Sequence[JobStatus], options: Options) -> Sequence[JobStatus]:
    return [one for one in jobs if one.status is Status.FAILED] if options.failed else jobs


def show(board: Board, options: Options, context: Context) -> None:
    """On the terminal, in a pipe, or as JSON."""
    out = context.output
    if out.json:
        out.document(_document(board, options, context))
    elif not out.is_terminal:
        shown, _ = _page(_wanted(board.jobs, options), options.limit, None)
        out.lines(piped(shown, header=not options.no_header))
        if not board.scheduler.running:
            out.note(who_schedules(board))
        if options.job_id is not None and (logs := _logs(options.job_id, context)) and logs.deleted_at:
            out.note(f"logs of {options.job_id}: {logs_words(logs, board.now)}")
    elif options.job_id is not None:
        out.show(*_detail(board, options, context))
    else:
        shown, hidden = _page(_wanted(by_urgency(board), options), options.limit, SCREENFUL)
        out.show(*screen(board, shown, f"{hidden:,} more: --limit 0" if hidden else "", out.terminal))


def _document(board: Board, options: Options, context: Context) -> dict[str, Any]:
    document: dict[str, Any] = {
        "mode": board.mode.value,
        "scheduler": scheduler_document(board.scheduler),
        "jobs": [job_document(one) for one in _wanted(board.jobs, options)],
    }
    if board.mode is Mode.TRIGGER_DEV:
        document["trigger_dev"] = {
            "answers": board.trouble is None,
            "error": None if board.trouble is None else error_document(board.trouble),
        }
    if options.job_id is not None:
        document["logs"] = logs_document(_logs(options.job_id, context))
        document["runs"] = [run_document(one) for one in _history(board, options.job_id, context)]
    return document


def _logs(job_id: str, context: Context) -> Usage | None:
    """What its logs take on this machine; None where that cannot be said."""
    try:
        return usage(context.project.state / FOLDER, job_id, context.environment.number(VARIABLE) * MIB)
    except (OSError, ConfigurationError):
        return None


def _history(board: Board, job_id: str, context: Context) -> Sequence[Run]:
    """The newest ten runs of a job, from whoever runs it."""
    if board.mode is Mode.TRIGGER_DEV:
        return context.trigger_dev.runs(job_id, limit=10) if board.trouble is None else []
    store = context.store_if_any
    return store.runs(job_id, limit=10) if store else []


def _detail(board: Board, options: Options, context: Context) -> "Iterable[RenderableType]":
    job_id = options.job_id or ""
    jobs = _wanted(board.jobs, options)
    if not jobs:
        return [f"the last run of {job_id} did not fail"]
    runs = list(_history(board, job_id, context))
    totals: Sequence[JobTotals] = ()
    if board.mode is Mode.TRIGGER_DEV:  # a list tells no error there, one run does
        runs = [replace(runs[0], error=jobs[0].error), *runs[1:]] if runs and runs[0].error else runs
    elif (store := context.store_if_any) is not None:
        totals = store.metrics(job_id).jobs
    return detail(
        jobs[0],
        board,
        definition=context.job(job_id),
        runs=runs,
        totals=totals[0] if totals else None,
        logs=_logs(job_id, context),
        terminal=context.output.terminal,
    )


def _page(jobs: Any, limit: int | None, default: int | None) -> tuple[list[JobStatus], int]:
    most = default if limit is None else limit or None
    shown = list(jobs[:most])
    return shown, len(jobs) - len(shown)


def _exit_status(board: Board) -> int:
    if board.mode is Mode.LOCAL and not board.scheduler.running:
        return ExitCode.ALREADY_RUNNING
    return ExitCode.JOB_FAILED if board.failed else ExitCode.DONE


def _watch(options: Options, context: Context) -> int:
    """In place on a terminal; elsewhere, for a screen reader too, a block whenever something has changed."""
    out = context.output
    if out.is_animated and not out.json:
        with Frames(out) as frames:
            for board in _boards(options, context):
                frames.draw(_fitted(board, options, context))
    before: object = None
    for board in _boards(options, context):
        now = (board.scheduler.running, board.scheduler.pid, board.jobs)
        if now != before:
            if before is not None and not out.json:
                out.line()
            if out.json:
                out.record(_document(board, options, context))
            else:
                show(board, options, context)
            out.flush()
        before = now
    return ExitCode.DONE


def _boards(options: Options, context: Context) -> Iterator[Board]:
    """A look each second, for ever."""
    pause = threading.Event()
    while True:
        yield ride_out(lambda: look(options, context), context.clock)
        pause.wait(TICK_THERE if context.mode is Mode.TRIGGER_DEV else TICK)
        ride_out(context.refresh, context.clock)


def _fitted(board: Board, options: Options, context: Context) -> list[str]:
    """As many jobs as the window has lines for; the least urgent ones are left out."""
    out = context.output
    terminal = out.terminal
    if options.job_id is not None:
        return terminal.lines(*_detail(board, options, context))
    shown, _ = _page(_wanted(by_urgency(board), options), options.limit, None)
    room = len(shown)
    lines = terminal.lines(*screen(board, shown, "", terminal))
    while room and (over := len(lines) - out.size[1]) > 0:
        room = max(0, room - max(1, over // 2) - (room == len(shown)))
        left_out = f"{len(shown) - room:,} more in a higher window"
        lines = terminal.lines(*screen(board, shown[:room], left_out, terminal))
    return lines


# the control sequences of xterm (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html)
_BEGIN = "\x1b[?1049h\x1b[?7l"  # another screen, without breaking lines
_END = "\x1b[?7h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


class Frames:
    """The terminal while its block runs. What stood there comes back at the end, the last frame below it."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last: Sequence[str] = ()
        self._before: Any = None

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines instead of those before; what is beyond the window's height is left out."""
        self._last = lines
        # erased first: behind a full line the cursor stands on its last character
        shown = "\n".join(f"{_REST_OF_LINE}{line}" for line in lines[: self._output.size[1]])
        self._output.raw(f"{_HOME}{shown}{_REST_OF_SCREEN}")

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, _end)
        self._output.raw(_BEGIN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.raw(_END)
        self._output.lines(self._last)
        signal.signal(signal.SIGTERM, self._before)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    sys.exit(128 + number)
