"""A schedule without some dates: slots on them are left out."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from jobctl.clock import INSTANT
from jobctl.errors import ScheduleError
from jobctl.model import Schedule
from jobctl.schedules.zones import zone
from jobctl.text import quote

DateRange = tuple[date, date]
"""The first and the last date."""
FIRST, LAST = date(1970, 1, 1), date(2199, 12, 31)
"""What may be excluded: so there is always a time that is not."""
FORMS = 'write "2026-12-24" or "2026-12-24..2026-12-26"'
_DAY = timedelta(days=1)
_DATE = r"(\d{4}-\d\d-\d\d)"
_RANGE = re.compile(rf"\s*{_DATE}(?:\s*\.\.\s*{_DATE})?\s*", re.ASCII)


def parse_dates(text: str) -> DateRange:
    """Parse ``2026-12-24`` or ``2026-12-24..2026-12-26``.

    Raises:
        ScheduleError: it is neither; says which part is wrong.
    """
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ScheduleError(f"{quote(text)} is neither a date nor a range of dates", hint=FORMS)
    first = _date(found[1])
    last = _date(found[2]) if found[2] else first
    if last < first:
        raise ScheduleError(f"{quote(text)} runs backwards", hint="write the earlier date first")
    return first, last


def _date(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise ScheduleError(f"{quote(text)} is no date of the calendar", hint=FORMS) from None
    if not FIRST <= found <= LAST:
        raise ScheduleError(f"expected a date from {FIRST} to {LAST}, not {text}")
    return found


def merged(ranges: Iterable[DateRange]) -> tuple[DateRange, ...]:
    """In order; those that overlap or touch are one."""
    found: list[DateRange] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + _DAY:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


class Excluding:
    """Due when another schedule is, but on none of the dates.

    Args:
        schedule: the other schedule, in whose time zone a date begins and ends.
        ranges: the dates, in any order.

    Instants as arguments are aware; returned instants are in UTC.
    """

    __slots__ = ("_ends", "_starts", "dates", "schedule")

    def __init__(self, schedule: Schedule, ranges: Iterable[DateRange]) -> None:
        self.schedule = schedule
        self.dates = merged(ranges)
        self._starts, self._ends = _instants(self.dates, schedule.timezone)

    @property
    def text(self) -> str:
        """That of the other schedule."""
        return self.schedule.text

    @property
    def timezone(self) -> str:
        """That of the other schedule."""
        return self.schedule.timezone

    @property
    def members(self) -> tuple[Schedule, ...]:
        """Those of the other schedule, which leave no dates out."""
        return self.schedule.members

    def is_fixed(self, slot: datetime) -> bool:
        """As for the other schedule."""
        return self.schedule.is_fixed(slot)

    def note(self, instant: datetime) -> str | None:
        """As for the other schedule."""
        return self.schedule.note(instant)

    def excludes(self, instant: datetime) -> bool:
        """Whether its date is left out."""
        return self._span(instant) is not None

    def next_after(self, instant: datetime, anchor: datetime) -> datetime:
        """The first due time strictly after ``instant``."""
        found = self.schedule.next_after(instant, anchor)
        while (span := self._span(found)) is not None:
            found = self.schedule.next_after(self._ends[span] - INSTANT, anchor)
        return found

    def latest_until(self, instant: datetime, after: datetime, anchor: datetime) -> datetime | None:
        """The latest due time in ``(after, instant]``, or None."""
        found = self.schedule.latest_until(instant, after, anchor)
        while found is not None and (span := self._span(found)) is not None:
            found = self.schedule.latest_until(self._starts[span] - INSTANT, after, anchor)
        return found

    def count(self, after: datetime, until: datetime, anchor: datetime) -> int:
        """The number of due times in ``(after, until]``."""
        number = self.schedule.count(after, until, anchor)
        for span in range(bisect_right(self._ends, after), len(self._starts)):
            start, end = max(after, self._starts[span] - INSTANT), min(until, self._ends[span] - INSTANT)
            if start >= until:
                break
            number -= self.schedule.count(start, end, anchor)
        return number

    def left_out(self, after: datetime, until: datetime, anchor: datetime) -> Iterator[datetime]:
        """The times in ``(after, until]`` at which it is not due, only the first on each date."""
        there = zone(self.timezone)
        time = self.schedule.next_after(after, anchor)
        while time <= until:
            if self._span(time) is not None:
                yield time
                start = max(time, _midnight(time.astimezone(there).date() + _DAY, self.timezone) - INSTANT)
            else:
                span = bisect_right(self._starts, time)
                if span == len(self._starts):
                    return
                start = self._starts[span] - INSTANT
            time = self.schedule.next_after(start, anchor)

    def _span(self, instant: datetime) -> int | None:
        """The number of the range that has an instant."""
        span = bisect_right(self._starts, instant) - 1
        return span if span >= 0 and instant < self._ends[span] else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Excluding):
            return NotImplemented
        return (other.schedule, other.dates) == (self.schedule, self.dates)

    def __hash__(self) -> int:
        return hash((self.schedule, self.dates))

    def __reduce__(self) -> tuple[type["Excluding"], tuple[Schedule, tuple[DateRange, ...]]]:
        return Excluding, (self.schedule, self.dates)

    def __repr__(self) -> str:
        return f"Excluding({self.schedule!r}, {self.dates!r})"


def unfiltered(schedule: Schedule) -> Schedule:
    """The schedule with the dates that it leaves out."""
    return schedule.schedule if isinstance(schedule, Excluding) else schedule


def why_excluded(schedule: Schedule, slot: datetime) -> str:
    """``2026-12-25 is excluded``."""
    return f"{slot.astimezone(zone(schedule.timezone)):%Y-%m-%d} is excluded"


@lru_cache(maxsize=64)
def _instants(dates: tuple[DateRange, ...], timezone: str) -> tuple[list[datetime], list[datetime]]:
    """When each range begins and ends. Cached, since the jobs of a project share calendars."""
    starts = [_midnight(first, timezone) for first, _ in dates]
    return starts, [_midnight(last + _DAY, timezone) for _, last in dates]


def _midnight(day: date, timezone: str) -> datetime:
    """When a date begins: at the first midnight, or at the clock change that leaves it out."""
    return datetime(day.year, day.month, day.day, tzinfo=zone(timezone)).astimezone(UTC)
