"""Schedules: fixed intervals and cron."""

from jobctl.durations import parse_duration
from jobctl.errors import ScheduleError
from jobctl.model import Schedule
from jobctl.schedules.cron import Cron
from jobctl.schedules.crons import Crons, cron_schedule
from jobctl.schedules.every import Every
from jobctl.schedules.excluding import Excluding, unfiltered

__all__ = ["Cron", "Crons", "Every", "Excluding", "cron_schedule", "in_zone", "parse_schedule", "unfiltered"]


def parse_schedule(text: str, timezone: str = "UTC") -> Every | Cron | Crons:
    """Parse ``every 15m``, ``15m``, ``*/5 * * * *``, ``@daily`` or ``0 9 * * 1-5; 0 11 * * 6``. The time zone is for cron only.

    Raises:
        ScheduleError: it is neither; says which part is wrong.
    """
    if not isinstance(text, str):
        raise ScheduleError(f"a schedule is text, not {type(text).__name__}")
    words = text[:100].split()
    if words and words[0].lower() == "every":
        return Every(parse_duration(text.strip()[len(words[0]) :]))
    if 0 < len(words) <= 3 and words[0][:1].isdigit() and words[-1][-1:].isalpha():
        return Every(parse_duration(text))
    return cron_schedule(text, timezone)


def in_zone(schedule: Schedule, timezone: str) -> Schedule:
    """The same wall-clock times in another time zone, without the same dates.

    Raises:
        ScheduleError: there is no such zone.
    """
    found = parse_schedule(schedule.text, timezone)
    return Excluding(found, schedule.dates) if isinstance(schedule, Excluding) else found
