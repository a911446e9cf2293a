"""The geometry of small charts, which the templates draw as SVG."""

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 600.0, 120.0
_TOP = 6.0
"""Above the highest value, so that its line is not cut."""


class ChartBar(NamedTuple):
    """A value as a rectangle, with its words."""

    x: float
    y: float
    width: float
    height: float
    title: str


class BarChart(NamedTuple):
    """Bars from left to right; ``words`` describes all of it."""

    bars: list[ChartBar]
    first: str
    last: str
    words: str


class TrendLine(NamedTuple):
    """Values as the points of a polyline, and the area below it."""

    name: str
    total: float
    most: float
    points: str
    area: str
    words: str


def bar_chart(values: Sequence[tuple[str, float]], what: str) -> BarChart:
    """A bar for each label and value, at least one."""
    most = max(value for _, value in values) or 1.0
    step = WIDTH / len(values)
    bars = []
    for at, (label, value) in enumerate(values):
        height = round((HEIGHT - _TOP) * value / most, 1)
        x = round(at * step + step * 0.1, 1)
        bars.append(ChartBar(x, HEIGHT - height, round(step * 0.8, 1), height, f"{label}: {value:,g} {what}"))
    first, last = values[0][0], values[-1][0]
    return BarChart(bars, first, last, f"{what} from {first} to {last}, at most {most:,g}")


def line(name: str, values: Sequence[tuple[str, float]]) -> TrendLine:
    """A line over labels and values, at least one."""
    numbers = [value for _, value in values]
    most = max(numbers)
    step = WIDTH / max(1, len(numbers) - 1)
    points = [
        (round(at * step, 1), round(HEIGHT - (HEIGHT - _TOP) * value / (most or 1.0), 1))
        for at, value in enumerate(numbers)
    ]
    text = " ".join(f"{x:g},{y:g}" for x, y in points)
    words = f"{name} from {values[0][0]} to {values[-1][0]}: {min(numbers):,g} to {most:,g} a day"
    return TrendLine(name, sum(numbers), most, text, f"0,{HEIGHT:g} {text} {WIDTH:g},{HEIGHT:g}", words)
