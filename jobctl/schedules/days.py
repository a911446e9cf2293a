"""Which days a cron expression names, by our own look at the calendar: for checks, counts and words."""

from datetime import date

from jobctl.schedules.fields import DAY, LAST, WEEKDAY, CronFieldError, Fields, place

_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def either(fields: Fields) -> bool:
    """Whether one matching day field is enough. Vixie's rule: unless either begins with a star."""
    return not (fields.day.star or fields.weekday.star)


def every_day(fields: Fields) -> bool:
    """Whether each day of the year is meant."""
    day, week = fields.day.full, fields.weekday.full
    return fields.month.full and ((day or week) if either(fields) else (day and week))


def rule(fields: Fields) -> str | None:
    """How the two day fields go together, in words, where both have a say; else None."""
    if either(fields):
        return "due where the day of month or the day of week matches"
    if fields.day.full or fields.weekday.full:
        return None
    return "due where both the day of month and the day of week match"


def has_day_of_month(fields: Fields) -> bool:
    """Whether a month that is meant has, in some year, a day of month that is meant."""
    longest = max(_LONGEST[month - 1] for month in fields.month.numbers)
    return fields.day.last_day or fields.day.numbers[0] <= longest


def matches(fields: Fields, day: date) -> bool:
    """Whether a day is meant."""
    if day.month not in fields.month.numbers:
        return False
    in_month = day.day in fields.day.numbers or (fields.day.last_day and day.day == _length(day))
    in_week = day.isoweekday() % 7 in fields.weekday.numbers or _is_nth(fields, day)
    return (in_month or in_week) if either(fields) else (in_month and in_week)


def check(fields: Fields, expression: str) -> None:
    """Refuse what names no day, and what cron implementations disagree about.

    Every other expression names a day within 40 years: 29 February falls on each weekday that often,
    over a century without a leap day too.

    Raises:
        CronFieldError: pointing at the day field to blame.
    """
    day, weekday = fields.day, fields.weekday
    if weekday.nth and weekday.numbers:
        raise CronFieldError(
            "day of week: plain days do not go together with # or L",
            place(expression, WEEKDAY),
            hint="make two jobs of it",
        )
    if weekday.nth and not (day.star and day.full):
        raise CronFieldError(
            "day of week: # and L do not go together with a day of month",
            place(expression, WEEKDAY),
            hint="write * as day of month",
        )
    if not has_day_of_month(fields) and not (either(fields) and weekday.numbers):
        days, months = (", ".join(map(str, field.numbers)) for field in (day, fields.month))
        raise CronFieldError(f"day of month: {days} is never in month {months}", place(expression, DAY))


def _length(day: date) -> int:
    leap = day.year % 4 == 0 and (day.year % 100 != 0 or day.year % 400 == 0)
    return 28 if day.month == 2 and not leap else _LONGEST[day.month - 1]


def _is_nth(fields: Fields, day: date) -> bool:
    for weekday, nth in fields.weekday.nth:
        if day.isoweekday() % 7 == weekday:
            last = day.day + 7 > _length(day)
            if last if nth == LAST else (day.day + 6) // 7 == nth:
                return True
    return False
