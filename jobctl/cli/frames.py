"""A view that is drawn again in place, line by line and in one write, so that nothing flickers."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from jobctl.cli.output import Output

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
