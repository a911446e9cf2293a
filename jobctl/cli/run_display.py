"""Shows the events of `run`: plain lines, JSON Lines, or a log above a live table."""

import io
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from jobctl import thread_start
from jobctl.cli.context import Context
from jobctl.cli.error_output import discard_output
from jobctl.cli.output import LAST_S
from jobctl.cli.terminal import Column, Terminal
from jobctl.cli.times import share, took
from jobctl.cli.views.events import document, job_of, level, log_line, terminal_line
from jobctl.cli.views.status import state_of
from jobctl.durations import ago, short, until
from jobctl.errors import JobctlError
from jobctl.events import Event, LinesNotShown, RunFinished, RunOutput, RunProgressed, RunStarted
from jobctl.model import JobStatus, RunStatus, Status, rate
from jobctl.text import counted

if TYPE_CHECKING:
    from rich.console import Console, Group, OverflowMethod, RenderableType

LINES = 50_000
TEXT = 8 * 1024 * 1024
EVENTS = 10_000


class Published(NamedTuple):
    """An event with its time and its number."""

    number: int
    at: datetime
    event: Event


class Backlog:
    """A bounded queue of events that are not shown yet. When it is full the oldest are dropped and counted.

    Printed lines, ordinary events, and warnings and errors have separate limits, so that many lines never drop a
    failure.

    Args:
        lines: the most printed lines.
        text: the most characters in them.
        events: the most ordinary events, and the most warnings and errors.
    """

    def __init__(self, lines: int = LINES, text: int = TEXT, events: int = EVENTS) -> None:
        self._output: deque[Published] = deque()
        self._routine: deque[Published] = deque()
        self._serious: deque[Published] = deque()
        self._most_lines, self._most_text, self._most_events = lines, text, events
        self._text = 0
        self._number = 0
        self._lines_dropped: Counter[str] = Counter()
        self._events_dropped = 0
        self._lock = threading.Lock()
        self._has_events = threading.Event()

    def put(self, event: Event, at: datetime) -> None:
        """Add an event. Called from any thread; never blocks."""
        with self._lock:
            self._number += 1
            published = Published(self._number, at, event)
            if isinstance(event, RunOutput):
                self._put_line(published, event)
            else:
                queue = self._routine if level(event) is None else self._serious
                queue.append(published)
                if len(queue) > self._most_events:
                    queue.popleft()
                    self._events_dropped += 1
        if not self._has_events.is_set():
            self._has_events.set()

    def _put_line(self, published: Published, event: RunOutput) -> None:
        self._output.append(published)
        self._text += len(event.line)
        while len(self._output) > self._most_lines or (
            self._text > self._most_text and len(self._output) > 1
        ):
            dropped = self._output.popleft().event
            if isinstance(dropped, RunOutput):
                self._text -= len(dropped.line)
                self._lines_dropped[dropped.job_id] += 1

    def wait(self) -> None:
        """Block until there is an event, or ``wake`` is called."""
        self._has_events.wait()

    def wake(self) -> None:
        """Make ``wait`` return."""
        self._has_events.set()

    def take(self, now: datetime, most: int | None = None) -> list[Published]:
        """Remove and return at most ``most`` events, oldest first. An event about dropped events comes first."""
        with self._lock:
            taken = self._dropped(now)
            queues = (self._output, self._routine, self._serious)
            oldest = list(islice(merge(*queues), most))
            for queue in queues:
                while queue and oldest and queue[0].number <= oldest[-1].number:
                    queue.popleft()
            self._text -= sum(len(item.event.line) for item in oldest if isinstance(item.event, RunOutput))
            if not any(queues):
                self._has_events.clear()
            return [*taken, *oldest]

    def _dropped(self, now: datetime) -> list[Published]:
        found: list[Event] = []
        if self._lines_dropped:
            job = next(iter(self._lines_dropped)) if len(self._lines_dropped) == 1 else None
            found.append(LinesNotShown(now, job, self._lines_dropped.total(), is_output=True))
        if self._events_dropped:
            found.append(LinesNotShown(now, None, self._events_dropped, is_output=False))
        self._lines_dropped.clear()
        self._events_dropped = 0
        return [Published(0, now, event) for event in found]


@dataclass(slots=True)
class Tally:
    """Counts of runs that ended since the start."""

    completed: int = 0
    failed: int = 0

    def take(self, event: Event) -> None:
        """Count it."""
        if isinstance(event, RunFinished):
            self.completed += event.run.status is RunStatus.COMPLETED
            self.failed += event.run.status is RunStatus.FAILED


def by_importance(statuses: Sequence[JobStatus], now: datetime) -> list[JobStatus]:
    """The jobs of the live table: running, then failed, then those due next."""
    running = [job for job in statuses if job.status is Status.RUNNING]
    failed = [job for job in statuses if job.status is Status.FAILED]
    taken = {job.id for job in (*running, *failed)}
    due = [job for job in statuses if job.next_run is not None and job.id not in taken]
    due.sort(key=lambda one: one.next_run or now)
    return [*running, *failed, *due]


def panel(
    statuses: Sequence[JobStatus], tally: Tally, now: datetime, terminal: Terminal, height: int
) -> "Group":
    """The live table, at most a third of the terminal's height."""
    from rich.console import Group
    from rich.rule import Rule
    from rich.text import Text

    parts: list[RenderableType] = [Rule(characters="─" if terminal.unicode else "-", style="dim")]
    jobs = by_importance(statuses, now)
    shown = jobs[: max(1, height // 3 - 4)]
    if shown:
        columns = [*map(Column, ("JOB", "STATE", "LAST", "NEXT")), Column("TOOK", right=True)]
        parts.append(terminal.table(columns, [_row(job, now, terminal) for job in shown]))
    left_out = f" ({len(jobs) - len(shown):,} not shown)" if len(jobs) > len(shown) else ""
    running = sum(job.status is Status.RUNNING for job in statuses)
    ended = tally.completed + tally.failed
    counts = (
        f"{counted(len(statuses), 'job')}{left_out}, {running:,} running"
        f"      since start: {counted(ended, 'run')}, {share(rate(tally.completed, ended))} completed"
    )
    overflow: OverflowMethod = "ellipsis" if terminal.unicode else "crop"
    parts.append(Text(counts, style="dim", no_wrap=True, overflow=overflow))
    return Group(*parts)


def _row(job: JobStatus, now: datetime, terminal: Terminal) -> list[Any]:
    running = job.status is Status.RUNNING
    spent = short(now - job.last_run) if running and job.last_run else took(job.duration)
    return [
        job.id,
        state_of(job, now, terminal),
        "now" if running else ago(job.last_run, now),
        until(job.next_run, now),
        spent,
    ]


FRAMES = 4
_GATHER_S = 0.02
_SWITCH_S = 0.0005  # the loop waits no longer than this for a thread that draws
_BATCH = 500
_LINES_LIVE = 300


class Reporter:
    """A subscriber that shows each event as a line.

    Args:
        routine: also show ordinary starts and successes.
        as_json: JSON Lines instead of text.

    Attributes:
        stuck: whether the output was not read in time at the end.
    """

    def __init__(self, context: Context, *, routine: bool, as_json: bool) -> None:
        self.tally = Tally()
        self.stuck = False
        self._context = context
        self._out = context.output.for_thread()
        self._routine = routine
        self._json = as_json
        self._failing: set[str] = set()
        self._lock = threading.Lock()
        self._mute = False
        self._backlog = Backlog()
        self._closing = threading.Event()

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show events while the block runs, including earlier events."""
        thread = threading.Thread(target=self._main, name="jobctl-reporter", daemon=True)
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        thread_start.start(thread)
        try:
            yield
        finally:
            sys.setswitchinterval(before)
            self._closing.set()
            self._backlog.wake()
            thread.join(LAST_S)
            self.stuck = thread.is_alive()

    def __call__(self, event: Event) -> None:
        """Count the event and queue it to be shown. Called from any thread; never raises or blocks."""
        if isinstance(event, RunProgressed):  # the live table reads it with the states of the jobs
            return
        with self._lock:
            self.tally.take(event)
            shown = self._is_shown(event)
        if shown and not self._mute:
            self._backlog.put(event, self._context.now())

    def _is_shown(self, event: Event) -> bool:
        if isinstance(event, RunFinished):
            job = event.run.job_id
            recovered = event.run.status is RunStatus.COMPLETED and job in self._failing
            if event.run.status is RunStatus.FAILED:
                self._failing.add(job)
            elif recovered:
                self._failing.discard(job)
            return self._routine or recovered or level(event) is not None
        if self._context.output.quiet:
            return level(event) is not None
        return self._routine or not isinstance(event, RunStarted)

    def _main(self) -> None:
        try:
            self._show()
        except Exception as error:  # the log's reader or disk is gone: jobs go on without it
            self._mute = True
            if not self._closing.is_set():
                discard_output()
                reason = getattr(error.__cause__ or error, "strerror", None) or type(error).__name__
                self._out.warn(f"events can no longer be shown ({reason}); jobs go on")

    def _show(self) -> None:
        closing = False
        while not closing:
            self._backlog.wait()
            closing = self._closing.wait(_GATHER_S)  # lines that come together are written together
            while taken := self._backlog.take(self._context.now(), _BATCH):
                self._out.lines(map(self._line, taken), of_json=self._json)
                self._out.flush()

    def _line(self, published: Published) -> str:
        _, at, event = published
        if self._json:
            return self._out.as_json(document(event, at))
        if self._out.is_terminal:
            return self._terminal_line(event, at)
        return log_line(event, at)

    def _terminal_line(self, event: Event, at: datetime) -> str:
        """The line with the job's name in its colour and the sentence in the colour of its state."""
        terminal, text = self._out.terminal, self._out.mask(terminal_line(event, at))
        job, style = job_of(event), _style(event)
        if not (terminal.color and job):
            return terminal.paint(text, style)
        time, _, rest = text.partition(f"[{job}]")
        return f"{time}{terminal.prefix(job)}{terminal.paint(rest, style)}"


class LiveReporter(Reporter):
    """The same lines above a live table at the bottom of the terminal, drawn ``FRAMES`` times per second.

    Args:
        statuses: reads the status of every job; called about once per second, less often if it is slow.
    """

    def __init__(
        self, context: Context, *, routine: bool, statuses: Callable[[], Sequence[JobStatus]]
    ) -> None:
        super().__init__(context, routine=routine, as_json=False)
        self._backlog = Backlog(lines=_LINES_LIVE)
        self._statuses = statuses
        self._seen: Sequence[JobStatus] = ()
        self._next_read = 0.0

    def _show(self) -> None:
        from rich.live import Live

        frame = io.StringIO()
        console = self._context.output.terminal.animated(frame)
        live = Live(
            get_renderable=self._panel,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()  # which hides the cursor
        console.show_cursor()  # Ctrl-Z must not leave the shell without one
        live.refresh()
        try:
            closing = False
            while not closing:
                self._write(frame)
                closing = self._closing.wait(1 / FRAMES)
                self._draw(console)
                live.refresh()
        finally:
            live.stop()
            self._write(frame)

    def _draw(self, console: "Console") -> None:
        """Draw all lines since the last frame at once, which is cheaper."""
        from rich.segment import Segment, Segments

        now = self._context.now()
        lines = []
        for _, at, event in self._backlog.take(now):
            if not isinstance(event, RunOutput):
                self._next_read = 0.0
            lines.append(f"{self._terminal_line(event, at)}\n")
        if lines:
            console.print(Segments([Segment("".join(lines))]), soft_wrap=True, end="")

    def _write(self, frame: io.StringIO) -> None:
        """Write what was drawn. Only this may block on the terminal."""
        self._out.raw(frame.getvalue())
        frame.seek(0)
        frame.truncate()

    def _panel(self) -> "RenderableType":
        clock = self._context.clock
        begun = clock.monotonic()
        if begun >= self._next_read:
            with suppress(JobctlError):  # while the store is unavailable, the last status is shown
                self._seen = self._statuses()
            spent = clock.monotonic() - begun
            self._next_read = begun + max(1.0, 20 * spent)
        out = self._context.output
        return panel(self._seen, self.tally, self._context.now(), out.terminal, out.size[1])


def _style(event: Event) -> str:
    if isinstance(event, RunFinished) and event.run.status is RunStatus.COMPLETED:
        return "green"
    return {"error": "red", "warning": "yellow"}.get(level(event) or "", "")
