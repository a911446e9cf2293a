"""A plan: which runs there will be in a span of time, and what becomes of the other slots."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from jobctl.clock import INSTANT
from jobctl.model import Job
from jobctl.schedules.wall_times import changes
from jobctl.schedules.zones import zone
from jobctl.value_class import value

LONG_WAIT = timedelta(minutes=1)
"""A slot that begins later than this is reported."""
_AROUND = timedelta(hours=3)


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
        anchors: from when the interval of a job counts.
    """

    begin: datetime
    end: datetime
    workers: int
    jobs: tuple[Job, ...]
    left_out: Mapping[str, str]
    runs: Sequence[PlannedRun]
    missed: Sequence[MissedSlots]
    durations: Mapping[str, timedelta]
    anchors: Mapping[str, datetime]

    def slots(self, job: Job) -> list[datetime]:
        """The due times of a job, in order."""
        return self._slots(job, self.begin, self.end)

    def _slots(self, job: Job, begin: datetime, end: datetime) -> list[datetime]:
        found: list[datetime] = []
        if job.schedule is not None:
            anchor = self.anchors[job.id]
            slot = job.schedule.next_after(begin - INSTANT, anchor)
            while slot < end:
                found.append(slot)
                slot = job.schedule.next_after(slot, anchor)
        return found

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
        """The due times that clock changes move. Jobs that follow real time are not affected."""
        scheduled = [(job, job.schedule) for job in self.jobs if job.schedule is not None]
        zones = {schedule.timezone for _, schedule in scheduled}
        nights = {timezone: _nights(timezone, self.begin, self.end) for timezone in zones}
        return [
            ClockChange(job.id, slot, schedule.timezone, note)
            for job, schedule in scheduled
            for begin, end in nights[schedule.timezone]
            for slot in self._slots(job, begin, end)
            if schedule.is_fixed(slot) and (note := schedule.note(slot)) is not None
        ]


def _nights(timezone: str, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The clock changes of a zone in ``[begin, end)``, with the hours in which they matter."""
    whole = begin.replace(microsecond=0)
    return [
        (max(begin, change - _AROUND), min(end, change + _AROUND))
        for change, _ in changes(whole, end.replace(microsecond=0), zone(timezone))
    ]


def is_run(run: PlannedRun) -> bool:
    """Whether something runs."""
    return run.outcome not in {Outcome.SKIPPED, Outcome.EXCLUDED}
