"""Jobs that run after other jobs: a job is due when all that it names have completed since its last start.

The run store alone decides, so a kill loses nothing. The slot of a run is the latest of those completions, so that
of several schedulers one starts it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from jobctl.clock import Clock
from jobctl.errors import StoreError
from jobctl.model import Job, RunStatus, Trigger
from jobctl.scheduler.agenda import LATE
from jobctl.scheduler.clock_watch import ClockWatch
from jobctl.scheduler.lease import Lease
from jobctl.scheduler.recorder import Recorder
from jobctl.scheduler.retry_timer import RetryTimer
from jobctl.scheduler.run_supervisor import RunSupervisor
from jobctl.store.base import RunStore
from jobctl.store.records import (
    Claim,
    Claimed,
    CursorMoved,
    JobRecord,
    Misfires,
    Overlap,
    Stopped,
    new_run_ids,
)

if TYPE_CHECKING:
    from jobctl.execution.pool import WorkerPool


class StoppedJobs(set[str]):
    """The ids of jobs that were taken off their schedules, and may be put back.

    Attributes:
        has_found: one was found to be stopped when it was due. Until when is to be read; that may be past already.
    """

    has_found = False

    def find(self, job_id: str) -> None:
        """Add a job that the run store says is stopped."""
        self.add(job_id)
        self.has_found = True


class _DueRun(NamedTuple):
    """``cursor`` is the job's as it was read: if it has moved, another process has started the job since."""

    slot: datetime
    cursor: datetime | None


class AfterJobs:
    """The jobs with ``after``. They are checked when a run of theirs or of a job that they name has ended, and started.

    Used by one thread.

    Args:
        stopped: gets the jobs that are found to be off their schedules.
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
        clock: Clock,
        stopped: StoppedJobs,
    ) -> None:
        self._store = store
        self._runs = runs
        self._recorder = recorder
        self._pool = pool
        self._lease = lease
        self._watch = watch
        self._clock = clock
        self._stopped = stopped
        self._jobs: dict[str, Job] = {}
        self._to_check: set[str] = set()
        self._due: dict[str, _DueRun] = {}
        self._blocked: set[str] = set()
        self._retry = RetryTimer()
        self._affected: dict[str, set[str]] = {}  # the jobs to check when a run of the job has ended

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def put(self, job: Job) -> None:
        """Add a job; replaces an earlier definition."""
        self.discard(job.id)
        self._jobs[job.id] = job
        self._to_check.add(job.id)
        for job_id in (job.id, *job.after):
            self._affected.setdefault(job_id, set()).add(job.id)

    def discard(self, job_id: str) -> None:
        """Remove a job, if it is here."""
        job = self._jobs.pop(job_id, None)
        if job is None:
            return
        self._forget(job_id)
        self._to_check.discard(job_id)
        for other in (job_id, *job.after):
            self._affected[other].discard(job_id)

    def check_all(self) -> None:
        """Runs may have ended in other processes."""
        self._to_check.update(self._jobs)

    def run_ended(self, job_id: str) -> None:
        """A run of any job has ended here."""
        self._to_check.update(self._affected.get(job_id, ()))

    def start_due(self) -> None:
        """Start as many of the due jobs as the workers have room for."""
        if self._blocked and self._retry.is_due(self._clock.monotonic(), self._recorder.recorded):
            self._to_check |= self._blocked
        if self._to_check and self._recorder.flush():
            self._check()
        if self._due:
            self._claim()

    def _check(self) -> None:
        jobs = [self._jobs[job_id] for job_id in self._to_check]
        try:
            records = self._store.jobs({job_id for job in jobs for job_id in (job.id, *job.after)})
        except StoreError as error:
            self._recorder.report(error)
            return
        self._to_check.clear()
        latest = self._clock.now() + LATE  # clocks differ, and are set back a little
        for job in jobs:
            self._forget(job.id)
            record = records.get(job.id)
            if record is None:
                continue
            if record.stopped is not None:
                self._stopped.find(job.id)
            elif (slot := due_slot(record, job.after, records, latest)) is not None:
                self._due[job.id] = _DueRun(slot, record.cursor)

    def _claim(self) -> None:
        room = max(0, self._pool.capacity(quick=False))
        picked = [(self._jobs[job_id], due) for job_id, due in islice(self._due.items(), room)]
        if not picked:
            return
        claims = [
            self._claim_of(job, due, run_id)
            for (job, due), run_id in zip(picked, new_run_ids(len(picked)), strict=True)
        ]
        outcomes = self._recorder.claim(claims)
        if outcomes is None:
            return
        tasks = []
        for (job, _), outcome in zip(picked, outcomes, strict=True):
            self._forget(job.id)
            match outcome:
                case Claimed():
                    tasks.append(self._runs.begin(job, outcome, quick=False))
                case Overlap():
                    self._blocked.add(job.id)
                    self._retry.restart(self._clock.monotonic())
                case CursorMoved():
                    self._to_check.add(job.id)
                case Stopped():
                    self._stopped.find(job.id)
        self._runs.submit(tasks, at_once=True)

    def _claim_of(self, job: Job, due: _DueRun, run_id: str) -> Claim:
        return Claim(
            run_id,
            job.id,
            Trigger.SCHEDULE,
            self._clock.now(),
            slot=due.slot,
            clock_generation=self._watch.clock_generation,
            group=job.group,
            queue=True,
            misfires=Misfires(due.cursor, 0),
            arguments=self._runs.kept_arguments(job),
        )

    def _forget(self, job_id: str) -> None:
        self._due.pop(job_id, None)
        self._blocked.discard(job_id)


def due_slot(
    record: JobRecord, after: Iterable[str], records: Mapping[str, JobRecord], latest: datetime
) -> datetime | None:
    """The latest completion of the jobs that it is ``after``, if all have completed since its last start; else None.

    Args:
        latest: times beyond are from before the clock was set back, and do not count.
    """
    if record.last is not None and record.last.status is RunStatus.RUNNING:
        return None
    last_start = record.last_start(latest)
    completions = []
    for job_id in after:
        completed = records[job_id].last_success if job_id in records else None
        if completed is None or completed > latest or (last_start is not None and completed <= last_start):
            return None
        completions.append(completed)
    return max(completions, default=None)
