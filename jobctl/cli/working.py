"""A line at the foot of the terminal while something takes long: what it is, and for how long it has been on."""

import threading
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

    from jobctl.cli.terminal import Terminal

PATIENCE_S = 0.5
"""What is done sooner is not worth a line, nor loading what draws it. In seconds."""


class Working:
    """Shows the line while its block runs, where a terminal is given. What is written meanwhile goes above it.

    Args:
        what: is going on.
        stream: of the terminal; None shows nothing.
    """

    active: ClassVar["Working | None"] = None

    def __init__(self, what: str, stream: TextIO | None, terminal: "Terminal") -> None:
        self._what = what
        self._stream = stream
        self._terminal = terminal
        self._progress: Progress | None = None
        self._lock = threading.Lock()
        self._is_over = False
        self._timer = threading.Timer(PATIENCE_S, self._begin)
        self._timer.daemon = True

    def write(self, text: str) -> None:
        """Write whole lines above the line."""
        from rich.segment import Segment, Segments

        if self._progress is not None:
            self._progress.console.print(Segments([Segment(text)]), soft_wrap=True, end="")

    def __enter__(self) -> Self:
        if self._stream is not None:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._is_over = True
            if self._progress is not None:
                Working.active = None
                self._progress.stop()

    def _begin(self) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._is_over:
                return
            console = self._terminal.animated(self._stream)
            self._progress = Progress(
                SpinnerColumn("dots" if self._terminal.unicode else "line"),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
                console=console,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                refresh_per_second=4,
            )
            self._progress.add_task(self._terminal.text(self._what).plain, total=None)
            self._progress.start()
            console.show_cursor()  # Ctrl-Z must not leave the shell without one
            Working.active = self
