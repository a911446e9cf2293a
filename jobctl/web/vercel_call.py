"""Which due time a call of Vercel belongs to."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from jobctl.errors import ScheduleError
from jobctl.schedules import Cron

HEADER = "x-vercel-cron-schedule"
"""With each call Vercel sends the expression of the entry that it belongs to."""
_LATEST = timedelta(hours=1)
"""Vercel calls within the minute of the due time, on the plan hobby within the hour."""
_CLOCKS_DIFFER = timedelta(seconds=1)
_LONGEST_AGO = timedelta(days=366)


class CalledSlot(NamedTuple):
    """A due time, and whether the call came in time.

    A later call was started on Vercel's page: the slot may have had its run, and is to be run again.
    """

    slot: datetime
    in_time: bool


def called_slot(expression: str, timezone: str, now: datetime) -> CalledSlot | None:
    """The latest due time at or before ``now``; None where the expression is none.

    Args:
        timezone: of the job. An entry of ``crons`` is in UTC, one of ``schedules`` in this zone, and a call does not say
            which it belongs to. It has come because a due time has, so the later one counts.
    """
    found = []
    for zone in {"UTC", timezone}:
        with suppress(ScheduleError):  # others may have written the entry
            until = now + _CLOCKS_DIFFER
            found.append(Cron(expression, zone).latest_until(until, until - _LONGEST_AGO))
    slot = max((each for each in found if each is not None), default=None)
    return None if slot is None else CalledSlot(slot, now - slot < _LATEST)
