"""``jobctl logs [ID|RUN]``: what a run printed, or what all jobs print."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from io import TextIOWrapper
from typing import Annotated, Any, BinaryIO, NamedTuple, TypeVar

import typer

from jobctl.cli.context import Context, find_run
from jobctl.cli.options import MAX_COUNT, JobOrRunId
from jobctl.cli.times import local, zone_names
from jobctl.cli.views.runs import ending
from jobctl.errors import StoreError, UsageError, reason_of
from jobctl.model import Run, RunStatus
from jobctl.store.kept_log import ARRIVES_WITHIN_S, KeptLog, is_elsewhere
from jobctl.store.logs import parsed

_EXECUTED = (RunStatus.RUNNING, RunStatus.COMPLETED, RunStatus.FAILED)
NEWEST = 100
"""The number of runs read, and of lines shown, for all jobs together."""
POLL_S = 0.2
T = TypeVar("T")


def run(
    context: Context,
    job_or_run: JobOrRunId = None,
    *,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Follow the run until it ends, or all jobs until Ctrl-C."),
    ] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only failed runs; with a job, its last failed run.")
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option(
            "--tail",
            metavar="N",
            min=0,
            help="Number of lines from the end.",
            show_default="all of a run, 100 of all jobs",
        ),
    ] = None,
    timestamps: Annotated[
        bool, typer.Option("--timestamps", help="Show when each line was printed.")
    ] = False,
) -> int:
    """Show what a run printed, or what all jobs print.

    Examples:
        jobctl logs --follow
        jobctl logs repository-sync
        jobctl logs repository-sync --failed
        jobctl logs 3f2a91 --tail 20
    """
    context.tolerate_bad_settings()
    if job_or_run is None:
        return _AllLogs(context, failed=failed, timestamps=timestamps).show(tail, follow=follow)
    return _RunLog(context, job_or_run, failed=failed, tail=tail, timestamps=timestamps).show(follow=follow)


class _RunLog:
    """Shows what a run printed: the named run, or the newest run of a job.

    Args:
        failed: the newest failed run of the job.
        tail: number of lines at the end; None for all.
        timestamps: whether each line begins with its time.
    """

    def __init__(
        self, context: Context, job_or_run: str, *, failed: bool, tail: int | None, timestamps: bool
    ) -> None:
        self._context = context
        self._output = context.output
        self._name = job_or_run
        self._failed = failed
        self._tail = None if tail is None else min(tail, MAX_COUNT)
        self._timestamps = timestamps

    def show(self, *, follow: bool) -> int:
        """Show the lines, with ``follow`` until the run has ended."""
        context, out = self._context, self._output
        run = _retried(self._find, context) if follow else self._find()
        if run is None:
            if not follow or self._failed or context.uses_trigger_dev:
                return self._report_no_run()
            run = self._wait_for_first()
        log = _ShownLog(context, run)
        is_kept_there = (
            is_elsewhere(run) and context.environment.text("JOBCTL_LOGS") != "store" and not log.exists()
        )
        if is_kept_there:
            out.note(f"run {run.short_id} was on {run.host}: its log is there")
        if self._timestamps and out.is_terminal and not out.json:
            out.note(f"times are in {zone_names([context.now()])}")
        if follow:
            run = self._follow(run, log)
        elif out.json:
            lines = [{"at": at, "line": text} for at, text in self._last(log.lines())]
            out.document({"run": _run_document(run), "lines": lines})
        else:
            out.lines(self._formatted(self._last(log.lines())))
        if not out.json:
            out.flush()
            if not (is_kept_there or log.exists()):
                out.note(f"run {run.short_id} {_why_empty(run)}")
            if run.status is not RunStatus.RUNNING:
                out.note(ending(run))
        return 0

    def _find(self) -> Run | None:
        context = self._context
        if (found := find_run(self._name, context)) is not None:
            if self._failed:
                raise UsageError("--failed goes with a job, not with a run")
            return found
        store = context.store_if_any
        statuses = (RunStatus.FAILED,) if self._failed else _EXECUTED
        newest = store.runs(self._name, statuses=statuses, limit=1) if store else []
        return newest[0] if newest else None

    def _report_no_run(self) -> int:
        out = self._output
        if out.json:
            out.document({"run": None, "lines": []})
        out.note(f"{self._name} has no {'failed ' if self._failed else ''}run")
        if self._context.uses_trigger_dev:
            out.note("logs of runs at Trigger.dev are in its dashboard")
        return 0

    def _wait_for_first(self) -> Run:
        self._output.note(f"{self._name} has not run yet; waiting for its first run")
        pause = threading.Event()
        while True:
            pause.wait(POLL_S)
            _retried(self._context.refresh, self._context)
            if (found := _retried(self._find, self._context)) is not None:
                return found

    def _follow(self, run: Run, log: "_ShownLog") -> Run:
        out = self._output
        pause = threading.Event()
        position = 0
        is_first = True
        wait_until: float | None = None
        while True:
            try:
                now = _retried(lambda: self._reread(run), self._context)
            except StoreError:
                out.message(f"run {run.short_id} continues, and is no longer followed")
                raise
            has_ended = now.status is not RunStatus.RUNNING
            is_whole = has_ended and _retried(partial(log.is_whole, now.attempt), self._context)
            text, position = _retried(partial(log.read_from, position), self._context)
            lines: Iterable[tuple[str, str]] = [parsed(line) for line in text.split("\n")[:-1]]
            if is_first:
                lines, is_first = self._last(lines), False
            if out.json:
                for at, line in lines:
                    out.record({"at": at, "line": line})
            else:
                out.lines(self._formatted(lines))
            out.flush()
            if has_ended and wait_until is None:
                wait_until = self._context.clock.monotonic() + ARRIVES_WITHIN_S
            if is_whole or (wait_until is not None and self._context.clock.monotonic() > wait_until):
                if out.json:
                    out.record({"run": _run_document(now)})
                return now
            pause.wait(POLL_S)

    def _reread(self, run: Run) -> Run:
        self._context.refresh()
        store = self._context.store_if_any
        return (store.run(run.id) if store else None) or run

    def _last(self, lines: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
        return lines if self._tail is None else deque(lines, maxlen=self._tail)

    def _formatted(self, lines: Iterable[tuple[str, str]]) -> Iterator[str]:
        if not self._timestamps:
            return (text for _, text in lines)
        if not self._output.is_terminal:
            return (f"{at} {text}" for at, text in lines)
        return (f"{_local_time(at, self._context.now())} {text}" for at, text in lines)


class _Line(NamedTuple):
    """A line that a run printed."""

    at: str
    job: str
    run: str
    line: str


class _AllLogs:
    """Shows the newest lines of all jobs in the order of their times.

    Args:
        failed: only of runs that failed.
        timestamps: whether lines in a pipe begin with their times; those on a terminal always do.
    """

    def __init__(self, context: Context, *, failed: bool, timestamps: bool) -> None:
        self._context = context
        self._statuses = (RunStatus.FAILED,) if failed else _EXECUTED
        self._timestamps = timestamps
        self._positions: dict[str, int | None] = {}
        self._wait_until: dict[str, float] = {}

    def show(self, tail: int | None, *, follow: bool) -> int:
        """Show the last lines; with ``follow`` also each new one, until Ctrl-C."""
        context, out = self._context, self._context.output
        lines = _retried(self._read, context) if follow else self._read()
        lines = lines[max(0, len(lines) - (NEWEST if tail is None else tail)) :]
        if out.json and not follow:
            out.document({"lines": [line._asdict() for line in lines]})
            return 0
        if not lines and not out.json:
            out.note("no run has printed anything yet" if follow else "no run has printed anything")
        elif out.is_terminal and not out.json:
            out.note(
                f"times are in {zone_names(datetime.fromisoformat(line.at) for line in lines if line.at)}"
            )
        pause = threading.Event()
        while True:
            out.lines([self._formatted(line) for line in lines], of_json=out.json)
            out.flush()
            if not follow:
                return 0
            pause.wait(POLL_S)
            _retried(context.refresh, context)
            lines = _retried(self._read, context)

    def _read(self) -> list[_Line]:
        """The lines added since the last call, oldest first."""
        store = self._context.store_if_any
        found: list[_Line] = []
        for run in store.runs(statuses=self._statuses, limit=NEWEST) if store else ():
            position = self._positions.get(run.id, 0)
            if position is None:
                continue
            is_last = run.status is not RunStatus.RUNNING and self._is_last(run)
            text, position = _ShownLog(self._context, run).read_from(position)
            self._positions[run.id] = None if is_last else position
            found += [_Line(at, run.job_id, run.id, line) for at, line in map(parsed, text.split("\n")[:-1])]
        return sorted(found, key=lambda line: line.at)

    def _is_last(self, run: Run) -> bool:
        """Whether nothing more of a run that has ended will come."""
        now = self._context.clock.monotonic()
        until = self._wait_until.setdefault(run.id, now + ARRIVES_WITHIN_S)
        return _ShownLog(self._context, run).is_whole(run.attempt) or now > until

    def _formatted(self, line: _Line) -> str:
        out = self._context.output
        if out.json:
            return out.as_json(line._asdict())
        if out.is_terminal:
            time = _local_time(line.at, self._context.now())
            return f"{time} {out.terminal.prefix(line.job)} {out.mask(line.line)}"
        return f"{line.at} [{line.job}] {line.line}" if self._timestamps else f"[{line.job}] {line.line}"


class _ShownLog:
    """The log of a run, which may not exist yet."""

    def __init__(self, context: Context, run: Run) -> None:
        self._context = context
        self._run = run

    def exists(self) -> bool:
        """Whether anything that the run has printed can be read here."""
        file = self._open()
        if file is not None:
            file.close()
        return file is not None

    def read_from(self, position: int) -> tuple[str, int]:
        """The whole lines behind a position in bytes, and where they end."""
        file = self._open()
        if file is None:
            return "", position
        with file:
            file.seek(position)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        return whole.decode("utf-8", "replace"), position + len(whole)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield the time and the text of each line."""
        file = self._open()
        if file is not None:
            with TextIOWrapper(file, "utf-8", "replace", newline="\n") as text:
                for line in text:
                    yield parsed(line.rstrip("\n"))

    def is_whole(self, attempt: int) -> bool:
        """Whether all output of an attempt that has ended is there to read."""
        with self._errors():
            return self._kept().is_whole(attempt)

    def _open(self) -> BinaryIO | None:
        with self._errors():
            return self._kept().open()

    def _kept(self) -> KeptLog:
        return KeptLog(self._context.project.state, self._context.store_if_any, self._run)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"the log of run {self._run.short_id} cannot be read: {reason_of(error)}"
            ) from None


def _why_empty(run: Run) -> str:
    if is_elsewhere(run):
        return f"was on {run.host}, and none of its output is in the run store"
    return "has printed nothing yet" if run.status is RunStatus.RUNNING else "printed nothing"


def _run_document(run: Run) -> dict[str, Any]:
    from jobctl.json_documents import run_document

    return run_document(run)


def _retried(read_store: Callable[[], T], context: Context) -> T:
    """Read from the run store, and try again while its server is unavailable."""
    from jobctl.project import wait_for_store

    return wait_for_store(read_store, context.clock, context.warn_of_store_error)


def _local_time(at: str, now: datetime) -> str:
    """A time of a log in this machine's zone; as many blanks for a line without a time."""
    return local(datetime.fromisoformat(at), now) if at else " " * len(local(now, now))
