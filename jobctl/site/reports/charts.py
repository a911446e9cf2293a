"""Charts as SVG: no library, no script, readable without colour."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 640, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 14, 30
_WIDEST_COLUMN = 28.0
_LABEL_WIDTH = 46


class Share(NamedTuple):
    """A part of a stacked bar; ``tone`` is a class in the page's style sheet."""

    label: str
    value: int
    tone: str


def ticks(most: float) -> list[int]:
    """Round numbers from 0 to at least ``most``, at most four steps of 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return [0, 1]
    step = 1
    while True:
        for width in (step, 2 * step, 5 * step):
            if width * 4 >= most:
                return list(range(0, width * (int((most - 1) // width) + 1) + 1, width))
        step *= 10


def columns(title: str, labels: Sequence[str], values: Sequence[int], shown: Sequence[str]) -> str:
    """A column chart.

    Args:
        title: for screen readers, together with the sum and the highest value.
        labels: of each value, in full, as a tooltip.
        shown: short labels under the axis; as many as fit.
    """
    marks = ticks(max(values, default=0))
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(values))
    width = max(1.5, min(_WIDEST_COLUMN, step * 0.72))
    every = max(1, -(-len(values) * _LABEL_WIDTH // (WIDTH - _LEFT - _RIGHT)))
    summary = f"{title}: {sum(values):,} in all"
    if any(values):
        highest = max(range(len(values)), key=lambda number: values[number])
        summary += f", most on {labels[highest]} with {values[highest]:,}"
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(summary)}" class="chart">']
    for mark in marks:
        y = _y(mark, marks[-1])
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_label("tick", _LEFT - 6, y + 4, "end", _short(mark)))
    for number, (label, value) in enumerate(zip(labels, values, strict=True)):
        x, y = _LEFT + step * number + (step - width) / 2, _y(value, marks[-1])
        parts.append(
            f'<rect class="column" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}"'
            f' height="{HEIGHT - _BOTTOM - y:.1f}" rx="1.5"><title>{escape(label)}: {value:,}</title></rect>'
        )
        if number % every == 0:
            kind = (
                "tick" if number % (3 * every) == 0 else "tick minor"
            )  # the style hides minor ones on phones
            middle, at_end = x + width / 2, x + width / 2 > WIDTH - 30
            place, anchor = (WIDTH - 2.0, "end") if at_end else (middle, "middle")
            parts.append(_label(kind, place, HEIGHT - 6, anchor, escape(shown[number])))
    return "".join([*parts, "</svg>"])


def stacked(title: str, shares: Sequence[Share]) -> str:
    """A bar of parts."""
    total = sum(share.value for share in shares)
    summary = f"{title}: {', '.join(f'{share.label} {share.value}' for share in shares)}"
    parts = [f'<svg viewBox="0 0 {WIDTH} 28" role="img" aria-label="{escape(summary)}" class="stack">']
    x = 0.0
    for share in shares:
        width = WIDTH * share.value / total if total else 0.0
        parts.append(
            f'<rect class="{escape(share.tone)}" x="{x:.1f}" y="0" width="{max(0.0, width - 2):.1f}" height="28"'
            f' rx="3"><title>{escape(share.label)}: {share.value:,}</title></rect>'
        )
        x += width
    return "".join([*parts, "</svg>"])


def _label(kind: str, x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _y(value: float, top: float) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - value / top)


def _short(value: int) -> str:
    """``1,500`` as ``1.5k``."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return str(value)
