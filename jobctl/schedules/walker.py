"""croniter, wrapped once: it walks the calendar in wall-clock time and knows no zone.

It is handed sorted lists and stars only, so neither its grammar nor a change of it matters: equal ranges,
``a/n``, random and hashed fields, years, seconds last. Its own rule for clock changes is never asked.
"""

import os
import threading
from datetime import datetime
from functools import lru_cache

from jobctl.schedules import days
from jobctl.schedules.fields import LAST, Fields, Values, parse

_YEARS = 50
_LOCK = threading.Lock()
os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


class Walker:
    """The times of one expression. May be shared by threads."""

    __slots__ = ("_croniter", "_found", "_since")

    def __init__(self, canonical: str, *, either: bool) -> None:
        from croniter import croniter

        self._since = self._found = datetime(1970, 1, 1)  # noqa: DTZ001 - what a wall clock shows has no zone
        self._croniter = croniter(
            canonical, self._since, ret_type=datetime, day_or=either, max_years_between_matches=_YEARS
        )

    def after(self, time: datetime) -> datetime:
        """The first matching time strictly after a naive one.

        Raises:
            OverflowError: there is none before the year 10,000.
        """
        with _LOCK:
            if not self._since <= time < self._found:
                try:
                    self._croniter.set_current(time, force=True)
                    found: datetime = self._croniter.get_next(datetime)
                except ValueError as error:
                    raise OverflowError("no such time") from error
                self._since, self._found = time, found
            return self._found


@lru_cache(maxsize=512)
def walker(expression: str) -> Walker:
    """The walker of an expression that can be read; those that mean the same share it."""
    _, fields = parse(expression)
    return _walker(_canonical(fields), days.either(fields))


@lru_cache(maxsize=512)
def _walker(canonical: str, either: bool) -> Walker:  # noqa: FBT001
    return Walker(canonical, either=either)


def _canonical(fields: Fields) -> str:
    """Minute to weekday, and seconds behind them where croniter needs to know."""
    second, minute, hour, day, month, weekday = map(_listed, fields)
    if not days.has_day_of_month(fields):
        day = "*"  # croniter 6 fails at a Monday or 30 February
    elif days.either(fields) and "*" in {day, weekday}:
        day = weekday = "*"
    five = f"{minute} {hour} {day} {month} {weekday}"
    return five if second == "0" else f"{five} {second}"


def _listed(values: Values) -> str:
    if values.full:
        return "*"
    items = [str(number) for number in values.numbers]
    items += [f"L{day}" if nth == LAST else f"{day}#{nth}" for day, nth in values.nth]
    return ",".join([*items, "L"] if values.last_day else items)
