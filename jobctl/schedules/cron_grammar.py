"""The grammar of cron expressions: parsed to sets of numbers, checked, and written back as text.

It is Vixie's and Debian's grammar, plus seconds as the first of six fields, ``L`` and ``#``. ASCII, 256 characters at most.
"""

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from jobctl.errors import ScheduleError
from jobctl.text import quote
from jobctl.value_class import value

MAX_LENGTH = 256
LAST = -1
"""The ``n`` of a last weekday of the month, such as ``L5``."""

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class CronFieldError(ScheduleError):
    """An error in one field. ``span`` is its place in the expression, for a caret below it."""

    def __init__(self, message: str, span: tuple[int, int] | None = None, *, hint: str | None = None) -> None:
        self.span = span
        super().__init__(message, hint=hint)


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@value
class CronField:
    """The values of one field. ``top`` is the highest value of its star."""

    name: str
    least: int
    most: int
    top: int
    names: tuple[str, ...] = ()


SECOND = CronField("second", 0, 59, 59)
MINUTE = CronField("minute", 0, 59, 59)
HOUR = CronField("hour", 0, 23, 23)
DAY = CronField("day of month", 1, 31, 31)
MONTH = CronField("month", 1, 12, 12, _MONTHS)
WEEKDAY = CronField("day of week", 0, 7, 6, _DAYS)
FIELDS = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)


@value
class FieldValues:
    """A parsed field.

    Attributes:
        numbers: sorted, without duplicates; Sunday is 0.
        star: whether the text begins with a star.
        full: whether it contains every value of its field.
        nth: (weekday, n) with n from 1 to 5, or ``LAST``.
        last_day: whether it contains the last day of the month.
    """

    numbers: tuple[int, ...]
    star: bool
    full: bool
    nth: tuple[tuple[int, int], ...] = ()
    last_day: bool = False


class CronFields(NamedTuple):
    """A parsed cron expression."""

    second: FieldValues
    minute: FieldValues
    hour: FieldValues
    day: FieldValues
    month: FieldValues
    weekday: FieldValues


def parse(expression: str) -> tuple[str, CronFields]:
    """Parse an expression: its text with one blank between fields, and its fields.

    Raises:
        CronFieldError: it cannot be parsed; ``span`` is the place of the field.
    """
    parts = _split(expression)
    text = " ".join(parts)
    plain = ALIASES[text.lower()].split() if len(parts) == 1 else parts
    six = plain if len(plain) == 6 else ["0", *plain]
    values: list[FieldValues] = []
    for field, part in zip(FIELDS, six, strict=True):
        try:
            values.append(_read(field, part))
        except CronFieldError as error:
            error.span = span_of(expression, field)
            raise
    return text, CronFields(*values)


def span_of(expression: str, field: CronField) -> tuple[int, int]:
    """The place of a field in an expression of five or six: the offsets of its first character and its end."""
    parts = _split(expression)
    index = len(parts) - len(FIELDS) + FIELDS.index(field)
    start = 0
    for part in parts[:index]:
        start = expression.index(part, start) + len(part)
    start = expression.index(parts[index], start)
    return start, start + len(parts[index])


def _split(expression: object) -> list[str]:
    if not isinstance(expression, str):
        raise CronFieldError(f"a cron expression is text, not {type(expression).__name__}")
    if len(expression) > MAX_LENGTH:
        raise CronFieldError(
            f"a cron expression has at most {MAX_LENGTH} characters, not {len(expression)}: {quote(expression)}"
        )
    parts = [part for part in expression.replace("\t", " ").split(" ") if part]
    if len(parts) == 1 and parts[0].startswith("@"):
        if parts[0].lower() not in ALIASES:
            raise CronFieldError(f"{quote(parts[0])} is not known", hint=f"use one of {' '.join(ALIASES)}")
    elif len(parts) not in {5, 6}:
        number = f"{len(parts)} field{'' if len(parts) == 1 else 's'}"
        hint = "minute hour day-of-month month day-of-week, such as 0 9 * * 1"
        if parts[:1] == ["@every"]:
            hint = f"write an interval: every {' '.join(parts[1:])}"
        elif len(parts) == 7:
            hint = "the seventh field of Quartz is a year, which no schedule has here: leave it out"
        raise CronFieldError(
            f"{quote(expression)} has {number}; cron needs 5, or 6 with seconds first", hint=hint
        )
    return parts


@lru_cache(maxsize=512)  # jobs share most of their fields: saves time and memory with ten thousand jobs
def _read(field: CronField, text: str) -> FieldValues:
    numbers: set[int] = set()
    nth: set[tuple[int, int]] = set()
    last_day = False
    for item in text.split(","):
        if field is DAY and item in {"L", "l"}:
            last_day = True
        elif field is WEEKDAY and "#" in item:
            nth.add(_nth(item))
        elif field is WEEKDAY and item[:1] in {"L", "l"}:
            nth.add((_value(field, item[1:], item) % 7, LAST))
        elif field is WEEKDAY and item[-1:] in {"L", "l"}:
            nth.add((_value(field, item[:-1], item) % 7, LAST))
        else:
            numbers.update(_numbers(field, item))
    if field is WEEKDAY:
        numbers = {number % 7 for number in numbers}
    full = len(numbers) == field.top - field.least + 1
    return FieldValues(tuple(sorted(numbers)), text.startswith("*"), full, tuple(sorted(nth)), last_day)


def _nth(item: str) -> tuple[int, int]:
    day, _, number = item.partition("#")
    found = _whole(number)
    if found is None or not 1 <= found <= 5:
        raise CronFieldError(f"day of week: {quote(item)} has no number from #1 to #5")
    return _value(WEEKDAY, day, item) % 7, found


def _numbers(field: CronField, item: str) -> range:
    values, slash, step_text = item.partition("/")
    low_text, dash, high_text = values.partition("-")
    step = _whole(step_text) if slash else 1
    if step is None or (low_text == "*" and dash):
        raise _unreadable(field, item)
    if step == 0:
        raise CronFieldError(f"{field.name}: a step must not be 0")
    if low_text == "*":
        return range(field.least, field.top + 1, step)
    low = _value(field, low_text, item)
    high = _value(field, high_text, item) if dash else low
    if slash and not dash:
        raise CronFieldError(
            f"{field.name}: {quote(item)} has a step but no range", hint=f"write {low}-{field.most}/{step}"
        )
    if high < low:
        raise CronFieldError(
            f"{field.name}: the range {quote(item)} runs backwards", hint=_forward(field, low, high)
        )
    return range(low, high + 1, step)


def _value(field: CronField, text: str, item: str) -> int:
    number = _whole(text)
    if number is not None:
        if not field.least <= number <= field.most:
            raise CronFieldError(f"{field.name}: {number} is not in {field.least}-{field.most}")
        return number
    if text.isascii() and text.upper() in field.names:
        return field.least + field.names.index(text.upper())
    raise _unreadable(field, item)


def _whole(text: str) -> int | None:
    """A number of up to nine ASCII digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _forward(field: CronField, low: int, high: int) -> str:
    """How to write a range that runs over the end of its field."""
    if field is WEEKDAY:
        low %= 7  # Sunday is 0 and 7
    if high == low - 1:
        return "it means all of them: write *"

    def name(number: int) -> str:
        return field.names[number - field.least] if field.names else str(number)

    ranges = ((low, high),) if low <= high else ((low, field.top), (field.least, high))
    return f"write {','.join(name(a) if a == b else f'{name(a)}-{name(b)}' for a, b in ranges)}"


_FOREIGN = {
    "?": "? is of Quartz: write * in a day field that does not matter",
    "H": "H is of Jenkins: write a number, and spread jobs with the key jitter",
    "W": "no weekday nearest to a day is known here: write the days, and check the weekday in the job",
}


def _unreadable(field: CronField, item: str) -> CronFieldError:
    problem = f"{field.name}: {quote(item)} is not a number, a range or a step"
    foreign = re.fullmatch(r"(?a)(\?)|(H)(?:\(.*\))?(?:/\d+)?|\d*L?(W)", item.upper())
    if foreign is not None:
        return CronFieldError(problem, hint=_FOREIGN[foreign[foreign.lastindex or 0]])
    names = f", a name such as {field.names[1]}" if field.names else ""
    return CronFieldError(
        problem,
        hint=f"write a number{names}, a range such as 1-5, a step such as */2, or a list of these",
    )


_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def either_day_is_enough(fields: CronFields) -> bool:
    """Whether one matching day field is enough: Vixie's rule, unless a day field begins with a star."""
    return not (fields.day.star or fields.weekday.star)


def names_every_day(fields: CronFields) -> bool:
    """Whether every day of the year matches."""
    day, week = fields.day.full, fields.weekday.full
    return fields.month.full and ((day or week) if either_day_is_enough(fields) else (day and week))


def day_rule(fields: CronFields) -> str | None:
    """How the two day fields combine, in words, if both restrict the days; else None."""
    if either_day_is_enough(fields):
        return "due when the day of month or the day of week matches"
    if fields.day.full or fields.weekday.full:
        return None
    return "due when both the day of month and the day of week match"


def has_day_of_month(fields: CronFields) -> bool:
    """Whether any of the months has, in some year, any of the days of month."""
    longest = max(_LONGEST[month - 1] for month in fields.month.numbers)
    return fields.day.last_day or fields.day.numbers[0] <= longest


def is_due_on(fields: CronFields, day: date) -> bool:
    """Whether a day matches."""
    if day.month not in fields.month.numbers:
        return False
    in_month = day.day in fields.day.numbers or (fields.day.last_day and day.day == _length(day))
    in_week = day.isoweekday() % 7 in fields.weekday.numbers or _is_nth(fields, day)
    return (in_month or in_week) if either_day_is_enough(fields) else (in_month and in_week)


def check_days(fields: CronFields, expression: str) -> None:
    """Refuse expressions without any day, and those that cron implementations read differently.

    Any other expression names a day within 40 years, since 29 February falls on each weekday that often, even across
    a century year without a leap day.

    Raises:
        CronFieldError: ``span`` is the wrong day field.
    """
    day, weekday = fields.day, fields.weekday
    if weekday.nth and weekday.numbers:
        raise CronFieldError(
            "day of week: plain days cannot be combined with # or L",
            span_of(expression, WEEKDAY),
            hint="make two jobs of it",
        )
    if weekday.nth and not (day.star and day.full):
        raise CronFieldError(
            "day of week: # and L cannot be combined with a day of month",
            span_of(expression, WEEKDAY),
            hint="write * as day of month",
        )
    if not has_day_of_month(fields) and not (either_day_is_enough(fields) and weekday.numbers):
        days, months = (", ".join(map(str, field.numbers)) for field in (day, fields.month))
        raise CronFieldError(f"day of month: {days} is never in month {months}", span_of(expression, DAY))


def _length(day: date) -> int:
    leap = day.year % 4 == 0 and (day.year % 100 != 0 or day.year % 400 == 0)
    return 28 if day.month == 2 and not leap else _LONGEST[day.month - 1]


def _is_nth(fields: CronFields, day: date) -> bool:
    for weekday, nth in fields.weekday.nth:
        if day.isoweekday() % 7 == weekday:
            last = day.day + 7 > _length(day)
            if last if nth == LAST else (day.day + 6) // 7 == nth:
                return True
    return False


def write_field(field: CronField, values: FieldValues) -> str:
    """The shortest text of a field: a star, a step, a range or a list of numbers, with ``L`` and ``#`` at its end."""
    if values.full:
        return "*"
    numbers = list(values.numbers)
    extra = [f"{day}{'L' if nth == LAST else f'#{nth}'}" for day, nth in values.nth]
    if values.last_day:
        extra.append("L")
    if len(numbers) > 2 and not extra:
        step = numbers[1] - numbers[0]
        if numbers == list(range(field.least, field.top + 1, step)):
            return f"*/{step}"
        if numbers == list(range(numbers[0], numbers[-1] + 1)):
            return f"{numbers[0]}-{numbers[-1]}"
    return ",".join([*map(str, numbers), *extra])
