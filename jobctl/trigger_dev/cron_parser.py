"""The due times as Trigger.dev has them: the search of cron-parser 4.9.0 over luxon's arithmetic, followed step by
step, since it is these steps that decide what happens where clocks change."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from jobctl.schedules import cron_grammar
from jobctl.schedules.cron_grammar import Fields

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_NONE = -1
"""No hour."""
_EPOCH = date(1970, 1, 1)


def due_times(fields: Fields, zone: "ZoneInfo", after: datetime, until: datetime) -> Iterator[datetime]:
    """Every due time in ``(after, until]``, each searched for from the one before, as the engine does."""
    search = _Search(fields, zone)
    instant, end = int(after.timestamp()) // _MINUTE * _MINUTE, int(until.timestamp())
    while (instant := search.next_after(instant, end)) <= end:
        yield datetime.fromtimestamp(instant, UTC)


class _Search:
    """Instants are seconds since 1970. A wall-clock time is such a number too, as if the zone were UTC."""

    def __init__(self, fields: Fields, zone: "ZoneInfo") -> None:
        self._fields = fields
        self._zone = zone
        self._some_hours = not fields.hour.full
        self._start_hour = self._end_hour = _NONE

    def next_after(self, start: int, end: int) -> int:
        """The next due time, or an instant behind ``end``."""
        self._start_hour = self._end_hour = _NONE
        hours, minutes = self._fields.hour.numbers, self._fields.minute.numbers
        now = start
        while now <= end:
            wall = now + self._offset(now)
            hour = wall % _DAY // _HOUR
            if not cron_grammar.matches(self._fields, _EPOCH + timedelta(wall // _DAY)):
                now = self._next_day(now)
            elif hour not in hours and self._start_hour != hour:
                self._start_hour = _NONE
                now = self._shifted(now, self._next_hour(now))
            elif hour not in hours and hour - 1 not in hours:
                now = self._next_hour(now)
            elif hour in hours and self._end_hour == hour:
                self._end_hour = _NONE
                now = self._shifted(now, self._next_hour(now))
            elif wall % _HOUR // _MINUTE not in minutes or now == start:
                now = self._shifted(now, self._next_minute(now))
            else:
                return now
        return now

    def _shifted(self, before: int, after: int) -> int:
        """Note where an hour was left out, or begins again."""
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
        """The instant of a wall-clock time, as luxon settles what has none or two."""
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
