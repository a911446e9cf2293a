"""The last runs of a job at a glance: a mark each for how they ended, a level each for how long they took."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from jobctl.cli.views.chart import sparkline
from jobctl.cli.views.look import Look
from jobctl.cli.views.times import took
from jobctl.model import Run, RunStatus

LAST = 20


def marks(runs: Iterable[Run], look: Look) -> list[str]:
    """``✓`` for a run that completed, ``✗`` for one that failed, ``·`` for any other."""
    good, bad, other = ("✓", "✗", "·") if look.unicode else ("+", "x", ".")
    known = {RunStatus.COMPLETED: (good, "green"), RunStatus.FAILED: (bad, "red")}
    return [look.paint(*known.get(one.status, (other, None))) for one in runs]


def recent(newest_first: Sequence[Run], look: Look) -> Iterator[str]:
    """The last 20 of a job in two lines, each with words that say what its characters show."""
    runs = list(reversed(newest_first[:LAST]))
    counts = Counter(one.status.value for one in runs)
    outcomes = ", ".join(f"{counts[one.value]} {one.value}" for one in RunStatus if counts[one.value])
    yield f"the last {len(runs)}, oldest to newest:"
    plain, painted = ("".join(marks(runs, one)) for one in (look._replace(color=False), look))
    first, *others = look.spread([f"  {plain}", outcomes], gap=2, indent=2)
    yield first.replace(plain, painted)
    yield from others
    durations = [one.duration for one in runs if one.duration is not None]
    if durations:
        levels = iter(sparkline([one.total_seconds() for one in durations], look))
        shown = "".join(" " if one.duration is None else next(levels) for one in runs)  # under its mark
        words = f"took {took(min(durations))} to {took(max(durations))}"
        yield from look.spread([f"  {shown}", words], gap=2, indent=2)
