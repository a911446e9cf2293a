"""``jobctl logs ID-or-RUN``: what a run printed."""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple, TypeVar

from jobctl.cli.context import Context
from jobctl.cli.options import MOST, argument, option
from jobctl.cli.sources import run_named
from jobctl.cli.views.runs import ending
from jobctl.documents import run_document
from jobctl.errors import StoreError, UsageError, reason_of
from jobctl.managers.ride_out import ride_out
from jobctl.model import Run, RunStatus
from jobctl.modes import Mode
from jobctl.runs.logs import FOLDER, read
from jobctl.text import printable

_LINE = re.compile(r"([0-9T:.-]+Z) \[[^\]]*\] ?(.*)", re.DOTALL)
_EXECUTED = (RunStatus.RUNNING, RunStatus.COMPLETED, RunStatus.FAILED)
TICK = 0.2
T = TypeVar("T")


class Options(NamedTuple):
    """Which run, and which part of its log."""

    what: Annotated[str | None, argument("ID|RUN")] = None
    follow: Annotated[bool, option("logs", "--follow")] = False
    failed: Annotated[bool, option("logs", "--failed")] = False
    tail: Annotated[int | None, option("logs", "--tail", min=0, max=MOST)] = None
    timestamps: Annotated[bool, option("logs", "--timestamps")] = False


def run(options: Options, context: Context) -> int:
    """Find the run and show its lines."""
    context.look_despite_faults()
    found = (
        _waited_for(lambda: _find(options, context), context) if options.follow else _find(options, context)
    )
    out = context.output
    if found is None:
        if not options.follow or options.failed or context.mode is Mode.TRIGGER_DEV:
            return _no_run(options, context)
        found = _first(options, context)
    log = _Log(context.state_folder() / FOLDER, found)
    elsewhere = _is_elsewhere(found) and not log.exists()
    if elsewhere:
        out.note(f"run {found.short_id} was on {found.host}: what it printed is there")
    if options.follow:
        found = _follow(found, log, options, context)
    else:
        lines = _tail(log.lines(), options.tail)
        if out.json:
            shown = [{"at": at, "line": text} for at, text in lines]
            out.document({"run": run_document(found), "lines": shown})
        else:
            out.lines(_shown(lines, timestamps=options.timestamps))
    if not out.json:
        out.flush()
        if not (elsewhere or log.exists()):
            yet = "has printed nothing yet" if found.status is RunStatus.RUNNING else "printed nothing"
            out.note(f"run {found.short_id} {yet}")
        if found.status is not RunStatus.RUNNING:
            out.note(ending(found))
    return 0


def _no_run(options: Options, context: Context) -> int:
    out = context.output
    if out.json:
        out.document({"run": None, "lines": []})
    out.note(f"{options.what} has no {'failed ' if options.failed else ''}run")
    if context.mode is Mode.TRIGGER_DEV:
        out.note("of runs at Trigger.dev, what they printed is in its dashboard")
    return 0


def _is_elsewhere(run: Run) -> bool:
    from socket import gethostname

    return run.host not in {None, gethostname()}


def _first(options: Options, context: Context) -> Run:
    """The first run of a job, once it has begun."""
    context.output.note(f"{options.what} has not run yet; waiting for its first run")
    pause = threading.Event()
    while True:
        pause.wait(TICK)
        found = _waited_for(lambda: _find_again(options, context), context)
        if found is not None:
            return found


def _find_again(options: Options, context: Context) -> Run | None:
    context.look_again()
    return _find(options, context)


def _again(found: Run, context: Context) -> Run:
    """The run as it stands now."""
    context.look_again()
    store = context.store_if_any
    return (store.run(found.id) if store else None) or found


def _waited_for(read: Callable[[], T], context: Context) -> T:
    """What is read from the run store, also where its server is away for a while."""
    return ride_out(read, context.clock, context.store_trouble)


def _find(options: Options, context: Context) -> Run | None:
    what = options.what
    if what is None:
        raise UsageError("logs needs a job or a run", hint="what ran: jobctl runs")
    if (found := run_named(what, context)) is not None:
        if options.failed:
            raise UsageError("--failed goes with a job, not with a run")
        return found
    store = context.store_if_any
    statuses = (RunStatus.FAILED,) if options.failed else _EXECUTED
    newest = store.runs(what, statuses=statuses, limit=1) if store else []
    return newest[0] if newest else None


def _follow(found: Run, log: "_Log", options: Options, context: Context) -> Run:
    out = context.output
    pause = threading.Event()
    place = 0
    first = True
    while True:
        try:
            now = _waited_for(lambda: _again(found, context), context)
        except StoreError:
            out.message(f"run {found.short_id} goes on, and is no longer followed")
            raise
        text, place = log.added(place)
        lines = [_parsed(one) for one in text.split("\n")[:-1]]
        if first:
            lines, first = _tail(lines, options.tail), False
        if out.json:
            for at, line in lines:
                out.record({"at": at, "line": line})
        else:
            out.lines(_shown(lines, timestamps=options.timestamps))
        out.flush()
        if now.status is not RunStatus.RUNNING:
            if out.json:
                out.record({"run": run_document(now)})
            return now
        pause.wait(TICK)


class _Log:
    """The log of a run, whether it has been made or not."""

    def __init__(self, logs: Path, run: Run) -> None:
        self._logs = logs
        self._run = run

    def exists(self) -> bool:
        """Whether there is one."""
        file = self._open()
        if file is not None:
            file.close()
        return file is not None

    def added(self, place: int) -> tuple[str, int]:
        """The whole lines that were added behind ``place``, and where they end."""
        file = self._open()
        if file is None:
            return "", place
        with file:
            file.seek(place)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        return whole.decode("utf-8", "replace"), place + len(whole)

    def lines(self) -> Iterator[tuple[str, str]]:
        """All of it: time and text of each line."""
        file = self._open()
        if file is not None:
            with TextIOWrapper(file, "utf-8", "replace", newline="\n") as text:
                for line in text:
                    yield _parsed(line.rstrip("\n"))

    def _open(self) -> BinaryIO | None:
        try:
            return read(self._logs, self._run.job_id, self._run.id)
        except OSError as error:
            raise StoreError(
                f"the log of run {self._run.short_id} cannot be read: {reason_of(error)}"
            ) from None


def _parsed(line: str) -> tuple[str, str]:
    found = _LINE.match(line)
    at, text = (found[1], found[2]) if found else ("", line)
    return at, printable(text)


def _tail(lines: Iterable[tuple[str, str]], most: int | None) -> list[tuple[str, str]]:
    return list(lines if most is None else deque(lines, maxlen=most))


def _shown(lines: Iterable[tuple[str, str]], *, timestamps: bool) -> Iterator[str]:
    return (f"{at} {text}" if timestamps else text for at, text in lines)
