"""Charts as SVG text, from numbers alone: no library, no script, readable without colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 14, 30


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a stacked bar; ``tone`` is a class of the page's style."""

    label: str
    value: int
    tone: str


def ticks(most: float) -> list[int]:
    """Round numbers from 0 up to at least ``most``: four steps at most, of 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return [0, 1]
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor * 4 >= most:
                width = step * factor
                return list(range(0, width * (int((most - 1) // width) + 1) + 1, width))
        step *= 10


def columns(title: str, labels: Sequence[str], values: Sequence[int], shown: Sequence[str]) -> str:
    """A column chart.

    Args:
        title: said by screen readers, together with the sum and the highest value.
        labels: of each value, in full: shown when it is pointed at.
        shown: the same labels, short, under the axis; as many of them as there is room for.
    """
    marks = ticks(max(values, default=0))
    top = marks[-1]
    plot = WIDTH - _LEFT - _RIGHT
    step = plot / max(1, len(values))
    width = max(1.5, min(28.0, step * 0.72))
    parts = [_open(title, labels, values)]
    for mark in marks:
        y = _y(mark, top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(mark)}</text>'
        )
    every = max(1, -(-len(values) * 46 // plot))
    for number, (label, value) in enumerate(zip(labels, values, strict=True)):
        x = _LEFT + step * number + (step - width) / 2
        y = _y(value, top)
        height = HEIGHT - _BOTTOM - y
        parts.append(
            f'<rect class="column" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1.5">'
            f"<title>{escape(label)}: {value:,}</title></rect>"
        )
        if number % every == 0:
            middle = x + width / 2
            at_end = middle > WIDTH - 30
            anchor, place = ("end", WIDTH - 2.0) if at_end else ("middle", middle)
            kind = "tick" if number % (3 * every) == 0 else "tick minor"  # a phone shows the others alone
            parts.append(
                f'<text class="{kind}" x="{place:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">'
                f"{escape(shown[number])}</text>"
            )
    return "".join([*parts, "</svg>"])


def stacked(title: str, shares: Sequence[Share]) -> str:
    """One bar in parts."""
    total = sum(one.value for one in shares)
    said = ", ".join(f"{one.label} {one.value}" for one in shares)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} 28" role="img" aria-label="{escape(title)}: {escape(said)}" class="stack">'
    ]
    x = 0.0
    for one in shares:
        width = WIDTH * one.value / total if total else 0.0
        parts.append(
            f'<rect class="{escape(one.tone)}" x="{x:.1f}" y="0" width="{max(0.0, width - 2):.1f}" height="28" rx="3">'
            f"<title>{escape(one.label)}: {one.value:,}</title></rect>"
        )
        x += width
    return "".join([*parts, "</svg>"])


def _open(title: str, labels: Sequence[str], values: Sequence[int]) -> str:
    said = f"{title}: {sum(values):,} in all"
    if any(values):
        at = max(range(len(values)), key=lambda number: values[number])
        said += f", most on {labels[at]} with {values[at]:,}"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}" class="chart">'


def _y(value: float, top: float) -> float:
    room = HEIGHT - _TOP - _BOTTOM
    return _TOP + room * (1 - value / top)


def _short(value: int) -> str:
    """``1,500`` as ``1.5k``."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return str(value)
