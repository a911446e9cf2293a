"""Durations as text: ``90s``, ``1h 30m``, ``4m 12s``; and times by how far away they are."""

import re
from datetime import datetime, timedelta

from jobctl.errors import ScheduleError
from jobctl.text import quote

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d{1,13}(?:\.\d{1,6})?) ?(ms|s|m|h|d|w)", re.ASCII)  # 100 years of milliseconds
_WHOLE = re.compile(rf"{_PART.pattern}(?: ?{_PART.pattern})*", re.ASCII)
MAXIMUM = timedelta(days=36525)


def parse_duration(text: str) -> timedelta:
    """Parse ``500ms``, ``30s``, ``5m``, ``1h30m``, ``2d`` or ``1w``.

    Raises:
        ScheduleError: it is not a duration, or more than 100 years.
    """
    stripped = text.strip()
    if len(stripped) > 100 or not _WHOLE.fullmatch(stripped):
        raise ScheduleError(
            f"{quote(text)} is not a duration",
            hint="write a number and a unit, such as 30s, 5m, 1h30m or 2d",
        )
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(stripped))
    if seconds > MAXIMUM.total_seconds():
        raise ScheduleError(f"{quote(text)} is more than 100 years")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """For people, in at most two units, rounded down: ``400 ms``, ``1.2 s``, ``12s``, ``4m 12s``, ``2d 3h``."""
    seconds = duration.total_seconds()
    if seconds < 1:
        return f"{max(0, int(seconds * 1000))} ms"
    if seconds < 10:
        return f"{int(seconds * 10) / 10:.1f} s"
    parts: list[tuple[int, str]] = []
    rest = int(seconds)
    for unit in ("d", "h", "m", "s"):
        number, rest = divmod(rest, int(_UNITS[unit]))
        if number or parts:
            parts.append((number, unit))
    return " ".join(f"{number}{unit}" for number, unit in parts[:2] if number)


def write_duration(duration: timedelta) -> str:
    """Exact, for ``parse_duration``: ``1h30m``, ``45s``, ``1500ms``."""
    ms = round(duration.total_seconds() * 1000)
    if ms % 1000:
        return f"{ms}ms"
    parts = []
    rest = ms // 1000
    for unit in ("d", "h", "m", "s"):
        number, rest = divmod(rest, int(_UNITS[unit]))
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


def milliseconds(duration: timedelta | None) -> int | None:
    """Whole milliseconds, as in JSON and in the run store."""
    return None if duration is None else round(duration.total_seconds() * 1000)


def ago(instant: datetime | None, now: datetime) -> str:
    """``never``, ``now`` or ``3m 2s ago``."""
    if instant is None:
        return "never"
    passed = now - instant
    return f"{short(passed)} ago" if passed >= timedelta(seconds=1) else "now"


def until(instant: datetime | None, now: datetime) -> str:
    """``-``, ``now`` or ``in 4m 12s``."""
    if instant is None:
        return "-"
    left = instant - now
    return f"in {short(left)}" if left >= timedelta(seconds=1) else "now"


def short(duration: timedelta) -> str:
    """A duration in whole seconds and larger units."""
    return format_duration(duration) if duration >= timedelta(seconds=10) else f"{duration.seconds}s"
