"""What may not be meant by a cron expression, and how to write it."""

import re
from collections.abc import Iterator

from jobctl.model import Schedule
from jobctl.schedules.cron import Cron
from jobctl.schedules.cron_grammar import FIELDS, HOUR, MINUTE, SECOND, either_day_is_enough
from jobctl.schedules.words import ordinal

_SIZES = {SECOND: 60, MINUTE: 60, HOUR: 24}
_UNITS = {SECOND: ("s", "minute"), MINUTE: ("m", "hour"), HOUR: ("h", "day")}


def advice(schedule: Schedule) -> list[str]:
    """A clause for each part that may not be meant; empty for most schedules."""
    return [line for member in schedule.members if isinstance(member, Cron) for line in _advice(member)]


def _advice(cron: Cron) -> Iterator[str]:
    parts = cron.expression.split()
    parts = parts if len(parts) == len(FIELDS) else ["0", *parts]
    for field, text in zip(FIELDS, parts, strict=False):
        size = _SIZES.get(field)
        step = re.fullmatch(r"\*/(\d+)", text)
        if size is None or step is None or size % int(step[1]) == 0:
            continue
        unit, around = _UNITS[field]
        number = int(step[1])
        if number >= size:
            yield f'{text} means 0 only, since each {around} begins anew; for an interval write every = "{number}{unit}"'
        else:
            yield (
                f"{text} begins anew each {around}, so the last step is {size % number}{unit} long;"
                f' for an interval write every = "{number}{unit}"'
            )
    fields = cron.fields
    rare = [day for day in fields.day.numbers if day > 28]
    if not fields.day.full and rare and not fields.day.last_day and min(fields.day.numbers) > 28:
        day = ordinal(rare[0])
        gap = (
            f"years without a {day} of February"
            if fields.month.numbers == (2,)
            else f"months without a {day}"
        )
        yield f"{gap} are left out; L is the last day of the month"
    if either_day_is_enough(fields) and not (fields.day.full or fields.weekday.full):
        yield "one of the two day fields is enough; for days that match both, make two jobs or check the day in the job"
