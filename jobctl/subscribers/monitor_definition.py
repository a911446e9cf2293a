"""What a monitor of a job must know, from the definition of the job: its identity, when to expect a run, how long to wait."""

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from jobctl.model import Expectations, Job, Schedule
from jobctl.schedules import Cron, Every, unfiltered
from jobctl.schedules.cron_grammar import ALIASES, WEEKDAY, write_field

_MAX_SLUG = 50
"""Sentry cuts longer ones: https://github.com/getsentry/relay, relay-monitors."""
_MAX_CRON = 100
"""Of healthchecks.io, in characters."""
_START_MARGIN = timedelta(minutes=5)
_YEAR = timedelta(days=365)
_FRIDAY = datetime(2024, 1, 5, tzinfo=UTC)
"""Where the search for the longest time between slots begins, so that it soon finds a weekend."""
_MOST_SLOTS = 5000


class MonitorDefinition(NamedTuple):
    """A monitor as healthchecks.io and Sentry need it.

    Attributes:
        slug: the job's id, after the name of the project's folder: lower-case letters, digits and ``-``, at most 50.
        project: the name of the project's folder in the same characters.
        cron: five fields; None: a run is expected each ``period``.
        timezone: of ``cron``, an IANA name.
        start_margin: how long after its due time a run may begin.
        run_limit: how long a run may take, with its retries.
        grace: how long after its due time a run may be in progress.
    """

    slug: str
    project: str
    cron: str | None
    timezone: str
    period: timedelta
    start_margin: timedelta
    run_limit: timedelta
    grace: timedelta

    @classmethod
    def of(cls, job: Job, folder: str) -> "MonitorDefinition":
        """Of a job with a schedule, or with ``expect.success_every``.

        Args:
            folder: the name of the project's folder.
        """
        expect = job.expect or Expectations()
        schedule = unfiltered(job.schedule) if job.schedule else None
        cron = _cron(schedule) if isinstance(schedule, Cron) else None
        period = expect.success_every or _YEAR
        if schedule is not None:
            period = _longest_gap(schedule) if cron is None else _YEAR
        longest = expect.done_within or _longest_run(job)
        return cls(
            slug=_slug(_plain(folder), job.id),
            project=_plain(folder),
            cron=cron,
            timezone=schedule.timezone if schedule is not None else "UTC",
            period=period,
            start_margin=job.jitter + (expect.start_within or _START_MARGIN),
            run_limit=longest,
            grace=job.jitter
            + longest
            + (timedelta() if expect.done_within else expect.start_within or timedelta()),
        )


def _plain(folder: str) -> str:
    """The name of a folder in characters of a slug; a part of its hash if it has none of these."""
    plain = re.sub("[^a-z0-9]+", "-", folder.lower()).strip("-")
    return plain or (_hash(folder) if folder else "")


def _slug(project: str, job_id: str) -> str:
    whole = "-".join(filter(None, (project, job_id)))
    return whole if len(whole) <= _MAX_SLUG else f"{whole[: _MAX_SLUG - 9].rstrip('-')}-{_hash(whole)}"


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _cron(schedule: Cron) -> str | None:
    """The expression in five fields, as both services read it; None where it is due several times a minute, or too long.

    Both read the day fields as jobctl does, but ``L`` only after a weekday.
    """
    fields = schedule.fields
    expression = ALIASES.get(schedule.expression.lower(), schedule.expression)
    *parts, weekday = expression.split()[-5:]
    text = " ".join([*parts, write_field(WEEKDAY, fields.weekday) if fields.weekday.nth else weekday])
    return text if len(fields.second.numbers) == 1 and len(text) <= _MAX_CRON else None


def _longest_gap(schedule: Schedule) -> timedelta:
    """The longest time between two slots: a shorter period would raise false alarms."""
    if isinstance(schedule, Every):
        return schedule.interval
    slot, longest = schedule.next_after(_FRIDAY, _FRIDAY), timedelta()
    for _ in range(_MOST_SLOTS):
        following = schedule.next_after(slot, _FRIDAY)
        longest = max(longest, following - slot)
        slot = following
        if slot > _FRIDAY + _YEAR:
            break
    return longest


def _longest_run(job: Job) -> timedelta:
    """The time limit of all attempts, with the delays between them; at most a year."""
    delays = job.retry_delay.total_seconds() * (2.0**job.retries - 1) * 1.1
    seconds = (job.timeout + job.grace).total_seconds() * (job.retries + 1) + delays
    return timedelta(seconds=min(seconds, _YEAR.total_seconds()))
