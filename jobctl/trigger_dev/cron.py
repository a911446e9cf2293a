"""Converts a schedule to a cron expression of Trigger.dev: five fields of numbers that mean the same there.

Trigger.dev reads cron with cron-parser 4.9: two spaces count as a seconds field, names and wrapping ranges are read in
several ways, and a day matches if either day field does. So the expression is written from the parsed fields, and
refused where its meaning would differ.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from jobctl.errors import ScheduleError
from jobctl.model import Schedule
from jobctl.schedules import Cron, Every, cron_grammar, unfiltered
from jobctl.schedules.convert import interval_to_cron
from jobctl.schedules.cron_grammar import DAY, HOUR, LAST, MINUTE, MONTH, WEEKDAY, CronFields, write_field
from jobctl.schedules.wall_times import changes
from jobctl.schedules.zones import same_zones, zone
from jobctl.text import quote

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_YEAR = timedelta(days=366)
_BEFORE, _AFTER = timedelta(hours=3), timedelta(hours=26)
"""Around a clock change: the times that it skips or repeats are within."""


def window_of(jitter: timedelta) -> str:
    """A job's jitter as a window of Trigger.dev, which spreads start times: whole minutes, at most a day.

    ``0m``: exact times, even if the server spreads them by default.
    """
    minutes = min(ceil(jitter.total_seconds() / 60), 24 * 60)
    return f"{minutes // 60}h" if minutes and minutes % 60 == 0 else f"{minutes}m"


def trigger_cron(schedule: Schedule) -> str:
    """Convert a schedule, in its own time zone.

    Raises:
        ScheduleError: Trigger.dev does not support it; the hint says what it would.
    """
    if isinstance(schedule, Every):
        return interval_to_cron(schedule.interval)
    if not isinstance(schedule, Cron):
        raise ScheduleError(f"{quote(schedule.text)} is neither an interval nor a cron expression")
    fields = schedule.fields
    if fields.second.numbers != (0,):
        raise ScheduleError(
            f"{quote(schedule.text)} has seconds, and Trigger.dev counts whole minutes",
            hint="write five fields",
        )
    day, weekday = _days(fields, schedule.text)
    minute, hour = write_field(MINUTE, fields.minute), write_field(HOUR, fields.hour)
    return f"{minute} {hour} {day} {write_field(MONTH, fields.month)} {weekday}"


def known_zone(name: str, known: frozenset[str]) -> str | None:
    """The name of a zone in Trigger.dev's list, which has some by older names; or None."""
    if name == "UTC" or name in known:
        return name
    return next((other for other in same_zones(name) if other in known), None)


def caution(schedule: Schedule, now: datetime) -> str | None:
    """How Trigger.dev's due times differ from those of ``jobctl run``, as clauses; None: not at all.

    The due times around every clock change of the next year are compared.
    """
    clauses = [_caution(member, now) for member in schedule.members]
    each = sum(member.count(now, now + _YEAR, now) for member in schedule.members)
    if each > unfiltered(schedule).count(now, now + _YEAR, now):
        clauses.append(
            "some of its expressions are due at the same time, and Trigger.dev runs it for each of them"
        )
    return "; ".join(dict.fromkeys(filter(None, clauses))) or None


def _caution(schedule: Schedule, now: datetime) -> str | None:
    if isinstance(schedule, Every) and schedule.interval > timedelta(hours=1):
        return _interval_caution(schedule)
    if not isinstance(schedule, Cron) or schedule.timezone == "UTC" or schedule.fields.second.numbers != (0,):
        return None
    place = zone(schedule.timezone)
    for change, _ in changes(now, now + _YEAR, place):
        begin, end = change - _BEFORE, change + _AFTER
        remote = set(due_times(schedule.fields, place, begin, end))
        local = set(_due_times(schedule, begin, end))
        if remote != local:
            first = min(remote ^ local).astimezone(place)
            there, here = _clock_times(remote - local, place), _clock_times(local - remote, place)
            return f"when the clocks change its times differ: on {first:%Y-%m-%d} Trigger.dev {there}, and jobctl run {here}"
    return None


def _due_times(schedule: Cron, begin: datetime, end: datetime) -> Iterator[datetime]:
    due = schedule.next_after(begin)
    while due <= end:
        yield due
        due = schedule.next_after(due)


def _clock_times(instants: set[datetime], place: "ZoneInfo") -> str:
    """``runs it at 02:30 CET, 03:00 CEST``; at most three times."""
    shown = [f"{instant.astimezone(place):%H:%M %Z}" for instant in sorted(instants)]
    more = f" and {len(shown) - 3} times more" if len(shown) > 3 else ""
    return f"runs it at {', '.join(shown[:3])}{more}" if shown else "skips it"


def _interval_caution(schedule: Every) -> str | None:
    """The clause for an interval that counts from another start there."""
    try:
        interval_to_cron(schedule.interval)
    except ScheduleError:  # trigger_cron refuses it
        return None
    day = "Sunday at midnight" if schedule.interval >= timedelta(weeks=1) else "midnight"
    return f"{schedule.text} counts there from {day} UTC, and not from its first run"


def _days(fields: CronFields, text: str) -> tuple[str, str]:
    """Both day fields, or ``ScheduleError`` where their combination is not supported."""
    if len(fields.weekday.nth) > 1 and any(nth != LAST for _, nth in fields.weekday.nth):
        raise ScheduleError(f"{quote(text)} has several #, and Trigger.dev accepts one", hint="make two jobs")
    day, weekday = write_field(DAY, fields.day), write_field(WEEKDAY, fields.weekday)
    if cron_grammar.either_day_is_enough(fields):
        return ("*", "*") if "*" in {day, weekday} else (day, weekday)
    if "*" not in {day, weekday}:
        raise ScheduleError(
            f"in {quote(text)} both day fields must match, and at Trigger.dev either may",
            hint="write * in either",
        )
    return day, weekday


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_NO_HOUR = -1
_EPOCH = date(1970, 1, 1)


def due_times(fields: CronFields, zone: "ZoneInfo", after: datetime, until: datetime) -> Iterator[datetime]:
    """Every due time in ``(after, until]`` by the algorithm of cron-parser 4.9."""
    search = _CronParser(fields, zone)
    instant, end = int(after.timestamp()) // _MINUTE * _MINUTE, int(until.timestamp())
    while (instant := search.next_after(instant, end)) <= end:
        yield datetime.fromtimestamp(instant, UTC)


class _CronParser:
    """The search of cron-parser, with its behaviour when clocks change.

    Instants are seconds since 1970; a wall-clock time is such a number too, as if the zone were UTC.
    """

    def __init__(self, fields: CronFields, zone: "ZoneInfo") -> None:
        self._fields = fields
        self._zone = zone
        self._some_hours = not fields.hour.full
        self._start_hour = self._end_hour = _NO_HOUR

    def next_after(self, start: int, end: int) -> int:
        """The next due time, or an instant after ``end``."""
        self._start_hour = self._end_hour = _NO_HOUR
        hours, minutes = self._fields.hour.numbers, self._fields.minute.numbers
        now = start
        while now <= end:
            wall = now + self._offset(now)
            hour = wall % _DAY // _HOUR
            if not cron_grammar.is_due_on(self._fields, _EPOCH + timedelta(wall // _DAY)):
                now = self._next_day(now)
            elif hour not in hours and self._start_hour != hour:
                self._start_hour = _NO_HOUR
                now = self._shifted(now, self._next_hour(now))
            elif hour not in hours and hour - 1 not in hours:
                now = self._next_hour(now)
            elif hour in hours and self._end_hour == hour:
                self._end_hour = _NO_HOUR
                now = self._shifted(now, self._next_hour(now))
            elif wall % _HOUR // _MINUTE not in minutes or now == start:
                now = self._shifted(now, self._next_minute(now))
            else:
                return now
        return now

    def _shifted(self, before: int, after: int) -> int:
        """Note that an hour was skipped, or repeats."""
        was, wall = self._hour(before), after + self._offset(after)
        ahead = wall % _DAY // _HOUR - was
        if ahead == 2 and self._some_hours:
            self._start_hour = was + 2
        elif ahead == 0 and wall % _HOUR == 0 and self._some_hours:
            self._end_hour = was
        return after

    def _next_day(self, now: int) -> int:
        offset = self._offset(now)
        found = self._floor(self._instant(now + offset + _DAY, offset), _DAY)
        return self._next_hour(found) if found == now else found

    def _next_hour(self, now: int) -> int:
        found = self._floor(now + _HOUR, _HOUR)
        return found if found > now else found + _HOUR

    def _next_minute(self, now: int) -> int:
        found = self._floor(now + _MINUTE, _MINUTE)
        return found if found >= now else found + _HOUR

    def _floor(self, now: int, unit: int) -> int:
        offset = self._offset(now)
        wall = now + offset
        return self._instant(wall - wall % unit, offset)

    def _instant(self, wall: int, guess: int) -> int:
        """The instant of a wall-clock time, chosen as luxon does where there is none or two."""
        first = self._offset(wall - guess)
        if first == guess:
            return wall - guess
        second = self._offset(wall - first)
        return wall - (first if first == second else min(first, second))

    def _hour(self, now: int) -> int:
        return (now + self._offset(now)) % _DAY // _HOUR

    def _offset(self, now: int) -> int:
        found = datetime.fromtimestamp(now, self._zone).utcoffset()
        return int(found.total_seconds()) if found else 0
