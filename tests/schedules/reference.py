"""Debian cron's rule, slow and obvious: every minute of a night is looked at. Shares nothing with jobctl."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
Night = tuple[tuple[datetime, datetime, tuple[datetime, ...]], ...]


def expand(text: str, low: int, high: int) -> set[int]:
    """The numbers of one field's text."""
    found: set[int] = set()
    for item in text.split(","):
        values, _, step = item.partition("/")
        ends = [str(low), str(high)] if values == "*" else values.split("-")
        found |= set(range(int(ends[0]), int(ends[-1]) + 1, int(step or 1)))
    return found


class Expression:
    """Five fields of plain numbers, or six; ``L`` as day of month, ``L5`` or ``5#2`` as day of week."""

    def __init__(self, text: str) -> None:
        fields = text.split()
        self.seconds = expand(fields.pop(0) if len(fields) == 6 else "0", 0, 59)
        minute, hour, day, month, week = fields
        self.minutes, self.hours, self.months = (
            expand(minute, 0, 59),
            expand(hour, 0, 23),
            expand(month, 1, 12),
        )
        plain = ",".join(item for item in day.split(",") if item != "L")
        self.days = expand(plain, 1, 31) if plain else set()
        self.last = plain != day
        self.special = week.split(",") if "#" in week or "L" in week else []
        self.week = set() if self.special else {one % 7 for one in expand(week, 0, 6)}
        self.wildcard = minute.startswith("*") or hour.startswith("*")
        self.both = day.startswith("*") or week.startswith("*")

    def names_day(self, day: datetime) -> bool:
        weekday = (day.weekday() + 1) % 7
        length = monthrange(day.year, day.month)[1]
        in_month = day.day in self.days or (self.last and day.day == length)
        in_week = weekday in self.week
        for item in self.special:
            number, _, nth = item.partition("#")
            if int(number.strip("L")) == weekday:
                in_week |= day.day + 7 > length if "L" in item else (day.day - 1) // 7 + 1 == int(nth)
        days = (in_month and in_week) if self.both else (in_month or in_week)
        return day.month in self.months and days

    def names(self, minute: datetime) -> bool:
        return minute.minute in self.minutes and minute.hour in self.hours and self.names_day(minute)


@cache
def night(zone: str, start: str, hours: int) -> Night:
    """Each minute from a local start: the instant, what the wall shows, and what was left out before it."""
    tz = ZoneInfo(zone)
    instant = datetime.fromisoformat(start).replace(tzinfo=tz).astimezone(UTC)
    shown = (instant - MINUTE).astimezone(tz).replace(tzinfo=None)
    rows = []
    for _ in range(hours * 60):
        before, shown = shown, instant.astimezone(tz).replace(tzinfo=None)
        gap = max(0, round((shown - before) / MINUTE) - 1)
        left_out = tuple(before.replace(fold=0) + MINUTE * (1 + number) for number in range(gap))
        rows.append((instant, shown, left_out))
        instant += MINUTE
    return tuple(rows)


def due_times(text: str, minutes: Night) -> list[datetime]:
    """Every due time in these minutes."""
    cron = Expression(text)
    found: set[datetime] = set()
    for instant, shown, left_out in minutes:
        if cron.names(shown) and (cron.wildcard or not shown.fold):
            found |= {instant + timedelta(seconds=second) for second in cron.seconds}
        if not cron.wildcard and len(left_out) <= 180 and any(cron.names(one) for one in left_out):
            found.add(instant)
    return sorted(found)
