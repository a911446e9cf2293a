"""Times and durations as a person reads them: how long ago, in how long, and exact with the zone."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobctl.durations import format_duration, milliseconds

if TYPE_CHECKING:
    from datetime import tzinfo


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
    """Whole seconds and up: nobody reads the tenths of a distance in time."""
    return format_duration(duration) if duration >= timedelta(seconds=10) else f"{duration.seconds}s"


def took(duration: timedelta | None) -> str:
    """A duration, or a dash."""
    return "-" if duration is None else format_duration(duration)


def exact(instant: datetime, zone: "tzinfo") -> str:
    """``Tue 2026-11-24 09:00:00 CET``."""
    return f"{instant.astimezone(zone):%a %Y-%m-%d %H:%M:%S %Z}"


def dated(instant: datetime) -> str:
    """``Tue 2026-11-24 09:00:00`` in this machine's zone, which the view names once."""
    return f"{instant.astimezone():%a %Y-%m-%d %H:%M:%S}"


def local(instant: datetime, now: datetime) -> str:
    """``Nov 24 09:00:00`` in this machine's zone, with the year where it is another one than now."""
    here = instant.astimezone()
    return f"{here:%b %d %H:%M:%S}" if here.year == now.astimezone().year else f"{here:%Y-%m-%d %H:%M:%S}"


def zone_names(instants: Iterable[datetime]) -> str:
    """``CET``, or ``CEST/CET`` where the clocks were changed between: for the title above local times."""
    return "/".join(dict.fromkeys(f"{one.astimezone():%Z}" for one in instants))


def ms(duration: timedelta | None) -> str:
    """``1204``, whole milliseconds, for rows in a pipe; empty where there is none."""
    return "" if duration is None else str(milliseconds(duration))


def zulu(instant: datetime | None) -> str:
    """``2026-11-24T09:00:00Z``, for rows in a pipe; empty where there is none."""
    if instant is None:
        return ""
    precision = "milliseconds" if instant.microsecond else "seconds"
    return instant.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
