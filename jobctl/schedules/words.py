"""A schedule in words, such as ``at 09:00 on the 1st of the month, and on every Monday``."""

from collections.abc import Sequence
from datetime import timedelta

from jobctl.model import Schedule
from jobctl.schedules.cron import Cron
from jobctl.schedules.cron_grammar import LAST, CronFields, FieldValues, either_day_is_enough, names_every_day
from jobctl.schedules.crons import Crons
from jobctl.schedules.every import Every
from jobctl.schedules.excluding import Excluding

_MOST_TIMES = 6
"""More times of a day are described by their hours and minutes."""
_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def in_words(schedule: Schedule) -> str:
    """What a schedule means, without its time zone; the text itself where it is of another kind."""
    if isinstance(schedule, Every):
        return _every(schedule.interval)
    if isinstance(schedule, Excluding):
        return f"{in_words(schedule.schedule)}, but not on excluded dates"
    if isinstance(schedule, Crons):
        words = [_cron(member.fields) for member in schedule.members]
        return f"{'; '.join(words[:-1])}; and {words[-1]}"
    return _cron(schedule.fields) if isinstance(schedule, Cron) else schedule.text


def _every(interval: timedelta) -> str:
    ms = round(interval.total_seconds() * 1000)
    if ms % 1000:
        return f"every {ms:,} milliseconds"
    parts, rest = [], ms // 1000
    for unit, length in _UNITS:
        number, rest = divmod(rest, length)
        if number:
            parts.append((number, unit))
    if len(parts) == 1 and parts[0][0] == 1:
        return f"every {parts[0][1]}"
    return "every " + " ".join(f"{number} {unit}{'s' if number > 1 else ''}" for number, unit in parts)


def _cron(fields: CronFields) -> str:
    time, is_list = _time(fields)
    days = "" if names_every_day(fields) else _days(fields)
    months = "" if fields.month.full else _months(fields)
    if is_list and not days:
        time = f"every day {time}"
    return f"{time}{'' if is_list or not days else ','}{days}{months}"


def _time(fields: CronFields) -> tuple[str, bool]:
    """The times of a day, and whether each is named."""
    second, minute, hour = fields.second, fields.minute, fields.hour
    times = len(second.numbers) * len(minute.numbers) * len(hour.numbers)
    if times <= _MOST_TIMES:
        shown = [
            f"{h:02}:{m:02}" + ("" if second.numbers == (0,) else f":{s:02}")
            for h in hour.numbers
            for m in minute.numbers
            for s in second.numbers
        ]
        return f"at {_list(shown)}", True
    if len(second.numbers) > 1:
        seconds = _steps(second, 60, "second") or f"at the seconds {_numbers(second.numbers)}"
        if minute.full:
            return seconds + ("" if hour.full else f", {_hours(hour)}"), False
        return f"{seconds} of {_minutes(minute)}" + ("" if hour.full else f", {_hours(hour)}"), False
    text = _minutes_and_hours(minute, hour)
    return (text if second.numbers == (0,) else f"{text}, at second {second.numbers[0]}"), False


def _minutes_and_hours(minute: FieldValues, hour: FieldValues) -> str:
    if len(minute.numbers) > 1:
        minutes = _steps(minute, 60, "minute") or f"at the minutes {_numbers(minute.numbers)} of each hour"
        return minutes if hour.full else f"{minutes}, {_hours(hour)}"
    at = "" if minute.numbers == (0,) else f", at minute {minute.numbers[0]}"
    if steps := _steps(hour, 24, "hour"):
        return f"{steps}{at}"
    if _is_range(hour.numbers):
        first, last = (
            f"{number:02}:{minute.numbers[0]:02}" for number in (hour.numbers[0], hour.numbers[-1])
        )
        return f"each hour, from {first} to {last}"
    return f"each hour{at}, {_hours(hour)}"


def _minutes(minute: FieldValues) -> str:
    if len(minute.numbers) == 1:
        return f"minute {minute.numbers[0]}"
    return f"the minutes {_numbers(minute.numbers)}"


def _hours(hour: FieldValues) -> str:
    numbers = hour.numbers
    if len(numbers) == 1:
        return f"from {numbers[0]:02}:00 to {numbers[0]:02}:59"
    if _is_range(numbers):
        return f"from {numbers[0]:02}:00 to {numbers[-1]:02}:59"
    return f"in the hours {_numbers(numbers)}"


def _steps(values: FieldValues, size: int, unit: str) -> str | None:
    """``every 5 minutes``, where the numbers are evenly spread over the whole field; else None."""
    numbers = values.numbers
    step = numbers[1] - numbers[0] if len(numbers) > 1 else size
    if numbers[0] != 0 or size % step or numbers != tuple(range(0, size, step)):
        return None
    return f"every {unit}" if step == 1 else f"every {step} {unit}s"


def _days(fields: CronFields) -> str:
    day, weekday = fields.day, fields.weekday
    in_month = "" if day.full else _days_of_month(day)
    in_week = "" if weekday.full else _weekdays(weekday)
    if not (in_month and in_week):
        return f" {in_month or in_week}".rstrip()
    if either_day_is_enough(fields):
        return f" {in_month}, and {in_week}"
    return f" {in_month}, if that is {_weekday_alternatives(weekday)}"


def _days_of_month(day: FieldValues) -> str:
    named = [ordinal(number) for number in day.numbers]
    if len(day.numbers) > 2 and _is_range(day.numbers) and not day.last_day:
        return f"from the {named[0]} to the {named[-1]} of the month"
    if len(day.numbers) > _MOST_TIMES:
        return (
            f"on the days {_numbers(day.numbers)}{' and the last day' if day.last_day else ''} of the month"
        )
    if day.last_day:
        named.append("last day")
    return f"on the {_list(named)} of the month"


def _weekdays(weekday: FieldValues) -> str:
    if weekday.nth:
        named = [f"{'last' if nth == LAST else _ORDINALS[nth - 1]} {_DAYS[day]}" for day, nth in weekday.nth]
        return f"on the {_list(named)} of the month"
    numbers = _from_monday(weekday.numbers)
    if len(numbers) > 2 and _is_range(numbers):
        return f"from {_DAYS[numbers[0] % 7]} to {_DAYS[numbers[-1] % 7]}"
    return f"on every {_list([_DAYS[number % 7] for number in numbers])}"


def _weekday_alternatives(weekday: FieldValues) -> str:
    return "a " + _list([_DAYS[number % 7] for number in _from_monday(weekday.numbers)], "or")


def _from_monday(numbers: Sequence[int]) -> list[int]:
    """Sunday last, as 7."""
    return sorted(number or 7 for number in numbers)


def _months(fields: CronFields) -> str:
    numbers = fields.month.numbers
    if len(numbers) > 2 and _is_range(numbers):
        return f", from {_MONTHS[numbers[0] - 1]} to {_MONTHS[numbers[-1] - 1]}"
    return f", in {_list([_MONTHS[number - 1] for number in numbers])}"


def ordinal(number: int) -> str:
    """``1st``, of a day of the month."""
    return f"{number}{'th' if 10 < number < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _numbers(numbers: Sequence[int]) -> str:
    """``0 to 29``, ``0, 20 and 40``, or ``0, 7, 14, … 56``."""
    if len(numbers) > 2 and _is_range(numbers):
        return f"{numbers[0]} to {numbers[-1]}"
    if len(numbers) > _MOST_TIMES:
        return f"{', '.join(map(str, numbers[:3]))}, … {numbers[-1]}"
    return _list(list(map(str, numbers)))


def _is_range(numbers: Sequence[int]) -> bool:
    return list(numbers) == list(range(numbers[0], numbers[-1] + 1))


def _list(items: Sequence[str], word: str = "and") -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"
