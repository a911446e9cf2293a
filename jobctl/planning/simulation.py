"""Makes a plan: the scheduler itself decides, in simulated time, over a temporary run store.

Every run is assumed to succeed, and to take as long as runs of its job did.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jobctl.clock import INSTANT
from jobctl.errors import UsageError
from jobctl.events import Bus, Event, RunFinished, SlotsMissed
from jobctl.execution.tasks import Task
from jobctl.model import Job, Reason, Run, RunStatus, Trigger, WaitingRun
from jobctl.planning.plan import MissedSlots, Outcome, PlannedRun, RunPlan
from jobctl.planning.simulated_time import SimulatedClock, SimulatedWorkers
from jobctl.scheduler.agenda import AgendaEntry
from jobctl.scheduler.lease import Lease
from jobctl.scheduler.scheduler import Scheduler
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Ending, JobRecord, Misfires, new_run_id, registration
from jobctl.value_class import value

if TYPE_CHECKING:
    from jobctl.execution.pool import WorkerPool
    from jobctl.store.base import RunStore

MOST_SLOTS = 100_000
"""About a minute's work."""
_TARGET = "jobctl:planned"


@value
class Start:
    """The state in which a plan begins.

    Attributes:
        records: of jobs, by id; a job without one is new.
        unfinished: runs that go on.
        waiting: runs that are kept for later.
    """

    records: Mapping[str, JobRecord] = field(default_factory=dict)
    unfinished: Sequence[Run] = ()
    waiting: Sequence[WaitingRun] = ()

    @classmethod
    def read(cls, store: "RunStore") -> "Start":
        """The state of a run store."""
        return cls(store.jobs(), [run for run, _ in store.unfinished()], store.waiting())

    def at(self, begin: datetime) -> "Start":
        """The state at another time: all slots before it have had their runs, which have ended."""
        records = {
            job_id: replace(
                record,
                cursor=begin - INSTANT,
                last=None,
                stopped=None if _ends_before(record.stopped_until, begin) else record.stopped,
            )
            for job_id, record in self.records.items()
        }
        return Start(records, (), [run for run in self.waiting if run.begins_at >= begin])

    def why_off(self, job: Job) -> str | None:
        """Why a job is not on its schedule, as a clause; None if it is, or will be."""
        record = self.records.get(job.id)
        if job.schedule_text is None:
            return "it has no schedule"
        if not job.enabled:
            return "it is not enabled"
        if job.unmet is not None:
            return job.unmet
        if record is not None and record.stopped is not None and record.stopped_until is None:
            return "it is stopped"
        return None


def _ends_before(stopped_until: datetime | None, instant: datetime) -> bool:
    return stopped_until is not None and stopped_until <= instant


def make_plan(
    jobs: Iterable[Job],
    start: Start,
    begin: datetime,
    end: datetime,
    *,
    workers: int,
    duration: Callable[[Job], timedelta],
) -> RunPlan:
    """Find out what the scheduler does in ``[begin, end)``.

    Args:
        start: the state at ``begin``.
        workers: how many jobs may run at the same time.
        duration: how long a run of a job takes.

    Raises:
        UsageError: there are more than ``MOST_SLOTS`` slots.
        StoreError: the temporary run store cannot be written.
    """
    known = list(jobs)
    left_out = {job.id: why for job in known if (why := start.why_off(job)) is not None}
    _check_size([job for job in known if job.id not in left_out], begin, end)
    durations = {job.id: duration(job) for job in known}
    chosen = [replace(job, target=_TARGET, arguments={}) for job in known]
    with tempfile.TemporaryDirectory(prefix="jobctl-plan-") as folder:
        simulation = _Simulation(
            Path(folder), chosen, start, begin, end, workers=workers, durations=durations
        )
        simulation.run()
    return RunPlan(
        begin,
        end,
        workers,
        tuple(job for job in chosen if job.id not in left_out),
        left_out,
        sorted(simulation.runs, key=lambda run: (run.begins_at, run.job_id)),
        simulation.missed,
        durations,
        simulation.anchors,
    )


def _check_size(jobs: Iterable[Job], begin: datetime, end: datetime) -> None:
    slots = {
        job.id: job.schedule.count(begin - INSTANT, end - INSTANT, begin) for job in jobs if job.schedule
    }
    total = sum(slots.values())
    if total > MOST_SLOTS:
        most = max(slots, key=lambda job_id: slots[job_id])
        raise UsageError(
            f"a plan has {MOST_SLOTS:,} slots at most, not {total:,}; {slots[most]:,} of them are of {most}",
            hint="plan a shorter time with --to",
        )


class _Simulation:
    """The scheduler with a clock, workers and a store of its own. Takes the runs from its events."""

    def __init__(
        self,
        folder: Path,
        jobs: Sequence[Job],
        start: Start,
        begin: datetime,
        end: datetime,
        *,
        workers: int,
        durations: Mapping[str, timedelta],
    ) -> None:
        self.runs: list[PlannedRun] = []
        self.missed: list[MissedSlots] = []
        self.anchors: dict[str, datetime] = {}
        self._jobs = {job.id: job for job in jobs}
        self._start = start
        self._begin = begin
        self._end = end
        self._durations = durations
        self._passed = {run.job_id: begin - run.started_at for run in start.unfinished}
        self._clock = SimulatedClock(begin - INSTANT)  # the first turn of the loop is at the beginning
        self._store = open_store(folder)
        self._store.use_as_temporary()
        bus = Bus()
        bus.subscribe(self._take)
        self._lease = Lease(
            self._store,
            "scheduler",
            folder,
            self._clock,
            extend_runs=lambda _: None,
            end_runs=lambda: None,
        )
        pool = SimulatedWorkers(workers, self._clock, end - INSTANT, self._duration)
        self._scheduler = Scheduler(
            self._store, self._lease, cast("WorkerPool", pool), bus, self._clock, alone=True
        )
        self._scheduler.on_turn = self._check_end

    def run(self) -> None:
        """Let the time of the plan pass."""
        try:
            self._lease.sign_on()
            self._restore()
            for run in self._start.unfinished:
                if run.job_id in self._jobs:
                    self._scheduler.trigger(self._jobs[run.job_id], Trigger.MANUAL, {}, None)
            self._scheduler.schedule(self._jobs.values())
            self._scheduler.run()
        finally:
            self._lease.sign_off()
            self._store.close()
        if self._scheduler.error is not None:
            raise self._scheduler.error

    def _duration(self, task: Task) -> timedelta:
        """What is left of it for a run that goes on when the plan begins."""
        return max(timedelta(0), self._durations[task.job_id] - self._passed.pop(task.job_id, timedelta(0)))

    def _check_end(self) -> None:
        if self._clock.now() + INSTANT >= self._end:
            self._scheduler.end_now()

    # What happens

    def _take(self, event: Event) -> None:
        match event:
            case RunFinished(run):
                self.runs.append(self._planned(run))
            case SlotsMissed(job_id, count, first, last):
                self.missed.append(MissedSlots(job_id, count, first, last))

    def _planned(self, run: Run) -> PlannedRun:
        slot, began = run.scheduled_for, run.started_at
        waited = timedelta(0)
        if slot is not None and slot >= self._begin:
            waited = max(waited, began - self._begins(run.job_id, slot))
        outcome = _outcome(run)
        ended = self._end if outcome is Outcome.CONTINUES else run.finished_at or began
        return PlannedRun(run.job_id, slot, began, ended, outcome, waited)

    def _begins(self, job_id: str, slot: datetime) -> datetime:
        """When a slot begins, with its jitter."""
        job = self._jobs[job_id]
        if not (job.jitter and job.schedule):
            return slot
        return AgendaEntry(job, job.schedule, slot, None).begins(slot)

    # The state at the beginning

    def _restore(self) -> None:
        known = {
            job_id: record
            for job_id, record in self._start.records.items()
            if job_id in self._jobs and _is_current(self._jobs[job_id], record)
        }
        by_anchor: dict[datetime, list[Job]] = defaultdict(list)
        for job in self._jobs.values():
            anchor = self.anchors[job.id] = known[job.id].anchor if job.id in known else self._begin
            by_anchor[anchor].append(job)
        for anchor, jobs in by_anchor.items():
            self._store.register([registration(job) for job in jobs], anchor)
        for job_id, record in known.items():
            if record.cursor is not None:
                self._store.pass_slots(job_id, record.cursor, Misfires(None, 0))
        chained = {job_id for job in self._jobs.values() if job.after for job_id in (job.id, *job.after)}
        for job_id, record in self._start.records.items():
            if job_id not in self._jobs:
                continue
            if job_id in chained:
                self._restore_last_runs(record)
            if record.stopped is not None:
                self._store.stop([job_id], record.stopped, until=record.stopped_until)
        self._store.keep([run for run in self._start.waiting if run.job_id in self._jobs])

    def _restore_last_runs(self, record: JobRecord) -> None:
        """When the job last completed and last started, which decides when jobs run after it, and it after others."""
        completed = record.last_success
        started = record.last.started_at if record.last else None
        if completed is not None:
            self._record_run(record.id, completed, RunStatus.COMPLETED)
        if started is not None and (completed is None or started > completed):
            self._record_run(record.id, started, RunStatus.FAILED)

    def _record_run(self, job_id: str, at: datetime, status: RunStatus) -> None:
        run_id = new_run_id()
        self._store.claim(self._lease.owner, [Claim(run_id, job_id, Trigger.MANUAL, at, force=True)])
        self._store.finish([Ending(run_id, job_id, status, at, at, timedelta(0))])


def _is_current(job: Job, record: JobRecord) -> bool:
    """Whether the job's place on its schedule is of this schedule."""
    wanted = registration(job)
    return (wanted.schedule, wanted.timezone) == (record.schedule, record.timezone)


def _outcome(run: Run) -> Outcome:
    if run.status is RunStatus.SKIPPED:
        return Outcome.SKIPPED if run.reason is Reason.OVERLAP else Outcome.EXCLUDED
    reasons = {
        Reason.INTERRUPTED: Outcome.CONTINUES,
        Reason.CANCELLED: Outcome.REPLACED,
        Reason.TIMEOUT: Outcome.TIMES_OUT,
    }
    return Outcome.RUNS if run.reason is None else reasons[run.reason]
