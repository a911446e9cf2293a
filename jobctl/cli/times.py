"""Times that a user writes: an ISO 8601 instant, a date, or how long ago."""

from datetime import UTC, datetime, timedelta, tzinfo

from jobctl.durations import parse_duration
from jobctl.errors import ScheduleError, UsageError
from jobctl.text import quote


def read_time(text: str, option: str, zone: tzinfo = UTC) -> datetime:
    """``2027-03-27``, ``2027-03-27T02:30`` (in ``zone``) or one with its own offset; in UTC.

    Raises:
        UsageError: it is none of these; names the option.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
        return (instant if instant.tzinfo else instant.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{option} {quote(text)} is not a time", hint="write 2027-03-27 or 2027-03-27T02:30:00Z"
        ) from error


def read_since(text: str, now: datetime) -> datetime:
    """A time, or a duration before ``now``.

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


def read_span(text: str, option: str, *, least: timedelta = timedelta(0)) -> timedelta:
    """A duration that an option takes.

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
