"""Real cron: croniter walks the calendar in wall-clock time, the rules for clock changes are ours.

When clocks change, Debian cron's rule holds. A *wildcard job*, whose minute or hour field begins with a
star, follows real time: what falls into a gap never happens, a repeated hour counts twice. Any other
is a *fixed-time job*: each wall-clock time is due once, of a repeated period in its first pass; a time
inside a gap of up to three hours at the first instant after it, several such as one; inside a longer
gap not at all. The seconds field does not count. Source: cron(8) and cron.c of Debian.
"""

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobctl.errors import ScheduleError
from jobctl.schedules.fields import DAY, FIELDS, WEEKDAY, CronFieldError, Field, Values, read, split
from jobctl.schedules.walltime import SECOND, change_at, offsets, readings, wall
from jobctl.schedules.zones import zone
from jobctl.text import quote

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

LONGEST_GAP = timedelta(hours=3)
YEARS = 50
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Cron:
    """Due when the clock on the wall of ``timezone`` shows a matching time.

    Args:
        expression: 5 fields, or 6 with seconds first; or ``@hourly``, ``@daily``, ``@weekly``,
            ``@monthly``, ``@yearly``.
        timezone: an IANA name.

    Raises:
        ScheduleError: what cannot be read, or matches nothing within 50 years; names the field.
    """

    __slots__ = ("_either", "_lock", "_walker", "_zone", "expression", "timezone", "values")

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        parts = split(expression)
        self.values = tuple(
            read(field, text, span) for field, (text, span) in zip(FIELDS, parts, strict=True)
        )
        self.expression = " ".join(expression.split())
        self.timezone = timezone
        self._zone: ZoneInfo | None = None
        if timezone != "UTC":
            self._zone = zone(timezone)
        day, weekday = self.values[3], self.values[5]
        self._either = not (day.star or weekday.star)
        self._check_days(parts[3][1], parts[5][1])
        self._walker: Any = None
        self._lock = threading.Lock()

    @property
    def text(self) -> str:
        """The expression, one blank between fields."""
        return self.expression

    @property
    def fixed_time(self) -> bool:
        """Whether each wall-clock time is due once: neither minute nor hour begins with a star."""
        return not (self.values[1].star or self.values[2].star)

    @property
    def day_rule(self) -> str | None:
        """How the two day fields go together, where both say something; else None."""
        day, weekday = self.values[3], self.values[5]
        if day.full(DAY) or (weekday.full(WEEKDAY) and not weekday.nth):
            return None
        if self._either:
            return "due where the day of month or the day of week matches"
        return "due where both the day of month and the day of week match"

    def next_after(self, instant: datetime, anchor: datetime | None = None) -> datetime:  # noqa: ARG002
        """The first due time strictly after ``instant``, in UTC.

        Raises:
            ScheduleError: there is none before the year 9999.
        """
        start = instant.astimezone(UTC)
        if self._zone is None:
            return self._walk(start.replace(tzinfo=None, microsecond=0)).replace(tzinfo=UTC)
        return self._next_fixed(start) if self.fixed_time else self._next_wildcard(start)

    def latest_until(
        self,
        instant: datetime,
        after: datetime,
        anchor: datetime | None = None,  # noqa: ARG002
    ) -> datetime | None:
        """The newest due time in ``(after, instant]``: found by halving, never by listing."""
        span = timedelta(minutes=1)
        while self.next_after(max(after, instant - span)) > instant:
            if instant - span <= after:
                return None
            span *= 2
        low, high = max(after, instant - span), instant
        while high - low > SECOND:
            middle = low + (high - low) / 2
            if self.next_after(middle) <= instant:
                low = middle
            else:
                high = middle
        newest = self.next_after(low)
        following = self.next_after(newest)
        return following if following <= instant else newest

    def count(
        self,
        after: datetime,
        until: datetime,
        anchor: datetime | None = None,  # noqa: ARG002
        limit: int = 100,
    ) -> int:
        """How many due times lie in ``(after, until]``, listed up to ``limit``."""
        found = 0
        while found < limit and (after := self.next_after(after)) <= until:
            found += 1
        return found

    def note(self, instant: datetime) -> str | None:
        """What a clock change does to a due time, in words; None on an ordinary day."""
        if self._zone is None:
            return None
        shown = wall(instant, self._zone)
        before = instant - SECOND
        if wall(before, self._zone) + SECOND < shown:
            named = self._walk(wall(before, self._zone).replace(fold=0))
            return f"{named:%H:%M} does not exist" if named < shown else None
        if len(readings(shown, self._zone)) == 2:
            which = "second" if shown.fold else "first"
            return f"{shown:%H:%M} comes twice, this is the {which}"
        return None

    def _next_fixed(self, start: datetime) -> datetime:
        zone_ = self._zone or zone("UTC")
        time = wall(start, zone_).replace(microsecond=0)
        if time.fold:
            time = wall(change_at(time, zone_) - SECOND, zone_)  # the last second of the first pass
        time = time.replace(fold=0)
        while True:
            time = self._walk(time)
            found = readings(time, zone_)
            if found:
                if found[0] > start:
                    return found[0]
                continue
            before, after = offsets(time, zone_)
            change = change_at(time, zone_)
            if after - before <= LONGEST_GAP and change > start:
                return change
            time = wall(change, zone_).replace(fold=0) - SECOND

    def _next_wildcard(self, start: datetime) -> datetime:
        zone_ = self._zone or zone("UTC")
        time = wall(start, zone_).replace(microsecond=0)
        found = self._wildcard_from(time.replace(fold=0), start, zone_)
        if not time.fold and len(readings(time, zone_)) == 2:
            change = change_at(time, zone_)
            if found >= change:
                back = wall(change, zone_).replace(fold=0)
                found = min(found, self._wildcard_from(back - SECOND, start, zone_))
        return found

    def _wildcard_from(self, time: datetime, start: datetime, zone_: "ZoneInfo") -> datetime:
        while True:
            time = self._walk(time)
            found = readings(time, zone_)
            if later := [one for one in found if one > start]:
                return later[0]
            if not found:
                time = wall(change_at(time, zone_), zone_).replace(fold=0) - SECOND

    def _walk(self, time: datetime) -> datetime:
        """The next matching wall-clock time strictly after a naive one, by croniter."""
        with self._lock:
            if self._walker is None:
                from croniter import croniter

                self._walker = croniter(
                    self._canonical(),
                    time,
                    ret_type=datetime,
                    day_or=self._either,
                    max_years_between_matches=YEARS,
                )
            try:
                self._walker.set_current(time, force=True)
                found: datetime = self._walker.get_next(datetime)
            except (ValueError, OverflowError) as error:
                raise ScheduleError(
                    f"{quote(self.expression)} has no due time after {time:%Y-%m-%d}"
                ) from error
        return found.replace(tzinfo=None)

    def _canonical(self) -> str:
        """What croniter is given: sorted lists or stars, seconds last, so that none of its grammar matters."""
        second, minute, hour, day, month, weekday = (
            _listed(field, values) for field, values in zip(FIELDS, self.values, strict=True)
        )
        if self._either and "*" in {day, weekday}:
            day = weekday = "*"
        return f"{minute} {hour} {day} {month} {weekday} {second}"

    def _check_days(self, day_span: tuple[int, int], weekday_span: tuple[int, int]) -> None:
        day, months, weekday = self.values[3], self.values[4], self.values[5]
        if weekday.nth:
            if weekday.numbers:
                raise CronFieldError(
                    "day of week: plain days do not go together with # or L",
                    weekday_span,
                    hint="make two jobs of it",
                )
            if not day.full(DAY):
                raise CronFieldError(
                    "day of week: # and L do not go together with a day of month",
                    weekday_span,
                    hint="write * there",
                )
        if day.last_day or (self._either and weekday.numbers):
            return
        if not any(number <= _LONGEST[month - 1] for number in day.numbers for month in months.numbers):
            names = ", ".join(str(number) for number in sorted(day.numbers))
            raise CronFieldError(
                f"day of month: {names} is never in month {', '.join(map(str, sorted(months.numbers)))}",
                day_span,
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cron) and (other.expression, other.timezone) == (
            self.expression,
            self.timezone,
        )

    def __hash__(self) -> int:
        return hash((self.expression, self.timezone))

    def __repr__(self) -> str:
        return f"Cron({self.expression!r}, {self.timezone!r})"


def _listed(field: Field, values: Values) -> str:
    if values.nth:
        return ",".join(sorted(f"L{day}" if nth < 0 else f"{day}#{nth}" for day, nth in values.nth))
    if values.full(field) and not values.last_day:
        return "*"
    return ",".join(
        [*(str(number) for number in sorted(values.numbers)), *(["L"] if values.last_day else [])]
    )
