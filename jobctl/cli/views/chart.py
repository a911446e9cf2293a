"""Lines out of characters, for a terminal."""

from collections.abc import Sequence

_LEVELS = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS = "_.:-=+*#"


def sparkline(values: Sequence[float], *, unicode: bool) -> str:
    """One character a value, from the lowest to the highest level; zero is always the lowest."""
    levels = _LEVELS if unicode else _ASCII_LEVELS
    most = max(values, default=0)
    if most <= 0:
        return levels[0] * len(values)
    top = len(levels) - 1
    return "".join(levels[0 if value <= 0 else max(1, round(top * value / most))] for value in values)
