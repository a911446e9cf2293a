"""What a run store does, as a protocol, and the values that go in and out.

SQLite keeps it for one machine, Postgres for several. Two constraints carry promise 1 in both: a job
has at most one unfinished run; a slot has at most one run. Each method is one transaction. Errors: ``StoreBusyError`` where somebody else holds the store longer
than the store's busy timeout, ``StoreError`` where it cannot be read or written (full disk,
read-only), ``StoreDamagedError`` where what is there is not a sound store.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Protocol

from jobctl.model import JobMetrics, Reason, Run, RunStatus, Trigger
from jobctl.values import value

LEASE = timedelta(seconds=60)
"""A process that cannot be seen from here is declared dead when its heartbeat counter has not changed for so long,
by the steady clock of the process that watches it."""

LEASE_LIMIT = LEASE * 0.75
"""A leased process ends its own runs when its last confirmed heartbeat is so old: before others may take them."""


@value
class Owner:
    """A process that runs things. ``start`` and ``boot`` tell it from a later one with its pid.

    Attributes:
        id: random, new at each registration; the fencing token of every write. Workers carry it in ``JOBCTL_OWNER``.
        kind: ``scheduler`` (``jobctl run``), ``trigger`` (a manual run) or ``application``.
        start: the kernel's start time of the process, as text; empty where unknown.
        boot: boot id, PID namespace and time namespace: pids compare only where this is equal; empty where unknown.
        ended: when it signed off, or was declared dead; None while it is registered.
        killed: it was declared dead: it never signed off.
        heartbeats: how many heartbeats the store has counted.
        leased: it ends its runs by itself ``LEASE_LIMIT`` after its last confirmed heartbeat.
        observed: an observation that a short-lived process left for the next one (``managers.liveness``).
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
class JobRecord:
    """What the store knows of a job, besides its runs.

    Attributes:
        schedule: text and zone of the schedule that ``anchor`` and ``cursor`` belong to.
        anchor: where an interval counts from.
        cursor: every slot up to here was run, skipped or missed; None where none ever was.
        next_run: next due time as last computed by whoever schedules it.
        stopped: since when it is off its schedule, or None.
        last: its newest run that is not ``skipped``, finished or not; None if it never ran.
        missed: slots that nobody served.
        last_success: when a run of it last completed.
        failing: whether the last one that ended failed; None where none has.
        told: people were told last that it fails.
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
    told: bool = False


@value
class Registration:
    """A job as a manager announces it. A changed ``schedule`` or ``timezone`` resets anchor and cursor."""

    id: str
    name: str
    schedule: str
    timezone: str


Missed = Callable[[datetime | None], int]
"""How many slots lie between a job's cursor and a slot. Asked inside the transaction that deals with the slot,
so that both are recorded or neither, and with the cursor that the store has, whoever moved it."""


LetGo = Callable[[str, str], None]
"""Told a job's id and a run's, before the run is removed."""


@value
class Claim:
    """The wish to start a run.

    Attributes:
        run_id: made by the caller (``new_run_id``).
        slot: the due time; None for a run by hand.
        epoch: the clock epoch that the claimer lives in. A newer one than the job's cursor was set in
            means that the clock was set back since: the cursor no longer counts.
        fixed: the slot belongs to a fixed-time schedule. Its constraint key holds epoch 0, so that
            setting the clock back never repeats a slot that was run.
        next_run: the job's next due time after this one, written along; None leaves it.
        force: start though the job is stopped (a run by hand).
        group: no two runs of a group at the same time.
        queue: where it cannot run now, nothing is recorded: it is asked for again later.
        missed: counts what nobody served before the slot.
    """

    run_id: str
    job_id: str
    trigger: Trigger
    at: datetime
    slot: datetime | None = None
    epoch: int = 1
    fixed: bool = False
    next_run: datetime | None = None
    force: bool = False
    group: str | None = None
    queue: bool = False
    missed: Missed = field(default=lambda _: 0, compare=False)


@value
class Claimed:
    """The claim holds: the run is recorded as running. ``cursor`` is the job's from before."""

    run: Run
    cursor: datetime | None
    missed: int = 0


@value
class Overlap:
    """The job, or another of its group, has an unfinished run.

    For a slot, ``skipped`` is the run that was recorded as skipped, reason ``overlap``; None for one that queues.
    """

    running: Run
    skipped: Run | None
    cursor: datetime | None
    missed: int = 0


@value
class SlotTaken:
    """Somebody has run, skipped or passed this slot. ``cursor``, at or after it, is where the job stands now."""

    cursor: datetime | None


@value
class Stopped:
    """The job is off its schedule since ``since``."""

    since: datetime


Answer = Claimed | Overlap | SlotTaken | Stopped


@value
class Passed:
    """Slots were given up: so many, after ``cursor``."""

    missed: int
    cursor: datetime | None


@value
class Ending:
    """How a run ended. Ignored (False) where the run is no longer unfinished."""

    run_id: str
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


class RunStore(Protocol):
    """Runs, job state, owners and cached results. Usable from any thread; never carried over a fork."""

    @property
    def place(self) -> str:
        """Where it is, for people: a path or an address without its password."""

    @property
    def shared(self) -> bool:
        """Whether several machines share it: every process that uses it is leased."""

    def close(self) -> None:
        """Let go of everything. Idempotent."""

    def is_lost(self) -> bool:
        """Whether it was deleted or replaced, as far as that is seen without asking it. Cheap."""

    def restore(self) -> str | None:
        """After a ``StoreLostError``: open what is there now, or make an empty store where there is none.
        Returns a sentence about what happened; None where the store was not lost."""

    # Processes. One whose registration has ended is fenced: nothing it writes is accepted.

    def register_process(self, owner: Owner) -> None:
        """Announce a process before it claims anything. Its id must be new."""

    def heartbeat(self, owner_id: str) -> bool:
        """Count a heartbeat; False where the process is fenced."""

    def is_registered(self, owner_id: str) -> bool:
        """Whether the process is registered and not fenced. Only reads."""

    def is_known(self, owner_id: str) -> bool:
        """Whether the process was registered, be it declared dead since. Only reads."""

    def set_leased(self, owner_id: str) -> None:
        """Note that the process is leased from now on."""

    def observe(self, owner_id: str, observation: str) -> None:
        """Keep an observation of a process for the next short-lived one."""

    def sign_off(self, owner_id: str, at: datetime) -> None:
        """End the registration."""

    def owners(self) -> Sequence[Owner]:
        """Every process that is registered or has unfinished runs, and where no scheduler or application
        is registered the one that ended last; oldest first."""

    def fail_lost_runs(self, owner_id: str, at: datetime, heartbeats: int | None = None) -> Sequence[Run]:
        """Declare a process dead: end its registration and make each of its unfinished runs ``failed``, reason
        ``lost``; one transaction. Returns those runs as they now are.

        Args:
            heartbeats: where the store has counted others meanwhile, the process lives, and nothing is changed.
        """

    # Jobs

    def register(self, jobs: Sequence[Registration], at: datetime) -> Mapping[str, JobRecord]:
        """Make or refresh the jobs' records; answers with all of theirs. One transaction."""

    def jobs(self) -> Mapping[str, JobRecord]:
        """Every job that was ever registered and not forgotten."""

    def job(self, job_id: str) -> JobRecord | None:
        """One of them."""

    def plan(self, next_runs: Mapping[str, datetime | None], owner_id: str | None = None) -> None:
        """Keep the jobs' next due times. ``owner_id``: fails with ``FencedError`` where that process is fenced."""

    def pass_slots(
        self, job_id: str, until: datetime, missed: Missed, owner_id: str | None = None
    ) -> Passed | None:
        """Give up the slot ``until``: move the job's cursor there, and count it and what was missed before.

        Where the cursor, set in the current epoch, is at or beyond ``until`` already, nothing changes
        and the answer is None: somebody has run, skipped or passed it. ``owner_id`` is as for ``plan``.
        """

    def stop(self, job_ids: Iterable[str], at: datetime, reason: str | None = None) -> None:
        """Take jobs off their schedules, kept over restarts."""

    def start(self, job_ids: Iterable[str], at: datetime | None = None) -> None:
        """Put jobs back on their schedules. What was missed meanwhile is not caught up: this moves the
        cursor of a stopped job to ``at`` (the machine's time where it is None), and the anchor of one
        that has no cursor yet, which so begins anew. A job that is not stopped is left alone."""

    def tell(self, job_id: str, *, failing: bool) -> bool:
        """Note what people are told of a job; False where they were told so last, perhaps by another process."""

    def change_token(self) -> object:
        """A value that differs whenever another process has changed the store. Cheap."""

    # The clock

    def epoch(self) -> int:
        """The current clock epoch, from 1."""

    def newest_cursor(self) -> datetime | None:
        """The furthest place on its schedule that a job was brought to in the current epoch."""

    def begin_epoch(self, held: int, owner_id: str | None = None) -> int:
        """Begin the epoch after ``held`` unless somebody has; answers with the current one. ``owner_id`` is as
        for ``plan``."""

    # Runs

    def claim(self, owner: Owner, claims: Sequence[Claim]) -> Sequence[Answer]:
        """Try to start runs, all in one transaction; an answer each, in order.

        A slot at or before the job's cursor is ``SlotTaken``, unless the claim's epoch is newer than the
        cursor's; so is one that has a run. A claim of an older epoch than the store's counts as one
        of the store's: who began just before the clock was set back may not know yet, and the same
        slot must not have two keys.

        Raises:
            FencedError: the process is not registered, or no longer.
            UnknownToStoreError: a job is not registered.
        """

    def finish(self, endings: Sequence[Ending]) -> Sequence[bool]:
        """Record how runs ended, all in one transaction; False for one that had ended already."""

    def progress(
        self,
        run_id: str,
        *,
        pid: int | None = None,
        attempt: int | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        """Note the worker's pid, a further attempt, or when one will begin, of an unfinished run."""

    def run(self, run_id: str) -> Run | None:
        """The run with this id or unique prefix of at least four characters; None where there is none.

        Raises:
            UsageError: the prefix fits several runs.
        """

    def runs(
        self,
        job_id: str | None = None,
        *,
        statuses: Iterable[RunStatus] = (),
        since: datetime | None = None,
        limit: int | None = 20,
    ) -> Sequence[Run]:
        """Runs, newest first; all statuses where none is named."""

    def unfinished(self, job_id: str | None = None) -> Sequence[tuple[Run, Owner]]:
        """Runs that have not ended, with who runs them."""

    def metrics(self, job_id: str | None = None) -> JobMetrics:
        """Totals from kept rows, never by a scan over all runs."""

    def prune(
        self, now: datetime, keep: timedelta, keep_per_job: int, let_go: LetGo = lambda *_: None
    ) -> Pruned:
        """Remove finished runs that are both older than ``keep`` and beyond the newest
        ``keep_per_job`` of their job, but never a job's last; sets ``last_cleanup``. Totals stay.
        What else belongs to a run goes first, by ``let_go``: a kill leaves nothing that nobody knows of."""

    def checkpoint(self) -> None:
        """Fold what was written into the main file, where the engine has such a thing."""

    # Cached results

    def cache_put(self, values: Mapping[str, Any], computed_at: datetime, expires_at: datetime) -> None:
        """Keep JSON values by key, all or none."""

    def cache_get(self, key: str, now: datetime) -> CachedResult | None:
        """A value that has not expired."""

    def cached(self) -> Sequence[CachedResult]:
        """Every value, also the expired ones, by key."""

    def cache_purge(self, now: datetime) -> int:
        """Remove what has expired; how many."""

    # Counters

    def count(self, changes: Mapping[str, int]) -> None:
        """Add to counters, which begin at 0; one transaction."""

    def counters(self) -> Mapping[str, int]:
        """All of them, since ``reset_counters``."""

    def reset_counters(self) -> None:
        """Begin anew."""


def new_run_id() -> str:
    """16 hexadecimal characters, random. People use a prefix of at least four."""
    import os

    return os.urandom(8).hex()
