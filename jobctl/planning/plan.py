"""A plan: which runs there will be in a span of time, and what becomes of the other slots."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from jobctl.model import Job
from jobctl.schedules import Cron
from jobctl.schedules.wall_times import changes
from jobctl.schedules.zones import zone
from jobctl.value_class import value

LONG_WAIT = timedelta(minutes=1)
"""A slot that begins later than this is reported."""
_AROUND = timedelta(hours=3)
_INSTANT = timedelta(milliseconds=1)


class Outcome(StrEnum):
    """What becomes of a slot."""

    RUNS = "runs"
    CONTINUES = "continues"
    SKIPPED = "skipped"
    EXCLUDED = "excluded"
    REPLACED = "replaced"
    TIMES_OUT = "times out"


class PlannedRun(NamedTuple):
    """A run, or a slot that is skipped.

    Attributes:
        slot: None for a run that is not of a schedule.
        ends_at: of a run that continues, the end of the plan.
        waited: how much later than its slot, with its jitter, it begins.
    """

    job_id: str
    slot: datetime | None
    begins_at: datetime
    ends_at: datetime
    outcome: Outcome
    waited: timedelta


@value
class MissedSlots:
    """Slots of a job that no run serves: nothing was free in time."""

    job_id: str
    count: int
    first: datetime
    last: datetime


@value
class BusiestMinute:
    """The minute in which most runs begin."""

    at: datetime
    count: int


class ClockChange(NamedTuple):
    """A due time of a job that a clock change affects; ``note``: how, as a clause."""

    job_id: str
    at: datetime
    timezone: str
    note: str


@value
class RunPlan:
    """What happens in ``[begin, end)``.

    Attributes:
        jobs: those that are on their schedules.
        left_out: why the other jobs are not, by their ids.
        runs: in order of their beginning.
        durations: what was assumed of each job.
    """

    begin: datetime
    end: datetime
    workers: int
    jobs: tuple[Job, ...]
    left_out: Mapping[str, str]
    runs: Sequence[PlannedRun]
    missed: Sequence[MissedSlots]
    durations: Mapping[str, timedelta]

    @property
    def busiest(self) -> BusiestMinute | None:
        """The first of the minutes in which most runs begin; None without runs."""
        minutes = Counter(run.begins_at.replace(second=0, microsecond=0) for run in self.runs if is_run(run))
        if not minutes:
            return None
        at = min(minutes, key=lambda minute: (-minutes[minute], minute))
        return BusiestMinute(at, minutes[at])

    @property
    def most_at_once(self) -> int:
        """How many runs go on at the same time, at most."""
        changes = [(run.begins_at, 1) for run in self.runs if is_run(run)]
        changes += [(run.ends_at, -1) for run in self.runs if is_run(run)]
        most = going = 0
        for _, change in sorted(changes):
            going += change
            most = max(most, going)
        return most

    def waiting_long(self) -> list[PlannedRun]:
        """The runs that begin more than a minute late."""
        return [run for run in self.runs if run.waited > LONG_WAIT and is_run(run)]

    def clock_changes(self) -> list[ClockChange]:
        """The due times that clock changes affect."""
        crons = [(job.id, job.schedule) for job in self.jobs if isinstance(job.schedule, Cron)]
        nights = {
            zone_: _nights(zone_, self.begin, self.end) for zone_ in {cron.timezone for _, cron in crons}
        }
        return [
            ClockChange(job_id, time, cron.timezone, note)
            for job_id, cron in crons
            for begin, end in nights[cron.timezone]
            for time in _times(cron, begin, end)
            if (note := cron.note(time)) is not None
        ]


def _nights(timezone: str, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The clock changes of a zone in ``[begin, end)``, with the hours in which they matter."""
    whole = begin.replace(microsecond=0)
    return [
        (max(begin, change - _AROUND), min(end, change + _AROUND))
        for change, _ in changes(whole, end.replace(microsecond=0), zone(timezone))
    ]


def _times(cron: Cron, begin: datetime, end: datetime) -> Iterator[datetime]:
    time = cron.next_after(begin - _INSTANT)
    while time < end:
        yield time
        time = cron.next_after(time)


def is_run(run: PlannedRun) -> bool:
    """Whether something runs."""
    return run.outcome not in {Outcome.SKIPPED, Outcome.EXCLUDED}
