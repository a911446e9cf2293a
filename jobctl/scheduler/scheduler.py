"""The scheduler's loop: it starts what is due, and records what came of it.

One thread owns the agenda and the workers. It waits in ``WorkerPool.poll`` for at most a second, so
that a jump of the wall clock is noticed soon; it decides by the wall clock and measures by the steady one.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from jobctl import thread_start
from jobctl.clock import Clock
from jobctl.errors import StoreError, UnknownToStoreError
from jobctl.events import Bus, SchedulerStopped, SchedulerStopping
from jobctl.execution.tasks import Arguments, TaskFinished
from jobctl.model import Job, Reason, Run, Trigger
from jobctl.scheduler.clock_watch import ClockWatch
from jobctl.scheduler.dispatch import Dispatcher, runs_ahead
from jobctl.scheduler.lease import Lease
from jobctl.scheduler.misfires import MisfireReporter
from jobctl.scheduler.recorder import Recorder
from jobctl.scheduler.run_supervisor import RunSupervisor, slot_taken
from jobctl.scheduler.waiting import WaitingRuns
from jobctl.store.base import RunStore
from jobctl.store.records import registration

if TYPE_CHECKING:
    from jobctl.execution.pool import WorkerPool

T = TypeVar("T")

TICK = 1.0
"""Seconds that a turn of the loop takes at most."""
_FLUSH_AT_END_S = 10.0


class Scheduler:
    """Runs the jobs of one process. All but ``call``, ``stop``, ``end_now`` and ``has`` happens in its own thread.

    Args:
        alone: no other process uses the store, and the clock never jumps: nothing is looked for in between.

    Attributes:
        on_turn: called in each turn of the loop, every ``TICK`` seconds at least.
        error: why it ended, unless it was stopped.
        ended: set when the loop has ended.
        finished: the newest runs of this process whose end is recorded.
    """

    def __init__(
        self,
        store: RunStore,
        lease: Lease,
        pool: "WorkerPool",
        bus: Bus,
        clock: Clock,
        *,
        alone: bool = False,
    ) -> None:
        self.on_turn: Callable[[], None] = lambda: None
        self.error: BaseException | None = None
        self.ended = threading.Event()
        self._store = store
        self._lease = lease
        self._pool = pool
        self._bus = bus
        self._clock = clock
        self._tick = math.inf if alone else TICK
        self._watch = ClockWatch(clock, store, lease, bus)
        self._recorder = Recorder(store, lease, bus, clock)
        self._runs = RunSupervisor(store, lease, bus, clock, pool=pool, recorder=self._recorder, alone=alone)
        self._waiting = WaitingRuns(
            store,
            lease,
            clock,
            bus,
            pool=pool,
            recorder=self._recorder,
            runs=self._runs,
            watch=self._watch,
        )
        self._dispatcher = Dispatcher(
            store,
            runs=self._runs,
            recorder=self._recorder,
            pool=pool,
            lease=lease,
            watch=self._watch,
            misfires=MisfireReporter(store, lease, bus),
            waiting=self._waiting,
            bus=bus,
            clock=clock,
        )
        self.finished = self._recorder.finished
        self._jobs: dict[str, Job] = {}
        self._requests: deque[Callable[[], None]] = deque()
        self._store_version: object = None
        self._pause_ends_at: datetime | None = None
        self._stop = _StopRequest()
        self._thread = threading.Thread(target=self.run, name="jobctl-scheduler", daemon=True)

    # From any thread

    @property
    def interrupted(self) -> int:
        """How many runs were ended by the stop."""
        return self._runs.interrupted

    def start(self) -> None:
        """Start the loop, or raise ``NoThreadError``."""
        thread_start.start(self._thread)

    def call(self, request: Callable[[], T]) -> T:
        """Call a function in the loop's thread; returns, or raises, what it does there.

        Raises:
            StoreError: the scheduler has ended.
        """
        future: Future[T] = Future()

        def carry_out() -> None:
            if self.ended.is_set():
                future.set_exception(StoreError("the scheduler has stopped"))
                return
            try:
                future.set_result(request())
            except BaseException as error:
                future.set_exception(error)

        self._requests.append(carry_out)
        self._pool.wake()
        if self.ended.is_set():
            self._answer_requests()
        return future.result()

    def has(self, run_id: str) -> bool:
        """Whether a run is unfinished here, or its end is not recorded yet. The run store is not asked."""
        return self._runs.has(run_id)

    def stop(self, grace: timedelta, error: BaseException | None = None) -> None:
        """Start nothing new; give what runs ``grace`` to end, then end it. Returns at once.

        Args:
            error: why, unless a stop was requested.
        """
        self.error = self.error or error
        self._stop.grace = grace
        self._pool.wake()

    def fail(self, error: BaseException) -> None:
        """End everything because of a fault of jobctl itself."""
        self.stop(timedelta(0), error)

    def end_now(self) -> None:
        """End everything at once. Safe in a signal handler."""
        self._stop.now = True
        self._stop.grace = self._stop.grace or timedelta(0)
        self._pool.wake()

    def abandon(self) -> None:
        """Stop and wait for the end, also where the loop was never started."""
        self.stop(timedelta(0))
        self.ended.wait() if self._thread.ident else self.run()

    def after_fork(self) -> None:
        """In a forked child: release what belongs to the parent."""
        self._pool.after_fork()

    def notice_changes(self) -> None:
        """React to what other processes have changed.

        Jobs are back on their schedules, runs are kept for later, or runs that ``after`` jobs wait for have completed.
        """
        version = self._store.change_token()
        if version == self._store_version:
            return
        away, pause_ends_at = self._away(self._clock.now())
        stops = (away.intersection(self._jobs), pause_ends_at)
        is_known = stops == (self._dispatcher.stopped.intersection(self._jobs), self._pause_ends_at)
        # most changes are heartbeats, which need not wake the loop
        if self._dispatcher.after or not is_known or self._waiting.has_changed():
            self.call(self._follow_store)
        self._store_version = version

    def check_clock(self) -> None:
        """No other scheduler is alive: where a dead one with a fast clock left slots far ahead, go on from now."""
        self.call(self._look_back)

    # In the loop's thread

    def trigger(
        self,
        job: Job,
        trigger: Trigger,
        arguments: Arguments,
        timeout: timedelta | None,
        *,
        slot: datetime | None = None,
        claims_slot: bool = False,
        rerun_of: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """Claim a run outside the schedule and start it; see ``RunSupervisor.trigger``."""

        def start() -> Run:
            quick = self._dispatcher.is_quick(job)
            return self._runs.trigger(
                job,
                trigger,
                arguments,
                timeout,
                quick=quick,
                slot=slot,
                claims_slot=claims_slot,
                rerun_of=rerun_of,
                actor=actor,
                reason=reason,
            )

        try:
            return start()
        except UnknownToStoreError:
            self._check_lease()
            if self._lease.lost:
                raise  # the runs of this process must end first
            return start()

    def skip_excluded(self, job: Job, slot: datetime) -> Run:
        """Record that a slot is not run, since its date is excluded.

        Raises:
            SlotTakenError: the slot has its run already.
            StoreError: it cannot be recorded.
        """
        (run,) = self._runs.skip_excluded([(job, slot)])
        if run is None:
            raise slot_taken(job.id, slot)
        return run

    def end_run(self, run_id: str) -> None:
        """End one run as timed out, without further attempts."""
        self._runs.end_run(run_id)

    def schedule(self, jobs: Iterable[Job]) -> None:
        """Register jobs in the run store, and put those with a schedule on it."""
        chosen = list(jobs)
        self._waiting.read_first()
        self._store.start_due(self._clock.now())
        records = self._store.register([registration(job) for job in chosen], self._clock.now())
        if self._stop.grace is not None:
            return
        # jobs that are not among these may be stopped too
        ends = (record.stopped_until for record in records.values())
        self._pause_ends_at = _first([self._pause_ends_at, *ends])
        ahead = runs_ahead(chosen, records)
        self._watch.look_back()
        now = self._clock.now()
        next_runs: dict[str, datetime | None] = {}
        for job in chosen:
            self._jobs[job.id] = job
            record = records[job.id]
            is_scheduled = job.schedule_text is not None and job.enabled and job.unmet is None
            if is_scheduled and record.stopped is None:
                next_run = self._dispatcher.place(job, record, now, ahead.get(job.id, ()))
            else:
                self._dispatcher.remove([job.id], for_good=not is_scheduled)
                next_run = None
            if next_run != record.next_run:
                next_runs[job.id] = next_run
        off = [job.id for job in chosen if not (job.enabled and job.schedule) and records[job.id].waiting]
        if off:
            self._store.give_up_slots(off)
        self._store.save_next_runs(next_runs, self._lease.owner.id)

    def unschedule(self, job_ids: Sequence[str], *, for_good: bool) -> None:
        """Take jobs off the agenda, for good or until they are put back; a run in progress goes on."""
        if for_good:
            for job_id in job_ids:
                self._jobs.pop(job_id, None)
        self._dispatcher.remove(job_ids, for_good=for_good)

    def read_first_waiting(self) -> None:
        """Runs were kept for later: see when the first of them begins."""
        self._waiting.read_first()

    def renew_workers(self) -> None:
        """Import the code of all runs that begin from now on anew."""
        self._pool.renew(self._lease.owner.id)

    def _follow_store(self) -> None:
        self._waiting.read_first()
        if self._dispatcher.after:
            self._dispatcher.after.check_all()
        self._follow_stops()

    def _follow_stops(self) -> None:
        """Take jobs off the agenda that were stopped in the run store, and put back those that are not, or no longer."""
        away, self._pause_ends_at = self._away(self._clock.now())
        known = self._dispatcher.stopped
        self.unschedule(sorted(away.intersection(self._jobs) - known), for_good=False)
        if back := known.intersection(self._jobs) - away:
            self.schedule([self._jobs[job_id] for job_id in sorted(back)])

    def _away(self, now: datetime) -> tuple[set[str], datetime | None]:
        """The ids of jobs that are off their schedules, and when the first pause ends."""
        stopped = {
            job_id: end for job_id, end in self._store.stopped_jobs().items() if end is None or end > now
        }
        return set(stopped), _first(stopped.values())

    def _end_pauses(self, now: datetime) -> None:
        """Put jobs back whose pause ends now; see when that of a job ends that was found to be stopped."""
        stopped = self._dispatcher.stopped
        if stopped.has_found or (self._pause_ends_at is not None and now >= self._pause_ends_at):
            stopped.has_found = False
            try:
                self._follow_stops()
            except StoreError as error:
                self._pause_ends_at = now + timedelta(seconds=TICK)
                self._recorder.report(error)

    def run(self) -> None:
        """The loop: until ``stop``, in the thread that ``start`` made or in that of the caller."""
        try:
            self._watch.begin()
            while not self._all_ended():
                self._turn()
            self._close()
        except BaseException as error:
            self.error = error
        finally:
            self._pool.close()
            self._lease.sign_off()
            self.ended.set()
            self._answer_requests()
            self.finished.close()

    def _answer_requests(self) -> None:
        while self._requests:
            try:
                request = self._requests.popleft()
            except IndexError:  # another thread was faster
                return
            request()

    def _turn(self) -> None:
        for outcome in self._pool.poll(self._rest()):
            run = self._runs.take(outcome)
            if run is not None and isinstance(outcome, TaskFinished):
                self._dispatcher.learn(run.job, outcome.duration, failed=outcome.reason is not None)
        self._check_lease()
        self._answer_requests()
        now = self._watch_clock()
        self._runs.check_cancellations()
        self._runs.start_due_retries()
        stopping = self._stop.grace is not None
        if stopping:
            self._continue_stop(now)
        else:
            self._end_pauses(now)
            self._dispatcher.collect(now)
        # what is due begins first, and other endings come soon while runs are active
        if stopping or self._recorder.must_write or not (self._runs.active or self._dispatcher.has_ready):
            self._recorder.flush()
        self._runs.submit_waiting()
        if not stopping:
            self._dispatcher.start_ready()
            self._waiting.start_due(now, self._jobs, self._dispatcher.is_quick)
        self._runs.save_changes()
        self.on_turn()

    def _rest(self) -> float:
        """Seconds to wait at most: until the next due slot, retry or deadline; never more than a tick."""
        if self._requests or self._dispatcher.stopped.has_found:
            return 0.0
        stopping = self._stop.grace is not None
        rest = self._tick
        if self._recorder.is_failing or stopping or not self._lease.holds:
            rest = TICK / 10
        elif (write := self._recorder.seconds_to_write) is not None:
            rest = write
        if self._runs.active:
            rest = min(rest, self._runs.cancellation_interval_s)
        retry = self._runs.seconds_to_retry()
        if retry is not None:
            rest = min(rest, retry)
        if not stopping:
            for due in (
                self._dispatcher.agenda.next_due(),
                self._waiting.next_time(self._clock.now()),
                self._pause_ends_at,
            ):
                if due is not None:
                    rest = min(rest, self._clock.seconds_until(due))
        return max(0.0, rest)

    def _check_lease(self) -> None:
        try:
            renewed = self._runs.check_lease()
            if renewed is not None:
                self._watch.begin()
                self.schedule(list(self._jobs.values()))
                self._bus.publish(renewed)
        except StoreError as error:
            self._recorder.report(error)

    # The clock

    def _watch_clock(self) -> datetime:
        """The wall clock; where it was set back by more than a little, all jobs go on from now."""
        now, moved = self._watch.read()
        set_back = self._watch.is_set_back(moved, self._dispatcher.agenda.furthest() if moved else None)
        if set_back:
            try:
                self._watch.begin_generation()
            except StoreError:
                return now  # the next turn sees the same move
            self._dispatcher.restart_from(now)
        self._watch.accept(moved, waits=moved < timedelta(0) and not set_back)
        return now

    def _look_back(self) -> None:
        if self._watch.look_back():
            self._dispatcher.restart_from(self._clock.now())

    # The end

    def _all_ended(self) -> bool:
        if self._stop.deadline is None or self._runs.active:
            return False
        late = self._clock.monotonic() > self._stop.deadline + _FLUSH_AT_END_S
        return self._recorder.pending == 0 or late

    def _continue_stop(self, now: datetime) -> None:
        stop = self._stop
        grace = stop.grace or timedelta(0)
        if stop.deadline is None:
            stop.deadline = self._clock.monotonic() + grace.total_seconds()
            self._bus.publish(SchedulerStopping(now, tuple(run.job.id for run in self._runs.active), grace))
            self._runs.stopping = True
            self._pool.ask_to_end()
            self._dispatcher.clear_ready()
            self._runs.end_waiting(Reason.INTERRUPTED, "the scheduler stopped before it began")
        if stop.now and not stop.killed:
            stop.killed = stop.ending = True
            self._runs.end_all(Reason.INTERRUPTED, now=True)
        elif self._clock.monotonic() >= stop.deadline and not stop.ending:
            stop.ending = True
            self._runs.end_all(Reason.INTERRUPTED)

    def _close(self) -> None:
        if self._recorder.pending:
            raise self._recorder.not_written()
        self._lease.sign_off()
        self._bus.publish(SchedulerStopped(self._clock.now(), self.interrupted))


class _StopRequest:
    """How far a stop is.

    Attributes:
        grace: how long runs may take to end by themselves; None: no stop was requested.
        deadline: when they are ended, in seconds of the steady clock; None: the stop has not begun.
        now: they are to be ended without a grace time.
        ending: they were asked to end.
        killed: they were ended without a grace time.
    """

    grace: timedelta | None = None
    deadline: float | None = None
    now = False
    ending = False
    killed = False


def _first(times: Iterable[datetime | None]) -> datetime | None:
    """The earliest of the times that are known; None where none is."""
    return min((time for time in times if time is not None), default=None)
