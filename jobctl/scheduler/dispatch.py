"""Which due slots run next: those that wait for a worker, and those that another run blocks."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING

from jobctl.clock import Clock
from jobctl.errors import StoreError, UnknownToStoreError
from jobctl.events import Bus, RunFinished
from jobctl.execution.tasks import Arguments
from jobctl.model import CatchUp, Job, OnOverlap, Trigger
from jobctl.scheduler.after_jobs import AfterJobs, StoppedJobs
from jobctl.scheduler.agenda import Agenda, DueSlot, Span
from jobctl.scheduler.clock_watch import ClockWatch
from jobctl.scheduler.lease import Lease
from jobctl.scheduler.misfires import MisfireReporter
from jobctl.scheduler.recorder import Recorder
from jobctl.scheduler.retry_timer import RetryTimer
from jobctl.scheduler.run_supervisor import RunSupervisor
from jobctl.scheduler.waiting import WaitingRuns
from jobctl.store.base import RunStore
from jobctl.store.records import (
    Claim,
    Claimed,
    ClaimOutcome,
    CursorMoved,
    Enqueued,
    JobRecord,
    Overlap,
    SlotTaken,
    Stopped,
    new_run_ids,
)

if TYPE_CHECKING:
    from jobctl.execution.pool import WorkerPool

_COLLECTED = 128
_CLAIMED = 128
_LEAST_CLAIMED = 32
"""Of quick jobs while more are due: a claim is a transaction, so a burst needs few of them."""
_CHECKED = 1000
_QUICK = timedelta(milliseconds=20)


class ReadySlots:
    """Slots that wait for a worker, at most one a job; those of quick jobs apart, since many of them share a worker.

    Which jobs are quick is learned from run to run. A job that has not run here yet is assumed to be like the
    last new job. So a burst of new, quick jobs starts together; a slow one among them delays none, since the pool
    takes back the tasks that wait behind it.
    """

    def __init__(self) -> None:
        self._slots: dict[bool, OrderedDict[str, DueSlot]] = {True: OrderedDict(), False: OrderedDict()}
        self._learned: dict[str, bool] = {}
        self._new_jobs_are_quick = False

    def __bool__(self) -> bool:
        return any(self._slots.values())

    def put(self, due: DueSlot, *, first: bool = False) -> None:
        """Add a slot before all others, or behind them. An older slot of the same job was missed."""
        job_id = due.entry.job.id
        if self.discard(job_id):
            due.nothing_missed_before = False
        slots = self._slots[self.is_quick(due.entry.job)]
        slots[job_id] = due
        if first:
            slots.move_to_end(job_id, last=False)

    def discard(self, job_id: str) -> bool:
        """Remove a job's slot; False where it has none."""
        return (self._slots[True].pop(job_id, None) or self._slots[False].pop(job_id, None)) is not None

    def clear(self) -> None:
        """Remove every slot."""
        for slots in self._slots.values():
            slots.clear()

    def pick(self, capacity: Callable[[bool], int]) -> list[DueSlot]:
        """The slots to claim now, those of quick jobs first. They stay here until they are discarded.

        Args:
            capacity: for how many runs there is room, of quick jobs or of others.
        """
        for quick, slots in self._slots.items():
            room = capacity(quick) if slots else 0
            if room >= min(len(slots), _LEAST_CLAIMED if quick else 1) > 0:
                return list(islice(slots.values(), min(room, _CLAIMED)))
        return []

    def first(self, most: int) -> list[DueSlot]:
        """The slots that wait, ``most`` of them at most."""
        return list(islice(chain.from_iterable(slots.values() for slots in self._slots.values()), most))

    def is_quick(self, job: Job) -> bool:
        """Whether a run of the job may wait behind others in one worker, not started for it alone."""
        return self._learned.get(job.id, self._new_jobs_are_quick) and not job.environment

    def learn(self, job_id: str, took: timedelta, *, failed: bool) -> None:
        """Take into account how the job's last attempt went."""
        quick = not failed and took < _QUICK
        if job_id not in self._learned:
            if quick and not self._new_jobs_are_quick:
                others = self._slots[False]
                new = [
                    other
                    for other, due in others.items()
                    if other not in self._learned and not due.entry.job.environment
                ]
                self._slots[True].update({other: others.pop(other) for other in new})
            self._new_jobs_are_quick = quick
        self._learned[job_id] = quick


class BlockedSlots:
    """Slots that wait for the end of the run that blocks them: one a job, the newest, longest wait first.

    They are claimed again whenever a run ends here, each second for runs that end in other processes, and before a
    newer slot of their group.
    """

    def __init__(self) -> None:
        self._slots: dict[str, DueSlot] = {}
        self._retry = RetryTimer()

    def put(self, due: DueSlot, now: float) -> None:
        """Add a slot that could not run at ``now``, in seconds of the steady clock, at the end."""
        self._slots[due.entry.job.id] = due
        self._retry.restart(now)

    def replace_older(self, due: DueSlot) -> bool:
        """Whether an older slot of the job was blocked: the newer one has its place now, and the older was missed."""
        job = due.entry.job
        if job.id in self._slots:
            due.nothing_missed_before = False
            self._slots[job.id] = due
            return True
        if job.group is not None and any(
            job.group == other.entry.job.group for other in self._slots.values()
        ):
            self._retry.expire()
        return False

    def discard(self, job_id: str) -> None:
        """Remove a job's slot, if it has one."""
        self._slots.pop(job_id, None)

    def clear(self) -> None:
        """Remove every slot."""
        self._slots.clear()

    def take(self, now: float, recorded: int) -> list[DueSlot]:
        """The slots to claim again now, in order.

        Args:
            recorded: how many runs have ended here.
        """
        if not self._retry.is_due(now, recorded) or not self._slots:
            return []
        slots = list(self._slots.values())
        self._slots.clear()
        return slots


class Dispatcher:
    """Takes due slots from the agenda, claims them in the run store, and starts the runs. Used by one thread.

    Attributes:
        agenda: the jobs that are on their schedules.
        after: those that run after other jobs.
        stopped: the jobs that were taken off their schedules.
    """

    def __init__(
        self,
        store: RunStore,
        *,
        runs: RunSupervisor,
        recorder: Recorder,
        pool: "WorkerPool",
        lease: Lease,
        watch: ClockWatch,
        misfires: MisfireReporter,
        waiting: WaitingRuns,
        bus: Bus,
        clock: Clock,
    ) -> None:
        self.agenda = Agenda()
        self.stopped = StoppedJobs()
        self.after = AfterJobs(
            store,
            runs=runs,
            recorder=recorder,
            pool=pool,
            lease=lease,
            watch=watch,
            clock=clock,
            stopped=self.stopped,
        )
        self._runs = runs
        self._recorder = recorder
        self._pool = pool
        self._lease = lease
        self._watch = watch
        self._misfires = misfires
        self._waiting = waiting
        self._bus = bus
        self._clock = clock
        self._ready = ReadySlots()
        self._blocked = BlockedSlots()
        self._unkept: dict[str, DueSlot] = {}

    @property
    def has_ready(self) -> bool:
        """Whether slots wait for a worker."""
        return bool(self._ready)

    def is_quick(self, job: Job) -> bool:
        """Whether a run of the job may wait behind others in one worker."""
        return self._ready.is_quick(job)

    def learn(self, job: Job, took: timedelta, *, failed: bool) -> None:
        """Take into account how the job's last attempt went."""
        self._ready.learn(job.id, took, failed=failed)
        self.after.run_ended(job.id)

    def place(
        self, job: Job, record: JobRecord, now: datetime, ahead: tuple[Span, ...] = ()
    ) -> datetime | None:
        """Put a job on the agenda; one whose place lies ahead of the clock goes on from ``now``.

        A job that is there with the same schedule keeps its place, and its slots wait on. Returns its next due time.
        """
        if job.after:
            self.remove([job.id], for_good=True)
            self.after.put(job)
            return None
        self.stopped.discard(job.id)
        entry = self.agenda.renew(job, record.anchor)
        if entry is None:
            self._discard(job.id)
            cursor, known = record.cursor, self.agenda.get(job.id)
            if known is not None and known.anchor == record.anchor:
                cursor = self._misfires.pass_excluded(known, cursor, now)
            begin = now if self._watch.is_ahead(cursor or record.anchor, now) else cursor
            entry = self.agenda.put(job, record.anchor, begin, ahead)
        return entry.due

    def remove(self, job_ids: Iterable[str], *, for_good: bool) -> None:
        """Take jobs off the agenda, for good or until they are put back; a run in progress goes on."""
        for job_id in job_ids:
            self._discard(job_id)
            self.agenda.remove(job_id)
            (self.stopped.discard if for_good else self.stopped.add)(job_id)

    def clear_ready(self) -> None:
        """Start nothing that waits for a worker."""
        self._ready.clear()

    def restart_from(self, now: datetime) -> None:
        """The clock was set back: every job goes on from now."""
        self.agenda.rebase(now)
        self._blocked.clear()
        self._ready.clear()
        self._unkept.clear()
        self._waiting.read_first()

    def collect(self, now: datetime) -> None:
        """Take the slots that are due from the agenda."""
        unkept, self._unkept = self._unkept, {}
        taken = self.agenda.take_due(now, _COLLECTED)
        if excluded := [(due.entry.job, due.slot) for due in taken if due.is_excluded]:
            self._skip_excluded(excluded)
        for due in [*unkept.values(), *taken]:
            if due.is_excluded:
                continue
            if not due.should_run:
                self._misfires.give_up(due, now)
            elif CatchUp.of(due.entry.job.catch_up) is CatchUp.EACH:
                self._keep(due, now)
            elif not self._blocked.replace_older(due):
                self._ready.put(due)

    def _skip_excluded(self, slots: Sequence[tuple[Job, datetime]]) -> None:
        """Record slots on excluded dates. One that cannot be recorded now is not recorded: it would not run anyway."""
        try:
            self._runs.skip_excluded(slots, self._watch.clock_generation)
        except UnknownToStoreError:
            pass  # the lease is lost
        except StoreError as error:
            self._recorder.report(error)

    def _keep(self, due: DueSlot, now: datetime) -> None:
        """Put the slot, and those before it, among the runs that wait; again in the next turn where that fails.

        Where it has failed in this turn, nothing is tried: a locked store makes each attempt wait.
        """
        entry = due.entry
        if self._unkept.pop(entry.job.id, None) is not None:
            due.nothing_missed_before = False
        if self._unkept:
            self._unkept[entry.job.id] = due
            return
        self._unkept[entry.job.id] = due
        try:
            while isinstance(outcome := self._waiting.keep(due, now), CursorMoved):
                due.count_from(outcome.cursor)
        except UnknownToStoreError:
            self._lease.lose()
            return
        except StoreError as error:
            self._recorder.report(error)
            return
        del self._unkept[entry.job.id]
        match outcome:
            case Enqueued():
                self.agenda.advance(entry, due.slot)
            case SlotTaken(cursor):
                self.agenda.advance(entry, cursor)
                if cursor is not None:
                    self._watch.warn_ahead(cursor, now)
            case Stopped():
                self.remove([entry.job.id], for_good=False)
                self.stopped.find(entry.job.id)

    def start_ready(self) -> None:
        """Claim and start as many slots as the workers have room for."""
        if self.after and self._lease.holds:
            self.after.start_due()
        while self._lease.holds:
            for due in reversed(self._blocked.take(self._clock.monotonic(), self._recorder.recorded)):
                self._ready.put(due, first=True)
            picked = self._ready.pick(lambda quick: self._pool.capacity(quick=quick))
            if not picked or not self._claim(picked):
                return

    def _claim(self, picked: list[DueSlot]) -> bool:
        """Claim slots and start those that were won; False where the store cannot be written."""
        now = self._clock.now()
        claims = self._claims_of(picked, now)
        outcomes = self._recorder.claim(claims)
        if outcomes is None:
            return False
        tasks = []
        for due, claim, outcome in zip(picked, claims, outcomes, strict=True):
            job = due.entry.job
            self._ready.discard(job.id)
            if isinstance(outcome, Claimed):
                tasks.append(self._runs.begin(job, outcome, quick=self._ready.is_quick(job)))
            self._process(due, claim, outcome, now)
        self._runs.submit(tasks, at_once=True)
        if any(isinstance(outcome, SlotTaken) for outcome in outcomes):
            self._drop_taken(now)
        return True

    def _drop_taken(self, now: datetime) -> None:
        """Another scheduler was faster: see by one query what else it has taken, rather than by a claim each."""
        waiting = self._ready.first(_CHECKED)
        claims = self._claims_of(waiting, now)
        refused = self._recorder.refused(claims)
        for due, claim in zip(waiting, claims, strict=True):
            outcome = refused.get(claim.run_id)
            if isinstance(outcome, SlotTaken):
                self._ready.discard(due.entry.job.id)
                self._process(due, claim, outcome, now)

    def _claims_of(self, slots: Sequence[DueSlot], now: datetime) -> list[Claim]:
        generation = self._watch.clock_generation
        return [
            _claim_of(due, run_id, now, generation, self._runs.kept_arguments(due.entry.job))
            for due, run_id in zip(slots, new_run_ids(len(slots)), strict=True)
        ]

    def _process(self, due: DueSlot, claim: Claim, outcome: ClaimOutcome, now: datetime) -> None:
        entry = due.entry
        match outcome:
            case Claimed():
                self._serve(due, claim, now)
            case Overlap(running, skipped=None):
                due.blocked_since = due.blocked_since or now
                is_older = running.started_at <= due.blocked_since
                if entry.job.overlap is OnOverlap.REPLACE and running.job_id == entry.job.id and is_older:
                    self._runs.replace(running, due.slot)
                self._blocked.put(due, self._clock.monotonic())
            case Overlap(skipped=skipped) if skipped is not None:
                self._bus.publish(RunFinished(skipped))
                self._serve(due, claim, now)
            case SlotTaken(cursor):
                self.agenda.advance(entry, cursor)
                if cursor is not None:
                    self._watch.warn_ahead(cursor, now)
            case CursorMoved(cursor):  # by another process: count again, and claim again at once
                due.count_from(cursor)
                self._ready.put(due, first=True)
            case Stopped():
                self.remove([entry.job.id], for_good=False)
                self.stopped.find(entry.job.id)

    def _serve(self, due: DueSlot, claim: Claim, now: datetime) -> None:
        self._misfires.report(due, claim.misfires, now)
        self.agenda.advance(due.entry, due.slot)

    def _discard(self, job_id: str) -> None:
        self._blocked.discard(job_id)
        self._ready.discard(job_id)
        self.after.discard(job_id)
        self._unkept.pop(job_id, None)


def _claim_of(
    due: DueSlot, run_id: str, now: datetime, clock_generation: int, arguments: Arguments | None
) -> Claim:
    job = due.entry.job
    return Claim(
        run_id,
        job.id,
        Trigger.SCHEDULE,
        now,
        slot=due.slot,
        clock_generation=clock_generation,
        fixed=due.entry.schedule.is_fixed(due.slot),
        next_run=due.entry.due,
        group=job.group,
        queue=job.overlap is not OnOverlap.SKIP,
        misfires=due.misfires(),
        arguments=arguments,
    )


def runs_ahead(jobs: Iterable[Job], records: Mapping[str, JobRecord]) -> dict[str, tuple[Span, ...]]:
    """For each job whose slots wait for runs that block them, the newest runs of the jobs that must not run beside it.

    A run has its place in the queue by its slot, or by its start where it has none.
    """
    chosen = list(jobs)
    if all(job.overlap is OnOverlap.SKIP for job in chosen):
        return {}
    queues: dict[tuple[str | None, str], list[Span]] = {}
    for job in chosen:
        run = records[job.id].last
        if run is not None:
            queues.setdefault(_queue_of(job), []).append(
                (run.scheduled_for or run.started_at, run.finished_at)
            )
    return {
        job.id: tuple(queues.get(_queue_of(job), ())) for job in chosen if job.overlap is not OnOverlap.SKIP
    }


def _queue_of(job: Job) -> tuple[str | None, str]:
    return (job.group, "" if job.group is not None else job.id)
