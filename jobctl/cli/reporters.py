"""What ``run`` shows of events: plain lines, JSON Lines, or a log above a live table.

The scheduler's loop publishes events, and never waits for a terminal or a pipe: here they go into a bounded
queue, and a thread of this module shows them.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from jobctl import threads
from jobctl.cli.backlog import Backlog, Published
from jobctl.cli.context import Context
from jobctl.cli.failures import forsake_output
from jobctl.cli.views.events import document, job_of, level, log_line, terminal_line
from jobctl.cli.views.live import Tally, panel
from jobctl.errors import JobctlError
from jobctl.events import Event, RunFinished, RunOutput, RunStarted
from jobctl.model import JobStatus, RunStatus

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

FRAMES = 4
LAST_S = 3.0
"""How long the end waits for a slow reader to take what was not shown yet, in seconds."""
_GATHER_S = 0.02
_SWITCH_S = 0.0005  # the loop waits no longer than this for a thread that draws
_BATCH = 500
_LINES_LIVE = 300


class Reporter:
    """A listener that shows each event as a line.

    Args:
        routine: whether ordinary starts and successes are shown too.
        as_json: JSON Lines instead of text.

    Attributes:
        stuck: whether the reader did not take everything in time at the end.
    """

    def __init__(self, context: Context, *, routine: bool, as_json: bool) -> None:
        self.tally = Tally()
        self.stuck = False
        self._context = context
        self._out = context.output.for_thread()
        self._routine = routine
        self._json = as_json
        self._troubled: set[str] = set()
        self._lock = threading.Lock()
        self._mute = False
        self._backlog = Backlog()
        self._closing = threading.Event()

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show events as long as this is entered, and what came before."""
        thread = threading.Thread(target=self._main, name="jobctl-reporter", daemon=True)
        before = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        threads.start(thread)
        try:
            yield
        finally:
            sys.setswitchinterval(before)
            self._closing.set()
            self._backlog.wake()
            thread.join(LAST_S)
            self.stuck = thread.is_alive()

    def __call__(self, event: Event) -> None:
        """Count it, and have it shown where it is worth a line. From any thread; never raises or waits."""
        with self._lock:
            self.tally.take(event)
            shown = self._is_shown(event)
        if shown and not self._mute:
            self._backlog.put(event, self._context.now())

    def _is_shown(self, event: Event) -> bool:
        if isinstance(event, RunFinished):
            job = event.run.job_id
            recovered = event.run.status is RunStatus.COMPLETED and job in self._troubled
            if event.run.status is RunStatus.FAILED:
                self._troubled.add(job)
            elif recovered:
                self._troubled.discard(job)
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
                forsake_output()
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
        """The job in its own colour, what happened in that of its state."""
        terminal, text = self._out.terminal, self._out.mask(terminal_line(event, at))
        job, style = job_of(event), _style(event)
        if not (terminal.color and job):
            return terminal.paint(text, style)
        time, _, rest = text.partition(f"[{job}]")
        return f"{time}{terminal.prefix(job)}{terminal.paint(rest, style)}"


class LiveReporter(Reporter):
    """The same lines above a table that stays at the foot of the terminal. Both are drawn once a frame.

    Args:
        statuses: looks at every job; asked about once a second, less often where it is slow.
    """

    def __init__(
        self, context: Context, *, routine: bool, statuses: Callable[[], Sequence[JobStatus]]
    ) -> None:
        super().__init__(context, routine=routine, as_json=False)
        self._backlog = Backlog(lines=_LINES_LIVE)
        self._statuses = statuses
        self._seen: Sequence[JobStatus] = ()
        self._look_at = 0.0

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
        """All lines that came since the last frame, at once: their cost is that of one."""
        from rich.segment import Segment, Segments

        now = self._context.now()
        lines = []
        for _, at, event in self._backlog.take(now):
            if not isinstance(event, RunOutput):
                self._look_at = 0.0
            lines.append(f"{self._terminal_line(event, at)}\n")
        if lines:
            console.print(Segments([Segment("".join(lines))]), soft_wrap=True, end="")

    def _write(self, frame: io.StringIO) -> None:
        """Hand over what was drawn. Only this waits for the terminal."""
        self._out.raw(frame.getvalue())
        frame.seek(0)
        frame.truncate()

    def _panel(self) -> "RenderableType":
        clock = self._context.clock
        begun = clock.monotonic()
        if begun >= self._look_at:
            with suppress(JobctlError):  # the store is away for now: the last look is shown
                self._seen = self._statuses()
            spent = clock.monotonic() - begun
            self._look_at = begun + max(1.0, 20 * spent)
        out = self._context.output
        return panel(self._seen, self.tally, self._context.now(), out.terminal, out.size[1])


def _style(event: Event) -> str:
    if isinstance(event, RunFinished) and event.run.status is RunStatus.COMPLETED:
        return "green"
    return {"error": "red", "warning": "yellow"}.get(level(event) or "", "")
