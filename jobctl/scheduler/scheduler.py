"""The scheduler's loop: takes what is due, claims it, hands it over, and records what came of it.

One thread owns the agenda and the executor. It waits in ``Executor.poll`` for a second at most, so
that a jump of the wall clock is seen soon; it decides by the wall clock and measures by the steady one.
"""

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from jobctl import threads
from jobctl.clock import Clock
from jobctl.errors import StoreError, UnknownToStoreError
from jobctl.events import (
    Bus,
    RegistrationRenewed,
    RunFinished,
    RunOutput,
    RunRetrying,
    RunStarted,
    SchedulerStopped,
    SchedulerStopping,
)
from jobctl.execution.tasks import Arguments, Executor, Outcome, Task, TaskFinished, TaskOutput, TaskStarted
from jobctl.model import Job, Reason, Run, Trigger
from jobctl.scheduler.agenda import Agenda, Due, Entry, Span
from jobctl.scheduler.ask import Ask
from jobctl.scheduler.clock_watch import ClockWatch
from jobctl.scheduler.dispatch import Queue, Ready
from jobctl.scheduler.lease import Lease
from jobctl.scheduler.misfires import MisfireReporter
from jobctl.scheduler.recorder import Recorder
from jobctl.scheduler.running import Active, Finished, claim_of, finished_run, retry_delay, task_of
from jobctl.store.base import RunStore
from jobctl.store.records import (
    Claim,
    Claimed,
    ClaimOutcome,
    CursorMoved,
    Overlap,
    SlotTaken,
    Stopped,
    new_run_id,
)
from jobctl.text import counted

T = TypeVar("T")

TICK = 1.0
_BATCH = 128
_HELD = 0.02  # seconds that an ending waits at most for a claim to write it along with
_NOTE_PID_AFTER = 0.25
_FLUSH_AT_END = 10.0


class Engine:
    """Runs jobs of one process. All but ``ask``, ``stop`` and ``end_now`` happens in its own thread.

    Attributes:
        pulse: called in each turn of the loop, every ``TICK`` seconds at least while it is sound.
        register: registers the jobs once more and puts them on the agenda, after the run store had lost them or
            this process; called in the loop's thread.
    """

    def __init__(self, store: RunStore, lease: Lease, executor: Executor, bus: Bus, clock: Clock) -> None:
        self.agenda = Agenda()
        self.off: set[str] = set()
        self.finished = Finished()
        self.trouble: BaseException | None = None
        self.interrupted = 0
        self.ended = threading.Event()
        self.watch = ClockWatch(clock, store, lease, bus)
        self.pulse: Callable[[], None] = lambda: None
        self.register: Callable[[], None] = lambda: None
        self._store = store
        self._lease = lease
        self._executor = executor
        self._bus = bus
        self._clock = clock
        self._recorder = Recorder(store, lease, bus, clock, ended=self._ended)
        self._requests: deque[Callable[[], None]] = deque()
        self._active: dict[str, Active] = {}
        self._ready = Ready()
        self._waiting: deque[Task] = deque()
        self._retries: list[tuple[float, str]] = []
        self._unnoted: deque[tuple[float, str, int]] = deque()
        self._misfires = MisfireReporter(store, lease, bus)
        self._queue = Queue()
        self._grace: timedelta | None = None
        self._deadline: float | None = None
        self._end_now = False
        self._told_to_end = False
        self._killed = False
        self._lost_runs = 0
        self._thread = threading.Thread(target=self._main, name="jobctl-scheduler", daemon=True)

    # From any thread

    @property
    def owner_id(self) -> str:
        """Under which this process is registered in the run store."""
        return self._lease.owner.id

    def start(self) -> None:
        """Begin to loop, or raise ``NoThreadError``."""
        threads.start(self._thread)

    def ask(self, request: Callable[[], T]) -> T:
        """Do something in the loop's thread and return, or raise, what it does."""
        asked = Ask(request)
        self._requests.append(asked)
        self._executor.wake()
        return asked.answer(self.ended.is_set, StoreError("the scheduler has stopped"))

    def has(self, run_id: str) -> bool:
        """Whether a run is in progress here, or has ended and is to be recorded. The run store is not asked."""
        return run_id in self._active or self._recorder.has(run_id)

    def stop(self, grace: timedelta, trouble: BaseException | None = None) -> None:
        """Start nothing new; give what runs ``grace`` to end, then end it. ``trouble`` says why. Returns at once."""
        self.trouble = self.trouble or trouble
        self._grace = grace
        self._executor.wake()

    def end_now(self) -> None:
        """End everything at once. Safe in a signal handler."""
        self._grace = self._grace or timedelta(0)
        self._end_now = True
        self._executor.wake()

    def abandon(self) -> None:
        """Wait for the end after ``stop``, also where the loop could not be started."""
        self.ended.wait() if self._thread.ident else self._main()

    def after_fork(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self._executor.after_fork()

    # In the loop's thread

    def trigger(
        self, job: Job, trigger: Trigger, arguments: Arguments, timeout: timedelta | None
    ) -> ClaimOutcome:
        """Claim a run by hand and hand it over; the answer says whether it was."""
        self._recorder.flush()
        claim = Claim(new_run_id(), job.id, trigger, self._clock.now(), force=True, group=job.group)
        try:
            (answer,) = self._store.claim(self._lease.owner, [claim])
        except UnknownToStoreError:
            self._lease.lose()
            self._keep_lease()
            if self._lease.lost:
                raise  # its runs must end first
            (answer,) = self._store.claim(self._lease.owner, [claim])
        if isinstance(answer, Claimed):
            self._waiting.append(self._begin(job, answer.run, arguments, timeout))
            self._hand_over_waiting()
        return answer

    def end_run(self, run_id: str) -> None:
        """End one run as timed out, without further attempts."""
        active = self._active.get(run_id)
        if active is None:
            return
        active.job = replace(active.job, retries=0)
        if any(one == run_id for _, one in self._retries):
            self._retries = [entry for entry in self._retries if entry[1] != run_id]
            heapq.heapify(self._retries)
            now = self._clock.now()
            failed = (Reason.ERROR, active.error)
            self._finish(
                active, TaskFinished(run_id, None, active.run.started_at, now, timedelta(0), *failed)
            )
        else:
            self._executor.end([run_id], Reason.TIMEOUT)

    def place(
        self, job: Job, anchor: datetime, cursor: datetime | None, ahead: tuple[Span, ...] = ()
    ) -> Entry:
        """Put a job on the agenda; one that stands ahead of the clock goes on from now.

        With the schedule that it has there, its slots go on to wait.
        """
        self.off.discard(job.id)
        entry = self.agenda.renew(job, anchor)
        if entry is None:
            self._forget(job.id)
            now = self._clock.now()
            begin = now if self.watch.is_ahead(cursor or anchor, now) else cursor
            entry = self.agenda.put(job, anchor, begin, ahead)
        return entry

    def displace(self, job_ids: Iterable[str], *, for_good: bool = False) -> None:
        """Take jobs off the agenda; a run in progress goes on. ``off`` are those that may come back."""
        for job_id in job_ids:
            self._forget(job_id)
            self.agenda.remove(job_id)
            (self.off.discard if for_good else self.off.add)(job_id)

    def renew_workers(self) -> None:
        """Have what begins from now on import its code anew."""
        self._executor.renew(self._lease.owner.id)

    def _keep_lease(self) -> None:
        """Without a lease nothing runs: other processes may have taken over. Registers anew where it was ended."""
        if self._lease.holds:
            return
        if self._active:
            words = "the run store was out of reach before it began"
            self._give_up_waiting(self._clock.now(), Reason.LOST, words)
            self._executor.end(list(self._active), Reason.LOST, now=True)
        elif self._lease.lost and self._grace is None:
            try:
                self._register_again()
            except StoreError as error:
                self._recorder.trouble(error)

    def _register_again(self) -> None:
        reason = self._store.restore()
        if reason is None:
            known = self._store.is_known(self._lease.owner.id)
            reason = (
                "another process declared this one dead"
                if known
                else "the run store does not know this process any more"
            )
        self._recorder.flush()
        self._executor.renew(self._lease.sign_on().id)
        self.watch.begin()
        self.register()
        self._bus.publish(RegistrationRenewed(self._clock.now(), reason, self._lost_runs))
        self._lost_runs = 0

    def _forget(self, job_id: str) -> None:
        self._queue.forget(job_id)
        self._ready.forget(job_id)

    def _main(self) -> None:
        try:
            self.watch.begin()
            while not self._all_ended():
                self._turn()
            self._close()
        except BaseException as error:
            self.trouble = error
        finally:
            self._executor.close()
            self._lease.sign_off()
            self.ended.set()
            self.finished.close()

    def _turn(self) -> None:
        for outcome in self._executor.poll(self._rest()):
            self._take(outcome)
        self._keep_lease()
        while self._requests:
            self._requests.popleft()()
        now = self._watch_clock()
        self._retry_due()
        if self._grace is None:
            self._collect(now)
        else:
            self._stopping(now)
        if not self._holds_back():
            self._recorder.flush()
        self._hand_over_waiting()
        if self._grace is None:
            self._hand_over()
        self._note_pids()
        self.pulse()

    def _rest(self) -> float:
        """Seconds to wait at most: until the next due slot, retry or deadline; never more than a tick."""
        if self._requests:
            return 0.0
        rest = TICK
        if self._recorder.in_trouble or self._grace is not None or not self._lease.holds:
            rest = TICK / 10
        elif self._recorder.pending:
            rest = _HELD - self._recorder.held
        if self._retries:
            rest = min(rest, self._retries[0][0] - self._clock.monotonic())
        due = self.agenda.next_due()
        if due is not None and self._grace is None:
            rest = min(rest, (due - self._clock.now()).total_seconds())
        return max(0.0, rest)

    # What comes out of the executor

    def _take(self, outcome: Outcome) -> None:
        active = self._active.get(outcome.run_id)
        if active is None:
            return
        match outcome:
            case TaskStarted():
                if active.began is None:
                    active.began, active.began_steady = outcome.at, self._clock.monotonic()
                active.pid = outcome.pid
                self._unnoted.append((self._clock.monotonic(), outcome.run_id, outcome.pid))
            case TaskOutput():
                for line in outcome.lines:
                    self._bus.publish(RunOutput(outcome.job_id, outcome.run_id, outcome.at, line))
            case TaskFinished():
                self._finish(active, outcome)

    def _finish(self, active: Active, outcome: TaskFinished) -> None:
        self._ready.learn(active.job.id, outcome.duration, failed=outcome.reason is not None)
        if self._grace is None and active.may_retry(outcome):
            self._retry_later(active, outcome)
            return
        del self._active[active.run.id]
        ending = active.ending(outcome, self._clock.monotonic())
        if ending.reason is Reason.INTERRUPTED:
            self.interrupted += 1
        self._lost_runs += ending.reason is Reason.LOST
        self._recorder.end(ending, RunFinished(finished_run(active.run, ending), retry=outcome.retry))

    def _holds_back(self) -> bool:
        """While quick runs are due, endings wait for the next claim, which writes them; but not for long."""
        return self._ready.any_quick and self._grace is None and self._recorder.held < _HELD

    def _ended(self, event: RunFinished) -> None:
        self._bus.publish(event)
        self.finished.add(event.run)
        self._queue.nudge()

    # Retries

    def _retry_later(self, active: Active, outcome: TaskFinished) -> None:
        delay = retry_delay(active.job, active.attempt)
        active.error = outcome.error
        heapq.heappush(self._retries, (self._clock.monotonic() + delay.total_seconds(), active.run.id))
        failed = replace(active.run, attempt=active.attempt)
        self._try(lambda: self._store.progress(failed.id, retry_at=self._clock.now() + delay))
        self._bus.publish(RunRetrying(failed, outcome.error or str(outcome.reason), delay))

    def _retry_due(self) -> None:
        while self._retries and self._retries[0][0] <= self._clock.monotonic():
            _, run_id = heapq.heappop(self._retries)
            active = self._active.get(run_id)
            if active is None:
                continue
            active.task = replace(active.task, attempt=active.attempt + 1, quick=False)
            self._try(lambda: self._store.progress(run_id, attempt=active.attempt))  # noqa: B023
            self._waiting.append(active.task)

    # Deciding

    def _collect(self, now: datetime) -> None:
        for due in self.agenda.take_due(now, _BATCH):
            if not due.serve:
                self._misfires.give_up(due, now)
            elif not self._queue.takes(due):
                self._ready.put(due)

    def _hand_over(self) -> None:
        for due in reversed(self._queue.again(self._clock.monotonic())):
            self._ready.put(due, first=True)
        while self._lease.holds:
            picked = self._ready.pick(lambda quick: self._executor.capacity(quick=quick))
            if not picked or not self._start(picked):
                return

    def _start(self, picked: list[Due]) -> bool:
        now = self._clock.now()
        claims = [claim_of(due, now, self.watch.clock_generation) for due in picked]
        answers = self._recorder.claim(claims)
        if answers is None:
            return False
        tasks: list[Task] = []
        for due, claim, answer in zip(picked, claims, answers, strict=True):
            self._ready.forget(due.entry.job.id)
            if isinstance(answer, Claimed):
                tasks.append(self._begin(due.entry.job, answer.run))
            self._answered(due, claim, answer, now)
        if self._lease.holds:
            self._executor.submit(tasks)
        else:  # the claim took so long that others may run these jobs
            self._waiting.extend(tasks)
        return True

    def _answered(self, due: Due, claim: Claim, answer: ClaimOutcome, now: datetime) -> None:
        entry = due.entry
        match answer:
            case Overlap(skipped=None):
                self._queue.hold(due, self._clock.monotonic())
            case Claimed() | Overlap():
                if isinstance(answer, Overlap) and answer.skipped is not None:
                    self._bus.publish(RunFinished(answer.skipped))
                self._misfires.report(due, claim.misfires, now)
                self.agenda.advance(entry, due.slot)
            case SlotTaken(cursor):
                self.agenda.advance(entry, cursor)
                if cursor is not None:
                    self.watch.warn_ahead(cursor, now)
            case CursorMoved(cursor):  # by another process: count again, and claim again at once
                self._ready.put(due.counted_from(cursor), first=True)
            case Stopped():
                self.displace([entry.job.id])

    def _begin(
        self, job: Job, run: Run, arguments: Arguments | None = None, timeout: timedelta | None = None
    ) -> Task:
        started = RunStarted(run)
        self._bus.publish(started)
        quick = self._ready.is_quick(job)
        task = task_of(job, run, started.environment, quick=quick, arguments=arguments, timeout=timeout)
        self._active[run.id] = Active(run, job, task)
        return task

    def _hand_over_waiting(self) -> None:
        while self._waiting and self._lease.holds and self._executor.capacity(quick=False) > 0:
            self._executor.submit([self._waiting.popleft()])

    def _note_pids(self) -> None:
        """Write the worker's pid of runs that go on for a while; most end before it is worth a write."""
        while self._unnoted and self._unnoted[0][0] + _NOTE_PID_AFTER <= self._clock.monotonic():
            _, run_id, pid = self._unnoted.popleft()
            active = self._active.get(run_id)
            if active is not None and active.pid == pid:
                self._try(lambda: self._store.progress(run_id, pid=pid))  # noqa: B023

    def _try(self, write: Callable[[], object]) -> None:
        """A write that may fail: what it notes is not what any promise rests on."""
        with suppress(StoreError):
            write()

    # The clock

    def _watch_clock(self) -> datetime:
        """The wall clock; where it was set back by more than a little, all jobs go on from now."""
        now, moved = self.watch.look()
        set_back = self.watch.is_set_back(moved, self.agenda.furthest() if moved else None)
        if set_back:
            try:
                self.watch.next_clock_generation()
            except StoreError:
                return now  # seen again in the next turn
            self._go_on_from(now)
        self.watch.accept(moved, waits=moved < timedelta(0) and not set_back)
        return now

    def look_back(self) -> None:
        """Go on from now where a scheduler that is gone, and had a clock far ahead, has left slots that lie ahead."""
        if self.watch.look_back():
            self._go_on_from(self._clock.now())

    def _go_on_from(self, now: datetime) -> None:
        self.agenda.rebase(now)
        self._queue.forget()
        self._ready.forget()

    # The end

    def _all_ended(self) -> bool:
        if self._grace is None or self._deadline is None or self._active:
            return False
        late = self._clock.monotonic() > self._deadline + _FLUSH_AT_END
        return self._recorder.pending == 0 or late

    def _stopping(self, now: datetime) -> None:
        grace = self._grace or timedelta(0)
        if self._deadline is None:
            self._deadline = self._clock.monotonic() + grace.total_seconds()
            running = tuple(active.job.id for active in self._active.values())
            self._bus.publish(SchedulerStopping(now, running, grace))
            self._ready.forget()
            self._give_up_waiting(now, Reason.INTERRUPTED, "the scheduler stopped before it began")
        if self._end_now and not self._killed:
            self._killed = self._told_to_end = True
            self._executor.end(list(self._active), Reason.INTERRUPTED, now=True)
        elif self._clock.monotonic() >= self._deadline and not self._told_to_end:
            self._told_to_end = True
            self._executor.end(list(self._active), Reason.INTERRUPTED)

    def _give_up_waiting(self, now: datetime, reason: Reason, words: str) -> None:
        """End the runs that wait for a worker or for their next attempt."""
        for task in (*self._waiting, *(self._active[one].task for _, one in self._retries)):
            active = self._active[task.run_id]
            began, error = active.run.started_at, active.error or words
            self._finish(active, TaskFinished(task.run_id, None, began, now, timedelta(0), reason, error))
        self._waiting.clear()
        self._retries.clear()

    def _close(self) -> None:
        if self._recorder.pending:
            runs = counted(self._recorder.pending, "run")
            kind = type(self._recorder.problem or StoreError(""))
            raise kind(f"the end of {runs} could not be written to {self._store.place}")
        self._lease.sign_off()
        self._bus.publish(SchedulerStopped(self._clock.now(), self.interrupted))
