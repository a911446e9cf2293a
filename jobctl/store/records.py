"""What goes into the run store and comes out of it, as values.

Times are aware datetimes in UTC, durations ``timedelta``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from jobctl.clock import whole
from jobctl.model import Job, Reason, Run, RunStatus, Trigger
from jobctl.value_class import value

LEASE = timedelta(seconds=60)
"""A process that cannot be observed directly is declared dead when its heartbeat counter has not changed for this
long, by the steady clock of the process that watches it."""

LEASE_LIMIT = LEASE * 0.75
"""A leased process ends its own runs when its last confirmed heartbeat is this old: before others may take them."""


@value
class Owner:
    """A process that runs jobs. ``start`` and ``boot`` distinguish it from a later process with the same pid.

    Attributes:
        id: random, new at each registration; the fencing token of every write. Workers carry it in ``JOBCTL_OWNER``.
        kind: ``scheduler`` (``jobctl run``), ``trigger`` (a manual run) or ``application``.
        start: the kernel's start time of the process, as text; empty where unknown.
        boot: boot id, PID namespace and time namespace: pids compare only where this is equal; empty where unknown.
        ended: when it signed off, or was declared dead; None while it is registered.
        killed: it was declared dead: it never signed off.
        heartbeats: how many heartbeats the store has counted.
        leased: it ends its own runs ``LEASE_LIMIT`` after its last confirmed heartbeat.
        observed: an observation that a short-lived process left for the next one (``scheduler.liveness``).
    """

    id: str
    kind: str
    host: str
    pid: int
    start: str
    boot: str
    since: datetime
    ended: datetime | None = None
    killed: bool = False
    heartbeats: int = 0
    leased: bool = False
    observed: str | None = field(default=None, compare=False)


@value
class Registration:
    """A job as a manager announces it. A changed ``schedule`` or ``timezone`` resets anchor and cursor."""

    id: str
    name: str
    schedule: str
    timezone: str


@value
class JobRecord:
    """The state of a job.

    Attributes:
        schedule: text and zone of the schedule that ``anchor`` and ``cursor`` belong to.
        anchor: where an interval counts from.
        cursor: every slot up to here was run, skipped or missed; None before the first.
        next_run: the next due time, as its scheduler last computed it.
        stopped: since when it is off its schedule, or None.
        stopped_until: when it goes back by itself; None: never.
        waiting: how many runs of it are kept for later.
        waits_until: when the first of these begins.
        last: its newest run that is not ``skipped``, finished or not; None if it never ran.
        missed: the number of misfires.
        last_success: when a run of it last completed.
        failing: whether its last finished run failed; None before the first.
        late_notified: people were notified that it is late since then; None: they were not, or it no longer is.
        failure_notified: the last notification about it was a failure, not a recovery.
    """

    id: str
    name: str
    schedule: str
    timezone: str
    anchor: datetime
    cursor: datetime | None = None
    next_run: datetime | None = None
    stopped: datetime | None = None
    stop_reason: str | None = None
    last: Run | None = None
    missed: int = 0
    last_success: datetime | None = None
    failing: bool | None = None
    failure_notified: bool = False
    stopped_until: datetime | None = None
    waiting: int = 0
    waits_until: datetime | None = None
    late_notified: datetime | None = None

    def last_start(self, latest: datetime) -> datetime | None:
        """When it last started, or was put on its schedule; of the times up to ``latest``, None where there are none.

        Later ones are from before the clock was set back.
        """
        times = (self.anchor, self.cursor, self.last.started_at if self.last else None)
        return max((time for time in times if time is not None and time <= latest), default=None)


@value
class Misfires:
    """How many slots the caller counted between a job's cursor and another slot, both excluded.

    They are recorded together with that slot, and only where the store has this cursor.
    """

    cursor: datetime | None
    count: int


class Claim(NamedTuple):
    """A request to start a run.

    Attributes:
        run_id: made by the caller (``new_run_id``).
        slot: the due time; None for a manual run.
        clock_generation: the one that the caller lives in. A newer one than that of the job's cursor means that
            the clock was set back since: the cursor no longer counts.
        fixed: the slot belongs to a fixed-time schedule. Its unique key has clock generation 0, so that setting the
            clock back never repeats a slot that was run.
        next_run: the job's next due time after this slot, saved along; None leaves it.
        force: start a stopped job too (a manual run).
        waits: the run was kept for later (``WaitingRun``). Its slot lies before the job's cursor, which stays.
        group: two runs of a group never run at the same time.
        queue: if it cannot run now, nothing is recorded: the caller claims it again later.
        misfires: before the slot; None: not counted.
        arguments: of the run, as JSON values without secrets.
        rerun_of: the id of the run that it repeats.
        actor: who starts it, such as ``ada@host``; None for a schedule.
        action_reason: why, kept with the action.
        batch: the id of the backfill that it belongs to.
    """

    run_id: str
    job_id: str
    trigger: Trigger
    at: datetime
    slot: datetime | None = None
    clock_generation: int = 1
    fixed: bool = False
    next_run: datetime | None = None
    force: bool = False
    waits: bool = False
    group: str | None = None
    queue: bool = False
    misfires: Misfires | None = None
    arguments: Mapping[str, Any] | None = None
    rerun_of: str | None = None
    actor: str | None = None
    action_reason: str | None = None
    batch: str | None = None


class Claimed(NamedTuple):
    """The run that was claimed is recorded as running, of a process on ``host``."""

    claim: Claim
    host: str

    @property
    def run(self) -> Run:
        """The run as it is recorded; made at each call."""
        claim = self.claim
        slot = None if claim.slot is None else whole(claim.slot)
        return Run(
            claim.run_id,
            claim.job_id,
            RunStatus.RUNNING,
            claim.trigger,
            whole(claim.at),
            scheduled_for=slot,
            host=self.host,
            arguments=claim.arguments,
            rerun_of=claim.rerun_of,
            actor=claim.actor,
            batch=claim.batch,
        )


@value
class Overlap:
    """The job, or another of its group, has an unfinished run.

    ``skipped`` is the run that was recorded for the slot, reason ``overlap``; None for a manual run or a queued slot.
    """

    running: Run
    skipped: Run | None


@value
class SlotTaken:
    """The slot was run, skipped or given up before. ``cursor``, at or after it, is the job's."""

    cursor: datetime | None


@value
class CursorMoved:
    """The misfires were counted from another cursor than the job's, ``cursor``. Nothing is recorded: count again."""

    cursor: datetime | None


@value
class Stopped:
    """The job is off its schedule since ``since``."""

    since: datetime


ClaimOutcome = Claimed | Overlap | SlotTaken | CursorMoved | Stopped


class Enqueued(NamedTuple):
    """Slots of a job wait now; ``dropped``: older ones, which were given up."""

    dropped: Sequence[datetime]


SlotsOutcome = Enqueued | SlotTaken | CursorMoved | Stopped


class Cancellation(NamedTuple):
    """A request to end an unfinished run.

    Attributes:
        by: who asked: ``user@host`` of a person, a client, or ``schedule``.
        reason: why, as a clause; None: none was given.
        now: without a grace time.
    """

    run_id: str
    by: str
    reason: str | None = None
    now: bool = False

    @property
    def text(self) -> str:
        """``cancelled by ada@host: it takes too long``."""
        return f"cancelled by {self.by}" + (f": {self.reason}" if self.reason else "")


class Ending(NamedTuple):
    """How a run of the job ``job_id`` ended."""

    run_id: str
    job_id: str
    status: RunStatus
    started_at: datetime
    finished_at: datetime
    duration: timedelta
    reason: Reason | None = None
    error: str | None = None
    result: Any = None
    pid: int | None = None
    attempt: int = 1


@value
class CachedResult:
    """A cached JSON value and its lifetime."""

    key: str
    value: Any
    computed_at: datetime
    expires_at: datetime


@value
class Pruned:
    """What pruning removed. ``runs`` holds (job id, run id)."""

    runs: Sequence[tuple[str, str]] = field(default_factory=tuple)


def new_run_id() -> str:
    """16 random hexadecimal characters. People use a prefix of at least four."""
    return new_run_ids(1)[0]


def new_run_ids(count: int) -> list[str]:
    """Run ids for a batch. Their first eight characters, which people see, count up from a random number.

    So the ids are neighbours in the run store's index, and a batch changes few of its pages.
    """
    import os

    first = int.from_bytes(os.urandom(4))
    rest = os.urandom(4 * count).hex()
    return [f"{(first + number) % 2**32:08x}{rest[8 * number : 8 * number + 8]}" for number in range(count)]


def is_scheduled(job: Job, record: JobRecord | None) -> bool:
    """Whether a scheduler runs a job by its schedule: it is enabled, has what it needs, and is not stopped."""
    return job.enabled and job.unmet is None and not (record is not None and record.stopped is not None)


def registration(job: Job) -> Registration:
    """What a manager registers of a job."""
    timezone = job.schedule.timezone if job.schedule else "UTC"
    return Registration(job.id, job.name, job.schedule_text or "", timezone)
