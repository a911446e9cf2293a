"""A schedule from the text that a user writes: an interval or a cron expression."""

from jobctl.durations import parse_duration
from jobctl.schedules.cron import Cron
from jobctl.schedules.every import Every


def parse_schedule(text: str, timezone: str = "UTC") -> Every | Cron:
    """Read ``every 15m``, ``15m``, ``*/5 * * * *`` or ``@daily``.

    Raises:
        ScheduleError: it is neither; says which part is wrong.
    """
    stripped = text.strip()
    word, _, rest = stripped.partition(" ")
    if word.lower() == "every":
        return Every(parse_duration(rest))
    if stripped[:1].isdigit() and stripped[-1:].isalpha() and len(stripped.split()) <= 3:
        return Every(parse_duration(stripped))
    return Cron(text, timezone)
