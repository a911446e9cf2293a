"""The last runs of a job at a glance: a sign each for how they ended, a level each for how long they took."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from jobctl.cli.terminal import STATES, Terminal
from jobctl.cli.views.chart import sparkline
from jobctl.cli.views.times import took
from jobctl.model import Run, RunStatus

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

LAST = 20


def signs(runs: Iterable[Run], terminal: Terminal) -> "Text":
    """The sign of each run's state, in its colour."""
    text = terminal.text("")
    for one in runs:
        text.append(terminal.sign(one.status.value), STATES[one.status.value][2])
    return text


def recent(newest_first: Sequence[Run], terminal: Terminal) -> "RenderableType":
    """The last 20 of a job, newest first, each line with words that say what its characters show."""
    runs = newest_first[:LAST]
    counts = Counter(one.status.value for one in runs)
    outcomes = ", ".join(f"{counts[one.value]} {one.value}" for one in RunStatus if counts[one.value])
    lines = [(signs(runs, terminal), f"the last {len(runs)}, newest first: {outcomes}")]
    durations = [one.duration for one in runs if one.duration is not None]
    if durations:
        levels = iter(sparkline([one.total_seconds() for one in durations], unicode=terminal.unicode))
        shown = "".join(" " if one.duration is None else next(levels) for one in runs)  # under its sign
        lines.append((terminal.text(shown), f"took {took(min(durations))} to {took(max(durations))}"))
    return terminal.fields(lines)
