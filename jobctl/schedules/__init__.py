"""Schedules: fixed intervals and cron."""

from jobctl.durations import parse_duration
from jobctl.errors import ScheduleError
from jobctl.schedules.cron import Cron
from jobctl.schedules.every import Every

__all__ = ["Cron", "Every", "parse_schedule"]


def parse_schedule(text: str, timezone: str = "UTC") -> Every | Cron:
    """Parse ``every 15m``, ``15m``, ``*/5 * * * *`` or ``@daily``. The time zone is for cron only.

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
    return Cron(text, timezone)
