"""``jobctl status [ID|RUN]``: the state of every job, or the details of a job or a run."""

import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Self

import typer

from jobctl.cli.context import Context, find_run, report_service_error
from jobctl.cli.options import JobOrRunId, NoHeader
from jobctl.cli.output import Output, error_document
from jobctl.cli.views.status import by_urgency, detail, logs_words, piped, screen
from jobctl.errors import ConfigurationError, ExitCode, ServiceError, UsageError
from jobctl.json_documents import (
    job_document,
    logs_document,
    notification_document,
    run_document,
    scheduler_document,
    settings_document,
)
from jobctl.managers.board import Board, who_schedules
from jobctl.managers.status import all_statuses, job_statuses, with_next_times
from jobctl.memory_limit import MIB
from jobctl.model import JobStatus, JobTotals, Run, SentNotification, Status
from jobctl.modes import Mode
from jobctl.project import wait_for_store
from jobctl.scheduler.liveness import Presence, scheduler_presence
from jobctl.store.logs import FOLDER, LIMIT_VARIABLE, LogUsage, log_usage

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jobctl.model import Job
    from jobctl.store.records import JobRecord

SCREENFUL = 200
POLL_S = 1.0
TRIGGER_DEV_POLL_S = 10.0
"""Each poll is a handful of requests to Trigger.dev, which limits them."""


def run(
    context: Context,
    job_or_run: JobOrRunId = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again whenever it changes, until Ctrl-C.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only jobs whose last run failed.")] = False,
    exit_status: Annotated[
        bool,
        typer.Option(
            "--exit-status", help="Exit 1 if the last run of a job failed, 3 if no scheduler is running."
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=0, help="Number of jobs at most, 0 for all."),
    ] = None,
    no_header: NoHeader = False,
) -> int:
    """Show every job; watch exits with 1 if a job is late.

    Examples:
        jobctl status
        jobctl status repository-sync
        jobctl status --exit-status --quiet
    """
    context.tolerate_bad_settings()
    if job_or_run is not None and (one := find_run(job_or_run, context)) is not None and not watch:
        from jobctl.cli.commands.runs import show_run

        return show_run(one, context, header=not no_header)
    job = context.listed_job(job_or_run) if job_or_run is not None else None
    view = _StatusView(context, job, failed=failed, limit=limit, header=not no_header)
    if watch:
        if exit_status:
            raise UsageError(
                "--watch continues until Ctrl-C, so there is no state to exit by",
                hint="leave --exit-status out",
            )
        view.watch()
    board = view.read()
    if not (context.output.quiet and exit_status):
        view.show(board)
    if board.error is not None:
        return report_service_error(board.error, context.output)
    return _exit_status(board) if exit_status else ExitCode.DONE


def _exit_status(board: Board) -> int:
    if board.mode is Mode.LOCAL and not board.scheduler.running:
        return ExitCode.ALREADY_RUNNING
    return ExitCode.JOB_FAILED if board.failed else ExitCode.DONE


class _StatusView:
    """Reads and shows the state of all jobs, or of a single job.

    Args:
        job: the single job; None for all.
        failed: leave out jobs whose last run did not fail.
        limit: most jobs to show, 0 for all; None is all in a pipe and ``SCREENFUL`` on a terminal.
        header: whether piped rows begin with a header line.
    """

    def __init__(
        self, context: Context, job: "Job | None", *, failed: bool, limit: int | None, header: bool
    ) -> None:
        self._context = context
        self._output = context.output
        self._job = job
        self._job_id = job.id if job is not None else None
        self._failed = failed
        self._limit = limit
        self._header = header

    def read(self) -> Board:
        """The state at this moment."""
        context, job_id, now = self._context, self._job_id, self._context.now()
        jobs = [self._job] if self._job is not None else context.catalogue.jobs
        if context.uses_trigger_dev:
            error = None
            try:
                statuses = context.trigger_dev.statuses_of(jobs)
            except (ServiceError, ConfigurationError) as caught:
                error = caught
                statuses = with_next_times(job_statuses(jobs, {}, now), jobs, now)
            return Board(context.mode, Presence(running=False), statuses, now, error)
        store = context.store_if_any
        records: Mapping[str, JobRecord] = {}
        if store is not None:
            context.fail_lost_runs(store)
        if store is not None and job_id is None:
            records = store.jobs()
        elif store is not None and job_id is not None and (record := store.job(job_id)):
            records = {record.id: record}
        presence = (
            scheduler_presence(store, context.project.state, context.clock)
            if store
            else Presence(running=False)
        )
        due = {
            record.id: record.next_run
            for record in records.values()
            if record.next_run is not None and record.next_run <= now
        }
        return Board(context.mode, presence, all_statuses(jobs, records, now, context.mode), now, due=due)

    def show(self, board: Board) -> None:
        """Show the state once: as JSON, as rows in a pipe, or drawn on a terminal."""
        out = self._output
        if out.json:
            out.document(self._document(board))
        elif not out.is_terminal:
            shown, _ = self._page(board.jobs, None)
            out.lines(piped(shown, header=self._header))
            if not board.scheduler.running:
                out.note(who_schedules(board))
            if self._job_id is not None and (logs := self._logs_usage()) and logs.deleted_at:
                out.note(f"logs of {self._job_id}: {logs_words(logs, board.now)}")
        elif self._job_id is not None:
            out.show(*self._detail(board, self._job_id))
        else:
            shown, hidden = self._page(by_urgency(board), SCREENFUL)
            out.show(*screen(board, shown, f"{hidden:,} more: --limit 0" if hidden else "", out.terminal))

    def watch(self) -> NoReturn:
        """Show the state again and again: in place on a terminal; elsewhere whenever it has changed."""
        out = self._output
        if out.is_animated and not out.json:
            with FullScreen(out) as full_screen:
                for board in self._boards():
                    full_screen.draw(self._fitted(board))
        before: object = None
        for board in self._boards():
            now = (board.scheduler.running, board.scheduler.pid, board.jobs)
            if now != before:
                if before is not None and not out.json:
                    out.line()
                if out.json:
                    out.record(self._document(board))
                else:
                    self.show(board)
                out.flush()
            before = now
        raise AssertionError("the boards never end")

    def _boards(self) -> Iterator[Board]:
        """Yield the state every second, without end."""
        context = self._context
        pause = threading.Event()
        while True:
            yield wait_for_store(self.read, context.clock)
            pause.wait(TRIGGER_DEV_POLL_S if context.uses_trigger_dev else POLL_S)
            wait_for_store(context.refresh, context.clock)

    def _document(self, board: Board) -> dict[str, Any]:
        document: dict[str, Any] = {
            "mode": board.mode.value,
            "scheduler": scheduler_document(board.scheduler),
            "jobs": [job_document(job) for job in self._wanted(board.jobs)],
        }
        if board.mode is Mode.TRIGGER_DEV:
            document["trigger_dev"] = {
                "answers": board.error is None,
                "error": None if board.error is None else error_document(board.error),
            }
        if self._job is not None and self._job_id is not None:
            is_defined = self._job_id in self._context.catalogue.ids()
            mask = self._context.environment.mask
            document["settings"] = settings_document(self._job, mask) if is_defined else {}
            document["logs"] = logs_document(self._logs_usage())
            document["runs"] = [run_document(run) for run in self._history(board, self._job_id)]
            sent = self._notifications(self._job_id)
            document["notifications"] = [notification_document(one) for one in sent]
        return document

    def _logs_usage(self) -> LogUsage | None:
        """Disk space of the job's logs on this machine; None where it cannot be read."""
        context = self._context
        try:
            return log_usage(
                context.project.state / FOLDER,
                self._job_id or "",
                context.environment.number(LIMIT_VARIABLE) * MIB,
            )
        except (OSError, ConfigurationError):
            return None

    def _history(self, board: Board, job_id: str) -> Sequence[Run]:
        """The newest ten runs of a job."""
        if board.mode is Mode.TRIGGER_DEV:
            return self._context.trigger_dev.runs(job_id, limit=10) if board.error is None else []
        store = self._context.store_if_any
        return store.runs(job_id, limit=10) if store else []

    def _notifications(self, job_id: str) -> Sequence[SentNotification]:
        """The newest ten notifications about a job that jobctl sent."""
        store = self._context.store_if_any
        return store.notifications(job_id) if store else []

    def _detail(self, board: Board, job_id: str) -> "Iterable[RenderableType]":
        jobs = self._wanted(board.jobs)
        if not jobs:
            return [f"the last run of {job_id} did not fail"]
        runs = list(self._history(board, job_id))
        totals: Sequence[JobTotals] = ()
        if board.mode is Mode.TRIGGER_DEV:  # its list of runs has no errors, a single run has
            runs = [replace(runs[0], error=jobs[0].error), *runs[1:]] if runs and runs[0].error else runs
        elif (store := self._context.store_if_any) is not None:
            totals = store.metrics(job_id).jobs
        return detail(
            jobs[0],
            board,
            definition=self._job,
            runs=runs,
            totals=totals[0] if totals else None,
            logs=self._logs_usage(),
            notification=next(iter(self._notifications(job_id)), None),
            terminal=self._output.terminal,
        )

    def _wanted(self, jobs: Sequence[JobStatus]) -> Sequence[JobStatus]:
        return [job for job in jobs if job.status is Status.FAILED] if self._failed else jobs

    def _page(self, jobs: Sequence[JobStatus], default: int | None) -> tuple[Sequence[JobStatus], int]:
        """The jobs to show, and how many are left out."""
        wanted = self._wanted(jobs)
        shown = wanted[: default if self._limit is None else self._limit or None]
        return shown, len(wanted) - len(shown)

    def _fitted(self, board: Board) -> list[str]:
        """As many jobs as fit into the window. The least urgent are left out."""
        terminal = self._output.terminal
        if self._job_id is not None:
            return terminal.lines(*self._detail(board, self._job_id))
        shown, _ = self._page(by_urgency(board), None)
        room = len(shown)
        lines = terminal.lines(*screen(board, shown, "", terminal))
        while room and (over := len(lines) - self._output.size[1]) > 0:
            room = max(0, room - max(1, over // 2) - (room == len(shown)))
            left_out = f"{len(shown) - room:,} more in a higher window"
            lines = terminal.lines(*screen(board, shown[:room], left_out, terminal))
        return lines


# the control sequences of xterm (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html)
_BEGIN = "\x1b[?1049h\x1b[?7l"  # another screen, without breaking lines
_END = "\x1b[?7h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


class FullScreen:
    """Draws on the whole terminal while the block runs; then restores its content and prints the last lines."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last: Sequence[str] = ()
        self._before: Any = None

    def draw(self, lines: Sequence[str]) -> None:
        """Replace the lines on the screen. Lines beyond its height are left out."""
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
