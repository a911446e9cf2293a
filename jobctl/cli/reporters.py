"""What ``run`` shows of events: plain lines, JSON Lines, or a log above a live table."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobctl.cli.context import Context
from jobctl.cli.failures import forsake_output
from jobctl.cli.views.events import document, level, log_line, terminal_line
from jobctl.cli.views.live import Tally, panel
from jobctl.events import Event, RunFinished, RunOutput, RunStarted
from jobctl.model import JobStatus, RunStatus

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

FRAMES = 4


class Reporter:
    """A listener that shows each event as a line.

    Args:
        routine: whether ordinary starts and successes are shown too.
        as_json: JSON Lines instead of text.
    """

    def __init__(self, context: Context, *, routine: bool, as_json: bool) -> None:
        self.tally = Tally()
        self._context = context
        self._routine = routine
        self._json = as_json
        self._troubled: set[str] = set()
        self._lock = threading.Lock()
        self._mute = False

    def live(self) -> AbstractContextManager[Any]:
        """What to keep open while events come."""
        return nullcontext()

    def __call__(self, event: Event) -> None:
        """Count it, and show it where it is worth a line. From any thread; never raises."""
        with self._lock:
            self.tally.take(event)
            shown = self._is_shown(event)
        if shown and not self._mute:
            try:
                self._write(event, self._context.now())
            except Exception as error:  # the log's reader or disk is gone: jobs go on without it
                self._mute = True
                forsake_output()
                reason = getattr(error.__cause__ or error, "strerror", None) or type(error).__name__
                self._context.output.warn(f"events can no longer be shown ({reason}); jobs go on")

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

    def _write(self, event: Event, now: datetime) -> None:
        out = self._context.output
        if self._json:
            out.document(document(event, now))
        elif out.is_terminal:
            out.line(out.look.paint(terminal_line(event, now), _style(event)))
        else:
            out.line(log_line(event, now))
        out.flush()


class LiveReporter(Reporter):
    """The same lines above a table that stays at the foot of the terminal.

    Args:
        statuses: looks at every job; asked about once a second, less often where it is slow.
    """

    def __init__(
        self, context: Context, *, routine: bool, statuses: Callable[[], Sequence[JobStatus]]
    ) -> None:
        super().__init__(context, routine=routine, as_json=False)
        self._statuses = statuses
        self._seen: Sequence[JobStatus] = ()
        self._look_at = 0.0
        self._console = _console(context)

    def live(self) -> AbstractContextManager[Any]:
        """Rich's live display, which redraws itself."""
        from rich.live import Live

        return Live(
            get_renderable=self._panel,
            console=self._console,
            refresh_per_second=FRAMES,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _panel(self) -> "RenderableType":
        clock = self._context.clock
        begun = clock.monotonic()
        if begun >= self._look_at:
            self._seen = self._statuses()
            spent = clock.monotonic() - begun
            self._look_at = begun + max(1.0, 20 * spent)
        out = self._context.output
        return panel(self._seen, self.tally, self._context.now(), out.look, out.size[1])

    def _write(self, event: Event, now: datetime) -> None:
        from rich.text import Text

        self._look_at = 0.0 if not isinstance(event, RunOutput) else self._look_at
        self._console.print(Text(terminal_line(event, now), style=_style(event) or ""), soft_wrap=True)


def _style(event: Event) -> str | None:
    if isinstance(event, RunFinished) and event.run.status is RunStatus.COMPLETED:
        return "green"
    return {"error": "red", "warning": "yellow"}.get(level(event) or "")


def _console(context: Context) -> "Console":
    from rich.console import Console

    out = context.output
    return Console(
        file=out.stdout,
        color_system="standard" if out.look.color else None,
        force_terminal=True,
        force_interactive=True,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )
