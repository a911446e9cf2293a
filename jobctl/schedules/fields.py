"""The grammar of cron expressions: text to sets of numbers, and faults that point at their field.

Vixie's and Debian's grammar, plus seconds first where there are six fields, plus ``L`` and ``#`` in the
day fields as croniter has them. Only ASCII, 256 characters at most.
"""

import re
from dataclasses import dataclass

from jobctl.errors import ScheduleError
from jobctl.text import quote

MAX_LENGTH = 256

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True, slots=True)
class Field:
    """What one field may hold."""

    name: str
    least: int
    most: int
    names: dict[str, int]


SECOND = Field("second", 0, 59, {})
MINUTE = Field("minute", 0, 59, {})
HOUR = Field("hour", 0, 23, {})
DAY = Field("day of month", 1, 31, {})
MONTH = Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, start=1)})
WEEKDAY = Field("day of week", 0, 7, {name: number for number, name in enumerate(_DAYS)})

FIELDS = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_ITEM = re.compile(
    r"(?P<low>\*|[0-9]{1,9}|[A-Za-z]{3})(?:-(?P<high>[0-9]{1,9}|[A-Za-z]{3}))?(?:/(?P<step>[0-9]{1,9}))?",
    re.ASCII,
)
_NTH = re.compile(r"(?P<day>[0-9]|[A-Za-z]{3})#(?P<nth>[0-9]{1,3})", re.ASCII)
_LAST = re.compile(r"[Ll]?(?P<day>[0-9]|[A-Za-z]{3})[Ll]?", re.ASCII)


class CronFieldError(ScheduleError):
    """A fault in one field. ``span`` is where it stands in the expression, for a caret below it."""

    def __init__(self, message: str, span: tuple[int, int] | None = None, *, hint: str | None = None) -> None:
        self.span = span
        super().__init__(message, hint=hint)


@dataclass(frozen=True, slots=True)
class Values:
    """One field read: its numbers, whether it begins with a star, and its special days.

    ``nth`` holds (weekday, n) with n from 1 to 5, or -1 for the last of the month; ``last_day``
    stands for the last day of the month.
    """

    numbers: frozenset[int]
    star: bool
    nth: frozenset[tuple[int, int]] = frozenset()
    last_day: bool = False

    def full(self, field: Field) -> bool:
        """Whether it holds every value of the field."""
        most = 6 if field is WEEKDAY else field.most
        return len(self.numbers) == most - field.least + 1


def split(expression: str) -> list[tuple[str, tuple[int, int]]]:
    """The six fields with their places, seconds added where there are five; aliases opened.

    Raises:
        CronFieldError: too long, not ASCII, an unknown alias, or another number of fields.
    """
    if not isinstance(expression, str):
        raise CronFieldError(f"a cron expression is text, not {type(expression).__name__}")
    if len(expression) > MAX_LENGTH:
        raise CronFieldError(
            f"a cron expression has at most {MAX_LENGTH} characters, not {len(expression)}: {quote(expression)}"
        )
    text = expression.strip(" \t")
    if text.startswith("@"):
        if text.lower() not in ALIASES:
            raise CronFieldError(f"{quote(text)} is not known", hint=f"use one of {' '.join(ALIASES)}")
        return [("0", (0, 0)), *((part, (0, 0)) for part in ALIASES[text.lower()].split())]
    parts = [(match.group(), match.span()) for match in re.finditer(r"[^ \t]+", expression)]
    if len(parts) == 5:
        return [("0", (0, 0)), *parts]
    if len(parts) != 6:
        raise CronFieldError(
            f"{quote(expression)} has {len(parts)} fields, not 5, or 6 with seconds first",
            hint="minute hour day-of-month month day-of-week, such as 0 9 * * 1",
        )
    return parts


def read(field: Field, text: str, span: tuple[int, int]) -> Values:
    """One field's list.

    Raises:
        CronFieldError: a value out of range, a range that falls, a step of 0, or what is none of these.
    """
    numbers: set[int] = set()
    nth: set[tuple[int, int]] = set()
    last_day = False
    for item in text.split(","):
        if field is DAY and item in {"L", "l"}:
            last_day = True
        elif field is WEEKDAY and (found := _special_day(item, span)) is not None:
            nth.add(found)
        else:
            numbers |= _numbers(field, item, span)
    return Values(frozenset(numbers), text.startswith("*"), frozenset(nth), last_day)


def _special_day(item: str, span: tuple[int, int]) -> tuple[int, int] | None:
    if match := _NTH.fullmatch(item):
        nth = int(match["nth"])
        if not 1 <= nth <= 5:
            raise CronFieldError(f"day of week: #{nth} is not in #1-#5", span)
        return _value(WEEKDAY, match["day"], span) % 7, nth
    if item[:1] in {"L", "l"} or (item[-1:] in {"L", "l"} and len(item) in {2, 4}):
        match = _LAST.fullmatch(item)
        if match is None or len(item) == len(match["day"]):
            raise CronFieldError(f"day of week: {quote(item)} is not a last weekday such as L5 or 5L", span)
        return _value(WEEKDAY, match["day"], span) % 7, -1
    return None


def _numbers(field: Field, item: str, span: tuple[int, int]) -> set[int]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise CronFieldError(f"{field.name}: {quote(item)} is not a value, range or step", span)
    step = int(match["step"]) if match["step"] else 1
    if step < 1:
        raise CronFieldError(f"{field.name}: a step of 0 never moves", span)
    if match["low"] == "*":
        if match["high"]:
            raise CronFieldError(f"{field.name}: {quote(item)} is not a range", span)
        low, high = field.least, 6 if field is WEEKDAY else field.most
    else:
        low = _value(field, match["low"], span)
        high = _value(field, match["high"], span) if match["high"] else low
        if match["step"] and not match["high"]:
            raise CronFieldError(
                f"{field.name}: {quote(item)} has a step but no range",
                span,
                hint=f"write {low}-{field.most}/{step}",
            )
        if high < low:
            raise CronFieldError(
                f"{field.name}: the range {quote(item)} falls", span, hint="write two ranges"
            )
    found = range(low, high + 1, step)
    return {number % 7 for number in found} if field is WEEKDAY else set(found)


def _value(field: Field, text: str, span: tuple[int, int]) -> int:
    if text.isdigit():
        number = int(text)
    elif text.upper() in field.names:
        return field.names[text.upper()]
    else:
        raise CronFieldError(f"{field.name}: {quote(text)} is not a number or a name", span)
    if not field.least <= number <= field.most:
        raise CronFieldError(f"{field.name}: {number} is not in {field.least}-{field.most}", span)
    return number
