"""Standard output and standard error, with width, colour and masked secrets."""

import io
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self, TextIO, cast

from jobctl.cli.terminal import Terminal
from jobctl.errors import MAX_SHOWN, ConfigurationErrors, JobctlError, reason_of
from jobctl.settings.masking import WEAK, Mask
from jobctl.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress


class Common(NamedTuple):
    """The options that every command takes; ``cli.options`` declares them for Typer."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    color: Literal["auto", "always", "never"] = "auto"
    project: str | None = None

    @classmethod
    def guess(cls, words: list[str]) -> "Common":
        """The options of a call that could not be parsed, as far as its error message needs them."""
        return cls(
            json="--json" in words,
            verbose="-v" in words or "--verbose" in words,
            color=_value(words, "--color") or "auto",  # type: ignore[arg-type]
            project=_value(words, "--project"),
        )


def _value(words: list[str], name: str) -> str | None:
    for at, word in enumerate(words):
        if word == name and at + 1 < len(words):
            return words[at + 1]
        if word.startswith(f"{name}="):
            return word[len(name) + 1 :]
    return None


DELAY_S = 0.5
"""Seconds before the line is shown, and Rich is loaded for it."""
LAST_S = 3.0
"""How long a command waits at its end for a slow reader, in seconds."""


class Working:
    """Shows a spinner and the elapsed time while its block runs. Other output is written above it.

    Args:
        what: the description.
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
        self._timer = threading.Timer(DELAY_S, self._begin)
        self._timer.daemon = True

    def write(self, text: str) -> None:
        """Write lines above the spinner."""
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
                self._progress.stop()
                Working.active = None  # not before: another thread would write behind the spinner

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
            Working.active = self  # before it is drawn, for the same reason as at its end
            self._progress.start()
            console.show_cursor()  # Ctrl-Z must not leave the shell without one


class OutputError(JobctlError):
    """Standard output cannot be written, for example because the disk is full."""

    code = "output"


class Unbuffered(io.TextIOBase):
    """Writes to a stream's descriptor at once, without a lock.

    A thread that waits for a slow reader blocks neither another thread nor the end of the interpreter.
    """

    def __init__(self, stream: TextIO) -> None:
        self._number = stream.fileno()
        self._encoding = stream.encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream."""
        return self._encoding

    def fileno(self) -> int:
        """Of the stream."""
        return self._number

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._number)

    def write(self, text: str) -> int:
        """Write all of it."""
        data = memoryview(text.encode(self._encoding, "backslashreplace"))
        while data:
            data = data[os.write(self._number, data) :]
        return len(text)


def unbuffered(stream: TextIO) -> TextIO:
    """The stream without a buffer and a lock; unchanged if it has no descriptor."""
    try:
        return cast("TextIO", Unbuffered(stream))
    except (OSError, ValueError):
        return stream


NO_MASK = Mask()
"""The mask until the project's settings are read."""
_NAMES = frozenset(
    {"id", "job", "job_id", "run", "run_id", "event", "level", "part", "mode", "status", "state", "code"}
)
"""Keys of documents whose values are never masked: programs depend on them."""


class Output:
    """Writes data to standard output and messages to standard error. Secrets are masked.

    Attributes:
        mask: masks secrets in everything that is written; the project's mask once its settings are read.

    Args:
        common: ``--json``, ``--quiet`` and so on.
        environment: of the process, for ``NO_COLOR``, ``FORCE_COLOR``, ``TERM`` and ``COLUMNS``.
    """

    mask: ClassVar[Mask] = NO_MASK

    def __init__(
        self,
        common: Common,
        environment: Mapping[str, str],
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.json = common.json
        self.quiet = common.quiet
        self.verbose = common.verbose
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        for stream in (self.stdout, self.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")
        self.is_terminal = self.stdout.isatty()
        self.is_animated = self.is_terminal and environment.get("TERM") != "dumb"
        self._common = common
        self._environment = environment
        self._when = common.color
        self._terminals: dict[int, Terminal] = {}

    def for_thread(self) -> "Output":
        """The same output for a thread that may wait for a slow reader without blocking others."""
        stdout, stderr = unbuffered(self.stdout), unbuffered(self.stderr)
        return Output(self._common, self._environment, stdout, stderr)

    @property
    def terminal(self) -> Terminal:
        """The terminal of standard output, with its current width."""
        return self._terminal(self.stdout)

    def _terminal(self, stream: TextIO) -> Terminal:
        """The terminal of a stream, reused until its width or the mask changes."""
        wanted = Terminal(
            self._size_of(stream)[0],
            color=self.has_color(stream),
            unicode=_is_unicode(stream),
            mask=self.mask,
        )
        kept = self._terminals.setdefault(id(stream), wanted)
        if (kept.width, kept.mask) != (wanted.width, wanted.mask):
            kept = self._terminals[id(stream)] = wanted
        return kept

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal; 80 by 24 without a terminal."""
        return self._size_of(self.stdout)

    def _size_of(self, stream: TextIO) -> tuple[int, int]:
        columns, lines = 0, 0
        if stream.isatty():
            try:
                columns, lines = os.get_terminal_size(stream.fileno())
            except (OSError, ValueError):
                columns, lines = 0, 0
        asked = self._environment.get("COLUMNS", "")
        if asked.isdecimal() and len(asked) <= 4 and int(asked):
            columns = int(asked)
        return max(20, columns or 80), lines or 24

    def has_color(self, stream: TextIO) -> bool:
        """``--color``, then ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM``, then whether it is a terminal."""
        if self._when != "auto":
            return self._when == "always"
        if self._environment.get("NO_COLOR"):
            return False
        if self._environment.get("FORCE_COLOR"):
            return True
        return stream.isatty() and self._environment.get("TERM") != "dumb"

    @property
    def is_shared(self) -> bool:
        """Whether standard output and standard error are the same file or terminal."""
        try:
            return os.path.sameopenfile(self.stdout.fileno(), self.stderr.fileno())
        except (OSError, ValueError):
            return False

    def working(self, what: str) -> Working:
        """Show a progress line on the terminal while the block runs; nothing elsewhere."""
        shows = self.stderr.isatty() and self._environment.get("TERM") != "dumb" and not self.quiet
        return Working(what, self.stderr if shows else None, self._terminal(self.stderr))

    # Data

    def show(self, *parts: "RenderableType") -> None:
        """Draw parts below each other on the terminal."""
        self.lines(self.terminal.lines(*parts))

    def present(
        self, drawn: "Callable[[Terminal], Iterable[RenderableType]]", piped: Callable[[], Iterable[str]]
    ) -> None:
        """Draw on a terminal; write lines elsewhere."""
        if self.is_terminal:
            self.show(*drawn(self.terminal))
        else:
            self.lines(piped())

    def page(
        self, drawn: "Callable[[Terminal], Iterable[RenderableType]]", piped: Callable[[], Iterable[str]]
    ) -> None:
        """Like ``present``, through ``$PAGER`` if it does not fit on the terminal."""
        if not (self.is_animated and sys.stdin.isatty()):
            self.present(drawn, piped)
            return
        lines = self.terminal.lines(*drawn(self.terminal))
        pager = self._environment.get("PAGER", "less").split()
        if len(lines) < self.size[1] or not pager or not self._paged(pager, lines):
            self.lines(lines)

    def _paged(self, pager: list[str], lines: list[str]) -> bool:
        import subprocess

        environment = {"LESS": "-FRX", **self._environment}
        try:
            subprocess.run(
                pager,
                input=self.mask("\n".join([*lines, ""])),
                env=environment,
                encoding="utf-8",
                check=False,
            )
        except OSError:
            return False
        return True

    def line(self, text: str = "") -> None:
        """Print a line."""
        self.raw(f"{text}\n")

    def lines(self, texts: Iterable[str], *, of_json: bool = False) -> None:
        """Print lines in few writes; ``of_json``: they come from ``as_json`` and are masked already."""
        put = self._put if of_json else self.raw
        batch: list[str] = []
        for text in texts:
            batch.append(text)
            if len(batch) == 512:
                put("\n".join(batch) + "\n")
                batch.clear()
        if batch:
            put("\n".join(batch) + "\n")

    def raw(self, text: str) -> None:
        """Write text without a line end, with secrets masked."""
        self._put(self.mask(text))

    def _put(self, text: str) -> None:
        if Working.active is not None and self.is_shared:
            Working.active.write(text)
            return
        try:
            self.stdout.write(text)
            if self.is_terminal:
                self.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise cannot_write(error) from error

    def document(self, value: Any) -> None:
        """Print the JSON document of ``--json``: indented on a terminal, on a single line elsewhere."""
        self._put(f"{self.as_json(value, indent=2 if self.is_terminal else None)}\n")

    def record(self, value: Any) -> None:
        """Print a JSON document on a line of its own, as part of a sequence."""
        self._put(f"{self.as_json(value)}\n")

    def as_json(self, value: Any, indent: int | None = None) -> str:
        """A value as JSON, with secrets masked and control characters escaped."""
        import json

        dumps = partial(
            json.dumps,
            ensure_ascii=not _is_unicode(self.stdout),
            indent=indent,
            separators=(", " if indent is None else ",", ": "),
        )
        text = dumps(value)
        if self.mask(text) != text:  # most documents hold no secret, and a large one has many texts
            text = dumps(self._masked(value))
        lines = text.split("\n")
        if not all(map(str.isprintable, lines)):
            lines = [
                "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)
                for line in lines
            ]
        return "\n".join(lines)

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if WEAK.fullmatch(value) else self.mask(value)  # else ``"kind": "••••"``
        if isinstance(value, list | tuple):
            return [self._masked(item) for item in value]
        if isinstance(value, dict):
            return {key: item if key in _NAMES else self._masked(item) for key, item in value.items()}
        return value

    def flush(self) -> None:
        """Flush standard output."""
        try:
            self.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise cannot_write(error) from error

    # Messages

    def note(self, text: str) -> None:
        """Print a message, unless ``--quiet``."""
        if not self.quiet:
            self.message(text)

    def warn(self, text: str) -> None:
        """Print a warning, unless ``--quiet``."""
        if not self.quiet:
            self.message(printable(self.mask(text)), "warning:", "yellow")

    def message(self, text: str, head: str = "", style: str = "") -> None:
        """Print lines on standard error, even with ``--quiet``. Write errors are ignored.

        On a terminal they are wrapped at words, and indented by the width of ``head``.
        """
        with suppress(OSError):
            self.stdout.flush()
        terminal = self._terminal(self.stderr)
        masked = self.mask(text)
        indent = len(head) + bool(head)
        if self.stderr.isatty() and indent + max(map(len, masked.split("\n"))) > terminal.width:
            lines = terminal.lines(terminal.hanging(f"{head} " if head else "", masked, style))
        else:
            first, *others = masked.split("\n")
            lines = [f"{terminal.paint(head, style)} {first}" if head else first]
            lines += [" " * indent + other for other in others]
        self.write_message("\n".join(lines))

    def traceback(self, error: BaseException) -> None:
        """Print a traceback: in colour, without the values of variables, if it has no secret."""
        import traceback

        whole = "".join(traceback.format_exception(error)).rstrip()
        plain = _visible(self.mask(whole))
        if not (self.has_color(self.stderr) and self.stderr.isatty()) or plain != whole:
            self.message(plain)
            return
        from rich.traceback import Traceback

        # its lines of code are those of the plain one, which hold no secret
        drawn = Traceback.from_exception(
            type(error), error, error.__traceback__, show_locals=False, extra_lines=0, word_wrap=True
        )
        self.write_message("\n".join(self._terminal(self.stderr).lines(drawn)))

    def write_message(self, text: str) -> None:
        """Write drawn text to standard error, with secrets masked. Write errors are ignored."""
        line = f"{self.mask(text)}\n"
        if Working.active is not None:
            Working.active.write(line)
            return
        with suppress(OSError):
            self.stderr.write(line)
            self.stderr.flush()

    def problem(self, error: JobctlError) -> None:
        """Report an error: on standard error, or as the JSON document on standard output."""
        if self.json:
            self.document({"error": error_document(error)})
            self.flush()
            return
        several: Sequence[JobctlError] = error.problems if isinstance(error, ConfigurationErrors) else [error]
        for problem in several[:MAX_SHOWN]:
            self.message(_visible(self.mask(str(problem))), "error:", "red")
            if problem.hint:
                self.message(_visible(self.mask(problem.hint)), "hint: ", "cyan")
        if len(several) > 1:
            shown = f", {MAX_SHOWN} of them shown" if len(several) > MAX_SHOWN else ""
            self.message(f"{len(several)} problems{shown}, nothing was started")


def cannot_write(error: OSError) -> OutputError:
    """The error for a standard output that cannot be written."""
    return OutputError(f"standard output cannot be written: {reason_of(error)}")


def error_document(error: JobctlError) -> dict[str, Any]:
    """An error as ``--json`` shows it."""
    document: dict[str, Any] = {
        "code": error.code,
        "message": str(error),
        "hint": error.hint,
        "where": error.where,
        "exit_code": int(error.exit_code),
    }
    if isinstance(error, ConfigurationErrors):
        document["problems"] = [error_document(problem) for problem in error.problems]
    return document


def _visible(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _is_unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") in {"utf8", "utf8sig"}
