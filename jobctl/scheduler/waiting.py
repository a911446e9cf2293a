"""Runs that the run store keeps for later: put there where a job catches up each slot, started at their time."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from jobctl.clock import INSTANT, Clock
from jobctl.errors import StoreError
from jobctl.events import Bus, SlotsMissed
from jobctl.model import Job, Trigger, WaitingRun
from jobctl.scheduler.agenda import DueSlot
from jobctl.scheduler.clock_watch import ClockWatch
from jobctl.scheduler.lease import Lease
from jobctl.scheduler.recorder import Recorder
from jobctl.scheduler.retry_timer import RetryTimer
from jobctl.scheduler.run_supervisor import RunSupervisor
from jobctl.store.base import RunStore
from jobctl.store.records import Claim, Claimed, Enqueued, Misfires, SlotsOutcome, SlotTaken

if TYPE_CHECKING:
    from jobctl.execution.pool import WorkerPool


class WaitingRuns:
    """Starts the runs that wait, one after another for each job. Used by the scheduler's thread.

    Any scheduler that knows the job starts them; the run store lets only one of them do so. Those that an unfinished
    run blocks are tried again whenever a run ends here, and each second for runs that end in other processes.
    """

    def __init__(
        self,
        store: RunStore,
        lease: Lease,
        clock: Clock,
        bus: Bus,
        *,
        pool: "WorkerPool",
        recorder: Recorder,
        runs: RunSupervisor,
        watch: ClockWatch,
    ) -> None:
        self._store = store
        self._lease = lease
        self._clock = clock
        self._bus = bus
        self._pool = pool
        self._recorder = recorder
        self._runs = runs
        self._watch = watch
        self._first: datetime | None = None
        self._retry = RetryTimer()

    def next_time(self, now: datetime) -> datetime | None:
        """When the next run begins; None where none waits, or those that are due are blocked."""
        return self._first if self._first is not None and self._first > now else None

    def has_changed(self) -> bool:
        """Whether another process has changed when the next run begins. From any thread."""
        return self._store.first_waiting() != self._first

    def read_first(self) -> None:
        """Read from the run store when the next run begins."""
        with suppress(StoreError):
            self._first = self._store.first_waiting()
            self._retry.expire()

    def start_due(self, now: datetime, jobs: Mapping[str, Job], is_quick: Callable[[Job], bool]) -> None:
        """Start the runs that are due and not blocked, as far as the workers have room."""
        if self._first is None or self._first > now or not self._lease.holds:
            return
        steady = self._clock.monotonic()
        has_room = self._pool.capacity(quick=False) > 0
        if not has_room or not self._retry.is_due(steady, self._recorder.recorded):
            return
        self._retry.restart(steady)
        startable = {job_id: job.group for job_id, job in jobs.items() if job.unmet is None}
        try:
            while due := self._store.due_waiting(now, startable, self._pool.capacity(quick=False)):
                if not self._start(due, now, jobs, is_quick):
                    break
            self._first = self._store.first_waiting()
        except StoreError as error:
            self._recorder.report(error)

    def _start(
        self,
        due: Sequence[WaitingRun],
        now: datetime,
        jobs: Mapping[str, Job],
        is_quick: Callable[[Job], bool],
    ) -> bool:
        """Claim runs and start those that were won; True where another process was faster, so that others may be free."""
        outcomes = self._recorder.claim([self._claim_of(run, jobs[run.job_id], now) for run in due])
        if outcomes is None:
            return False
        for run, outcome in zip(due, outcomes, strict=True):
            if isinstance(outcome, Claimed):
                job = jobs[run.job_id]
                task = self._runs.begin(job, outcome, run.arguments, quick=is_quick(job), slot=run.slot)
                self._runs.submit([task])
        return any(isinstance(outcome, SlotTaken) for outcome in outcomes)

    def _claim_of(self, run: WaitingRun, job: Job, now: datetime) -> Claim:
        return Claim(
            run.id,
            job.id,
            run.trigger,
            now,
            slot=run.slot if run.rerun_of is None else None,  # the run that it repeats has claimed it
            clock_generation=self._watch.clock_generation,
            fixed=job.schedule is not None and run.slot is not None and job.schedule.is_fixed(run.slot),
            force=run.trigger is not Trigger.SCHEDULE,
            waits=True,
            group=job.group,
            arguments=self._runs.kept_arguments(job, run.arguments),
            rerun_of=run.rerun_of,
            actor=run.actor,
            batch=run.batch,
        )

    def keep(self, due: DueSlot, now: datetime) -> SlotsOutcome:
        """Keep a due slot, and those that were missed before it, to be run in order.

        Raises:
            StoreError: nothing was kept.
        """
        entry, job = due.entry, due.entry.job
        misfires = due.misfires()
        slots = [due.slot]
        begin = entry.last_dealt_with(due.slot, due.cursor)
        while len(slots) <= misfires.count and len(slots) < job.catch_up_limit:
            before = entry.schedule.latest_until(slots[-1] - INSTANT, begin, entry.anchor)
            if before is None:
                break
            slots.append(before)
        slots.reverse()
        missed = misfires.count + 1 - len(slots)
        claim = Claim(
            "",
            job.id,
            Trigger.SCHEDULE,
            now,
            slot=due.slot,
            clock_generation=self._watch.clock_generation,
            next_run=entry.due,
            misfires=Misfires(misfires.cursor, missed),
        )
        outcome = self._store.enqueue_slots(claim, slots, job.catch_up_limit, self._lease.owner.id)
        if isinstance(outcome, Enqueued):
            self._first = min(now, self._first or now)
            self._retry.expire()
            gone = list(outcome.dropped)
            if missed:
                last = entry.schedule.latest_until(slots[0] - INSTANT, begin, entry.anchor)
                gone += [entry.schedule.next_after(begin, entry.anchor), last or slots[0]]
            if gone:
                count = missed + len(outcome.dropped)
                self._bus.publish(SlotsMissed(job.id, count, min(gone), max(gone), runs_now=True, at=now))
        return outcome
