"""Parses and formats times and durations."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

from jobctl.durations import format_duration, milliseconds, parse_duration
from jobctl.errors import ScheduleError, UsageError
from jobctl.text import quote


def read_time(text: str, option: str, zone: tzinfo = UTC) -> datetime:
    """Parse ``2027-03-27`` or ``2027-03-27T02:30`` (in ``zone``), or a time with an offset. Returns it in UTC.

    Raises:
        UsageError: it is not a time; names the option.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
        return (instant if instant.tzinfo else instant.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{option} {quote(text)} is not a time", hint="write 2027-03-27 or 2027-03-27T02:30:00Z"
        ) from error


def read_since(text: str, now: datetime) -> datetime:
    """Parse a time, or a duration before ``now``.

    Raises:
        UsageError: it is neither.
    """
    try:
        return now - parse_duration(text)
    except (ScheduleError, OverflowError):
        pass
    try:
        return read_time(text, "--since")
    except UsageError as error:
        raise UsageError(
            error.problem, hint="write how long ago, such as 2d or 90m, or a time such as 2027-03-27"
        ) from error


def read_later(text: str, option: str, now: datetime) -> datetime:
    """Parse a time, or a duration after ``now``.

    Raises:
        UsageError: it is neither, or the time is past.
    """
    try:
        found = now + parse_duration(text)
    except (ScheduleError, OverflowError):
        found = read_time(text, option)
    if found <= now:
        raise UsageError(f"{option} {quote(text)} is past", hint="write a later time, or how long such as 2d")
    return found


def read_span(text: str, option: str, *, least: timedelta = timedelta(0)) -> timedelta:
    """Parse the duration of an option.

    Raises:
        UsageError: it is none, or shorter than ``least``.
    """
    try:
        span = parse_duration(text)
    except ScheduleError as error:
        raise UsageError(f"{option}: {error.problem}", hint=error.hint) from error
    if span < least:
        raise UsageError(f"{option} is at least {least.total_seconds():g} s, not {quote(text)}")
    return span


def took(duration: timedelta | None) -> str:
    """A duration, or a dash."""
    return "-" if duration is None else format_duration(duration)


def exact(instant: datetime, zone: "tzinfo") -> str:
    """``Tue 2026-11-24 09:00:00 CET``."""
    return f"{instant.astimezone(zone):%a %Y-%m-%d %H:%M:%S %Z}"


def dated(instant: datetime) -> str:
    """``Tue 2026-11-24 09:00:00`` in this machine's zone."""
    return f"{instant.astimezone():%a %Y-%m-%d %H:%M:%S}"


def local(instant: datetime, now: datetime) -> str:
    """``Nov 24 09:00:00`` in this machine's zone; with the year, without the month's name, if it is not this year."""
    here = instant.astimezone()
    return f"{here:%b %d %H:%M:%S}" if here.year == now.astimezone().year else f"{here:%Y-%m-%d %H:%M:%S}"


def zone_names(instants: Iterable[datetime]) -> str:
    """``CET``, or ``CEST/CET`` if the clocks were changed in between: for the title above local times."""
    return "/".join(dict.fromkeys(f"{instant.astimezone():%Z}" for instant in instants))


def ms(duration: timedelta | None) -> str:
    """``1204``, whole milliseconds, for rows in a pipe; empty for None."""
    return "" if duration is None else str(milliseconds(duration))


def zulu(instant: datetime | None) -> str:
    """``2026-11-24T09:00:00Z``, for rows in a pipe; empty for None."""
    if instant is None:
        return ""
    precision = "milliseconds" if instant.microsecond else "seconds"
    return instant.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def share(rate: float | None) -> str:
    """``98.5 %``, or a dash where nothing ran; never 100 % while something failed."""
    if rate is None:
        return "-"
    return f"{int(rate * 1000) / 10:.1f} %"
