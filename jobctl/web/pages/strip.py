"""The last runs of a job as bars: the height is the duration, the colour the outcome."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from markupsafe import Markup, escape

from jobctl.durations import ago, format_duration
from jobctl.model import RunStatus
from jobctl.store.glances import RunGlance

MOST = 20
STEP = 7
_WIDTH = 5
_TOP = 20.0
"""The height of the longest run."""
_LEAST = 3.0
_HEIGHT = 25


class RunBar(NamedTuple):
    """A run, as a rectangle."""

    run_id: str
    status: str
    x: int
    y: float
    width: int
    height: float
    title: str


class Strip(NamedTuple):
    """The bars, oldest first, and all of it in words."""

    bars: list[RunBar]
    words: str
    empty: int
    """The width of the places of runs that are not there yet."""

    def drawn(self, root: str) -> Markup:
        """The bars as SVG, each a link. Not by the template: a page has a thousand, and nothing in them is secret.

        Args:
            root: where the page is mounted.
        """
        address = escape(root)
        return Markup("").join(  # all but the address and the id is ours
            Markup(  # noqa: S704
                f'<a href="{address}/runs/{escape(bar.run_id)}" tabindex="-1"><title>{bar.title}</title>'
                f'<rect class="hit" x="{bar.x - 1}" y="0" width="{bar.width + 2}" height="{_HEIGHT}"/>'
                f'<rect class="{bar.status}" x="{bar.x}" y="{bar.y}" width="{bar.width}" height="{bar.height}" rx="1"/>'
                f"{_dot(bar)}</a>\n"
            )
            for bar in self.bars
        )


def _dot(bar: RunBar) -> str:
    """Below a run that did not end well, so that it is not seen by its colour alone."""
    if bar.status not in ("failed", "cancelled"):
        return ""
    return f'<rect class="{bar.status}" x="{bar.x + 1}" y="{_HEIGHT - 3}" width="3" height="3" rx="1.5"/>'


def strip(runs: Sequence[RunGlance], now: datetime) -> Strip:
    """The bars of the newest runs, the newest at the right."""
    spent = [
        (run.duration if run.duration is not None else now - run.started_at).total_seconds() for run in runs
    ]
    longest = max(spent, default=0.0) or 1.0
    bars = []
    for at, (run, seconds) in enumerate(zip(runs, spent, strict=True), MOST - len(runs)):
        # the square root: a run that took a hundred times as long leaves the others visible
        height = round(max(_LEAST, _TOP * (max(0.0, seconds) / longest) ** 0.5), 1)
        took = f", {format_duration(run.duration)}" if run.duration is not None else ""
        title = f"{run.status.value}{took}, {ago(run.started_at, now)}"
        bars.append(
            RunBar(run.id, run.status.value, at * STEP, round(_TOP - height, 1), _WIDTH, height, title)
        )
    counts = Counter(run.status for run in runs)
    outcomes = ", ".join(f"{counts[status]} {status.value}" for status in RunStatus if counts[status])
    return Strip(
        bars,
        f"the last {len(runs)} runs: {outcomes}" if runs else "no run yet",
        max(0, MOST - len(runs)) * STEP,
    )
