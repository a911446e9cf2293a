"""Real cron: croniter finds wall-clock times, with Debian cron's rules for clock changes.

A *wildcard job*, whose minute or hour field begins with a star, follows real time: times in a gap are never due, a
repeated hour counts twice. Any other is a *fixed-time job*: each wall-clock time is due once, in a repeated period at its
first pass; times inside a gap of up to three hours are due once, at the first instant after it, and times inside a longer
gap are not due. The seconds field does not count. Source: cron(8) and cron.c of Debian.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from jobctl.errors import ScheduleError
from jobctl.schedules.cron_grammar import CronFields, check_days, day_rule, parse
from jobctl.schedules.wall_times import (
    LONGEST_GAP,
    SECOND,
    change_at,
    count_due,
    is_fixed_time,
    readings,
    wall,
    wall_times,
)
from jobctl.schedules.zones import zone
from jobctl.text import quote

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from jobctl.schedules.wall_times import WallTimes


@lru_cache(maxsize=512)
def _parse_and_check(expression: str) -> tuple[str, CronFields]:
    """Cached, since thousands of jobs share a few expressions."""
    text, fields = parse(expression)
    check_days(fields, expression)
    return text, fields


class _LastFound:
    """The due times that were found last, for all schedules that are equal: their jobs are due together, or late together.

    Attributes:
        next: an instant, and the next due time after it.
        latest: a due time, and the next one after it.
    """

    __slots__ = ("latest", "next")

    def __init__(self) -> None:
        self.next = self.latest = (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))


@lru_cache(maxsize=512)
def _last_found(expression: str, timezone: str) -> _LastFound:  # noqa: ARG001 - they are the key
    return _LastFound()


class Cron:
    """Due when a wall clock in ``timezone`` shows a matching time.

    Args:
        expression: 5 fields, or 6 with seconds first; or ``@hourly``, ``@daily``, ``@weekly``,
            ``@monthly``, ``@yearly``. Sunday is 0 or 7; ``L`` is the last day of the month, ``L5`` or
            ``5L`` its last Friday, ``5#2`` its second. Both day fields must match if either begins
            with a star, else one is enough.
        timezone: an IANA name.

    Instants as arguments are aware; returned instants are in UTC.

    Raises:
        ScheduleError: the expression cannot be parsed or names no day. The message says which field; if only one field
            is wrong, the error's ``span`` is its place in the expression.
    """

    __slots__ = ("_last_found", "_wall_times", "_zone", "expression", "fields", "timezone")

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        # Python code may pass anything, also what cannot be cached; parse reports it
        read = _parse_and_check if isinstance(expression, str) else parse  # type: ignore[redundant-expr]
        self.expression, self.fields = read(expression)
        self.timezone = timezone
        self._zone: ZoneInfo | None = None if timezone == "UTC" else zone(timezone)
        self._wall_times: WallTimes | None = None
        self._last_found = _last_found(self.expression, timezone)

    @property
    def text(self) -> str:
        """The expression, one blank between fields."""
        return self.expression

    @property
    def fixed_time(self) -> bool:
        """Whether each wall-clock time is due only once: neither minute nor hour begins with a star."""
        return is_fixed_time(self.fields)

    @property
    def members(self) -> "tuple[Cron, ...]":
        """Itself: it is a single schedule."""
        return (self,)

    def is_fixed(self, slot: datetime) -> bool:  # noqa: ARG002
        """The same for each slot: whether it is due only once."""
        return self.fixed_time

    @property
    def day_rule(self) -> str | None:
        """How the two day fields combine, in words, if both restrict the days; else None."""
        return day_rule(self.fields)

    def next_after(self, instant: datetime, anchor: datetime | None = None) -> datetime:  # noqa: ARG002
        """The first due time strictly after ``instant``.

        Raises:
            ScheduleError: there is none before the year 10,000.
        """
        for since, found in (self._last_found.next, self._last_found.latest):
            if since <= instant < found:
                return found
        try:
            found = self._search(instant.astimezone(UTC).replace(microsecond=0))
        except OverflowError:
            raise ScheduleError(f"{quote(self.text)} has no due time after {instant:%Y-%m-%d}") from None
        self._last_found.next = instant, found
        return found

    def latest_until(
        self,
        instant: datetime,
        after: datetime,
        anchor: datetime | None = None,  # noqa: ARG002
    ) -> datetime | None:
        """The latest due time in ``(after, instant]``, found by doubling and halving; None if there is none."""
        if after >= instant:
            return None
        latest, following = self._last_found.latest
        if latest <= instant < following:
            return latest if latest > after else None
        span = min(timedelta(minutes=1), instant - after)
        while (newest := self.next_after(instant - span)) > instant:
            if instant - span <= after:
                return None
            span = min(span * 2, instant - after)
        high = instant
        while high - newest > SECOND:
            middle = newest + (high - newest) / 2
            found = self.next_after(middle)
            if found <= instant:
                newest = found
            else:
                high = middle
        last = self.next_after(newest)
        latest = last if last <= instant else newest
        self._last_found.latest = latest, self.next_after(latest)
        return latest

    def count(
        self,
        after: datetime,
        until: datetime,
        anchor: datetime | None = None,  # noqa: ARG002
    ) -> int:
        """The number of due times in ``(after, until]``, by arithmetic."""
        return count_due([self.fields], self._zone, after.astimezone(UTC), until.astimezone(UTC))

    def note(self, instant: datetime) -> str | None:
        """The effect of a clock change on a due time, in words; None on an ordinary day."""
        if self._zone is None:
            return None
        shown, before = wall(instant, self._zone), wall(instant - SECOND, self._zone)
        left_out = shown - before - SECOND
        if self.fixed_time and timedelta(0) < left_out <= LONGEST_GAP:
            named = self._times.after(before.replace(fold=0))
            return f"{named:%H:%M} does not exist" if named < shown else None
        if len(readings(shown, self._zone)) == 2:
            return f"{shown:%H:%M} comes twice, this is the {'second' if shown.fold else 'first'}"
        return None

    def _search(self, start: datetime) -> datetime:
        if self._zone is None:
            return self._times.after(start.replace(tzinfo=None)).replace(tzinfo=UTC)
        return (self._next_fixed if self.fixed_time else self._next_wildcard)(start, self._zone)

    def _next_fixed(self, start: datetime, zone_: "ZoneInfo") -> datetime:
        time = wall(start, zone_)
        if time.fold:
            time = wall(change_at(time, zone_)[0] - SECOND, zone_)  # the last second of the first pass
        while True:
            time = self._times.after(time)
            if found := readings(time, zone_):
                return found[0]
            change, forward = change_at(time, zone_)
            if forward <= LONGEST_GAP:
                return change
            time = wall(change, zone_) - SECOND

    def _next_wildcard(self, start: datetime, zone_: "ZoneInfo") -> datetime:
        time = wall(start, zone_)
        found = self._wildcard_from(time.replace(fold=0), start, zone_)
        if not time.fold and len(readings(time, zone_)) == 2:
            change, _ = change_at(time, zone_)
            if found >= change:  # the second pass begins earlier, perhaps with an earlier due time
                found = min(found, self._wildcard_from(wall(change, zone_) - SECOND, start, zone_))
        return found

    def _wildcard_from(self, time: datetime, start: datetime, zone_: "ZoneInfo") -> datetime:
        while True:
            time = self._times.after(time)
            found = readings(time, zone_)
            if later := [instant for instant in found if instant > start]:
                return later[0]
            if not found:
                time = wall(change_at(time, zone_)[0], zone_) - SECOND

    @property
    def _times(self) -> "WallTimes":
        if self._wall_times is None:  # not in __init__: croniter is loaded only where a due time is needed
            self._wall_times = wall_times(self.fields)
        return self._wall_times

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cron):
            return NotImplemented
        return (other.expression, other.timezone) == (self.expression, self.timezone)

    def __hash__(self) -> int:
        return hash((self.expression, self.timezone))

    def __reduce__(self) -> tuple[type["Cron"], tuple[str, str]]:
        return Cron, (self.expression, self.timezone)

    def __repr__(self) -> str:
        return f"Cron({self.expression!r}, {self.timezone!r})"
