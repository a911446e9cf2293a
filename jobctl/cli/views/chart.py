"""Bars and lines out of characters, for a terminal."""

from collections.abc import Sequence

from jobctl.cli.views.look import Look

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.:-=+*#"


def bar(value: float, most: float, width: int, look: Look) -> str:
    """A bar of at most ``width`` columns; what is more than nothing shows at least a trace."""
    if most <= 0 or value <= 0 or width <= 0:
        return ""
    if not look.unicode:
        return "#" * max(1, round(width * value / most))
    eighths = max(1, round(width * 8 * value / most))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def sparkline(values: Sequence[float], look: Look) -> str:
    """One character a value, from the lowest to the highest level; zero is always the lowest."""
    levels = _LEVELS if look.unicode else _ASCII_LEVELS
    most = max(values, default=0)
    if most <= 0:
        return levels[0] * len(values)
    top = len(levels) - 1
    return "".join(levels[0 if value <= 0 else max(1, round(top * value / most))] for value in values)
