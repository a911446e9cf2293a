"""``jobctl logs [ID|RUN]``: what a run printed, or what all jobs print."""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple, TypeVar

from jobctl.cli.context import Context
from jobctl.cli.options import MOST, argument, option
from jobctl.cli.sources import run_named
from jobctl.cli.times import local, zone_names
from jobctl.cli.views.runs import ending
from jobctl.documents import run_document
from jobctl.errors import StoreError, UsageError, reason_of
from jobctl.managers.store_outage import ride_out
from jobctl.model import Run, RunStatus
from jobctl.modes import Mode
from jobctl.store.logs import FOLDER, read
from jobctl.text import printable

_LINE = re.compile(r"([0-9T:.-]+Z) \[[^\]]*\] ?(.*)", re.DOTALL)
_EXECUTED = (RunStatus.RUNNING, RunStatus.COMPLETED, RunStatus.FAILED)
_NEWEST = 100
"""So many runs are read, and lines shown, where all jobs' are."""
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
    context.tolerate_bad_settings()
    if options.what is None:
        return _all(options, context)
    found = (
        _waited_for(lambda: _find(options, context), context) if options.follow else _find(options, context)
    )
    out = context.output
    if found is None:
        if not options.follow or options.failed or context.mode is Mode.TRIGGER_DEV:
            return _no_run(options, context)
        found = _first(options, context)
    log = _Log(context.project.state / FOLDER, found)
    elsewhere = _is_elsewhere(found) and not log.exists()
    if elsewhere:
        out.note(f"run {found.short_id} was on {found.host}: what it printed is there")
    _name_zone(options, context)
    if options.follow:
        found = _follow(found, log, options, context)
    else:
        lines = _tail(log.lines(), options.tail)
        if out.json:
            shown = [{"at": at, "line": text} for at, text in lines]
            out.document({"run": run_document(found), "lines": shown})
        else:
            out.lines(_shown(lines, options, context))
    if not out.json:
        out.flush()
        if not (elsewhere or log.exists()):
            yet = "has printed nothing yet" if found.status is RunStatus.RUNNING else "printed nothing"
            out.note(f"run {found.short_id} {yet}")
        if found.status is not RunStatus.RUNNING:
            out.note(ending(found))
    return 0


def _all(options: Options, context: Context) -> int:
    """The newest lines of all jobs in the order of their times; then, with ``--follow``, each new one."""
    out = context.output
    reader = _Reader(options, context)
    lines = _waited_for(reader.added, context) if options.follow else reader.added()
    lines = lines[max(0, len(lines) - (_NEWEST if options.tail is None else options.tail)) :]
    if out.json and not options.follow:
        out.document({"lines": [one._asdict() for one in lines]})
        return 0
    if not lines and not out.json:
        out.note("no run has printed anything yet" if options.follow else "no run has printed anything")
    elif out.is_terminal and not out.json:
        out.note(f"times are in {zone_names(datetime.fromisoformat(one.at) for one in lines if one.at)}")
    pause = threading.Event()
    while True:
        out.lines([reader.shown(one) for one in lines], of_json=out.json)
        out.flush()
        if not options.follow:
            return 0
        pause.wait(TICK)
        _waited_for(context.refresh, context)
        lines = _waited_for(reader.added, context)


class _Line(NamedTuple):
    """A line that a run printed."""

    at: str
    job: str
    run: str
    line: str


class _Reader:
    """Reads on in the logs of the newest runs."""

    def __init__(self, options: Options, context: Context) -> None:
        self._options = options
        self._context = context
        self._places: dict[str, int | None] = {}

    def added(self) -> list[_Line]:
        """What was printed since the last call, oldest first."""
        context = self._context
        store = context.store_if_any
        statuses = (RunStatus.FAILED,) if self._options.failed else _EXECUTED
        found: list[_Line] = []
        for run in store.runs(statuses=statuses, limit=_NEWEST) if store else ():
            place = self._places.get(run.id, 0)
            if place is None:
                continue
            text, place = _Log(context.project.state / FOLDER, run).added(place)
            self._places[run.id] = place if run.status is RunStatus.RUNNING else None
            found += [_Line(at, run.job_id, run.id, line) for at, line in map(_parsed, text.split("\n")[:-1])]
        return sorted(found, key=lambda one: one.at)

    def shown(self, one: _Line) -> str:
        """As a line for a person, or as JSON."""
        out = self._context.output
        if out.json:
            return out.as_json(one._asdict())
        if not out.is_terminal:
            return (
                f"{one.at} [{one.job}] {one.line}" if self._options.timestamps else f"[{one.job}] {one.line}"
            )
        return f"{_local(one.at, self._context.now())} {out.terminal.prefix(one.job)} {out.mask(one.line)}"


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
    context.refresh()
    return _find(options, context)


def _again(found: Run, context: Context) -> Run:
    """The run as it stands now."""
    context.refresh()
    store = context.store_if_any
    return (store.run(found.id) if store else None) or found


def _waited_for(read: Callable[[], T], context: Context) -> T:
    """What is read from the run store, also where its server is away for a while."""
    return ride_out(read, context.clock, context.warn_of_store_error)


def _find(options: Options, context: Context) -> Run | None:
    what = options.what or ""
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
            out.lines(_shown(lines, options, context))
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


def _shown(lines: Iterable[tuple[str, str]], options: Options, context: Context) -> Iterator[str]:
    if not options.timestamps:
        return (text for _, text in lines)
    if not context.output.is_terminal:
        return (f"{at} {text}" for at, text in lines)
    return (f"{_local(at, context.now())} {text}" for at, text in lines)


def _name_zone(options: Options, context: Context) -> None:
    out = context.output
    if options.timestamps and out.is_terminal and not out.json:
        out.note(f"times are in {zone_names([context.now()])}")


def _local(at: str, now: datetime) -> str:
    """A time of a log as people read it; a line without one has none."""
    return local(datetime.fromisoformat(at), now) if at else " " * len(local(now, now))
