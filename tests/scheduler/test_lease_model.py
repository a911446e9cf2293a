"""A model of the lease protocol: real schedulers in simulated time, on machines that freeze, die and lose the store.

Real are the scheduler, its lease with its threads, maintenance, the liveness of others, the files with their locks, and
the run store. Played are clocks, the kernel's view of pids, the line to the store, and workers. A scenario is a list
of faults; when threads go on is drawn from its seed. What must hold is checked whenever something changes:

- no two workers that can make progress are on the same job, but for ``THAW_BOUND`` after the thaw of one of them;
- a process whose registration has ended has no write accepted;
- a process that was never out of action is never declared dead;
- what a dead process ran is free within ``TAKEN_OVER_S`` while a healthy process watches.
"""

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from jobctl.clock import from_ms
from jobctl.errors import FencedError, JobctlError, StoreBusyError, StoreError
from jobctl.events import Bus
from jobctl.execution.pool import WorkerPool
from jobctl.execution.tasks import Outcome, Task, TaskFinished, TaskStarted
from jobctl.model import Job, Reason, Trigger
from jobctl.scheduler import lease, liveness, maintenance
from jobctl.scheduler.lease import HEARTBEAT_S, Lease
from jobctl.scheduler.maintenance import Maintenance
from jobctl.scheduler.process_identity import Life
from jobctl.scheduler.scheduler import Scheduler
from jobctl.schedules.every import Every
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.store.records import LEASE, LEASE_LIMIT, Owner
from tests.support.postgres import Postgres
from tests.support.simulation import Event, Simulation

DRIFT = 0.01
"""A clock counts so many seconds more or less in one."""

THAW_BOUND = 1.5
"""A run that thaws ends within the second in which its worker looks at its deadline, and what its thread waits for
the processor."""

BLIND_BOUND = HEARTBEAT_S * (1 + DRIFT) + THAW_BOUND
"""Where a virtual machine was paused and its clocks stood still, its next heartbeat is the first to learn of it."""

UNREACHED_BOUND = LEASE_LIMIT.total_seconds() * (1 + DRIFT) + THAW_BOUND
"""The same where that heartbeat does not come through."""

TAKEN_OVER_S = (LEASE.total_seconds() + HEARTBEAT_S + 5) * (1 + DRIFT) + 2
ON_ONE_KERNEL_S = 5 * (1 + DRIFT) + 2

BEGINNING = 1_800_000_000.0
LEASE_CALLS = {"heartbeat", "observe", "set_leased"}
READS = {"owners", "is_registered", "unfinished", "clock_generation", "newest_cursor", "job", "jobs", "run"}


@dataclass(frozen=True)
class Fault:
    """Something that happens to a process: when, and for how long."""

    at: float
    kind: str
    who: int
    lasting: float


@dataclass(frozen=True)
class Scenario:
    """What is drawn.

    Attributes:
        shared: several machines share the store; else PID namespaces of one kernel.
        places: where each process begins; equal numbers are the same machine and PID namespace.
        rates: how fast the clocks of each place go.
        hidden: pids cannot be seen, as with ``hidepid=2``.
        seed: of the order in which threads go on.
    """

    shared: bool
    places: tuple[int, ...]
    rates: tuple[float, ...]
    hidden: bool
    faults: tuple[Fault, ...]
    seed: int

    @property
    def healed(self) -> float:
        return max((one.at + one.lasting for one in self.faults), default=0.0)


KINDS = {
    "freeze": "the scheduler and its workers stand still",
    "freeze scheduler": "its workers go on",
    "freeze workers": "it goes on itself",
    "pause": "the machine stands still, its clocks as well",
    "kill": "the scheduler dies; its workers see that; another is started afterwards",
    "power": "the workers die with it",
    "refused": "each call to the store fails at once",
    "swallowed": "a call gets no answer for as long as its limit",
    "late": "what is written is written, and the answer comes late",
    "step": "the wall clock is set",
    "lock": "nobody can write the store; if it is a server, nobody reaches it",
    "command": "somebody calls a command at its place",
}
_LASTING = (0.5, 4.0, 15.0, 31.0, 44.0, 50.0, 58.0, 61.0, 66.0, 75.0, 90.0, 125.0)


def scenario_of(seed: int) -> Scenario:
    """Drawn evenly: a strategy's own preference for what is simple would leave out what matters."""
    draw = random.Random(seed)
    faults = [
        Fault(
            draw.randrange(10, 1200) / 10,
            draw.choice(sorted(KINDS)),
            draw.randrange(3),
            draw.choice(_LASTING),
        )
        for _ in range(draw.randint(1, 6))
    ]
    return Scenario(
        shared=draw.random() < 0.5,
        places=tuple(draw.randrange(3) for _ in range(draw.choice([2, 3, 3]))),
        rates=tuple(draw.choice([1.0, 1 - DRIFT, 1 + DRIFT]) for _ in range(3)),
        hidden=draw.random() < 0.3,
        faults=tuple(faults),
        seed=draw.randrange(2**32),
    )


scenarios = st.integers(0, 2**63).map(scenario_of)


class Place:
    """A machine and PID namespace, and its clocks."""

    def __init__(self, world: "World", number: int, rate: float) -> None:
        self.world = world
        self.rate = rate
        self.kernel = f"kernel{number if world.scenario.shared else ''}"
        self.boot = f"{self.kernel} pid:{number}"
        self.state = world.folder / self.kernel
        self.paused: float | None = None
        self._offset = 1000.0 + 7777.0 * number
        self._stood_still = 0.0
        self._set_by = 0.0

    def now(self) -> datetime:
        return from_ms(round((BEGINNING + self._set_by + self.boottime()) * 1000))

    def seconds_until(self, instant: datetime) -> float:
        return (instant - self.now()).total_seconds()

    def monotonic(self) -> float:
        return self.boottime()

    def boottime(self) -> float:
        now = self.world.simulation.now if self.paused is None else self.paused
        return self._offset + self.rate * (now - self._stood_still)

    def when(self, boottime: float) -> float:
        """The simulation's time of it."""
        return (boottime - self._offset) / self.rate + self._stood_still

    def set_clock(self, by: float) -> None:
        self._set_by += by

    def go_on(self) -> None:
        if self.paused is not None:
            self._stood_still += self.world.simulation.now - self.paused
            self.paused = None


class Running:
    """A worker that is on a run."""

    def __init__(self, process: "Process", task: Task, mark: str, work: float) -> None:
        self.process = process
        self.task = task
        self.mark = mark
        self.began = process.place.now()
        self.ended = False
        self.deadline: float | None = None
        self._work = work
        self._since = 0.0
        self._stretch = 0

    def go_on(self) -> None:
        """Work until it is done or frozen."""
        world = self.process.world
        self._since = world.simulation.now
        self._stretch += 1
        stretch = self._stretch
        world.simulation.at(self._since + self._work, lambda: self._done(stretch))

    def freeze(self) -> None:
        self._work -= self.process.world.simulation.now - self._since
        self._stretch += 1

    def _done(self, stretch: int) -> None:
        if stretch == self._stretch:
            self.end(None)

    def look_at_deadline(self) -> None:
        """As the worker's own thread does; ``extend`` and a thaw have it look again."""
        if self.ended or self.process.workers_frozen:
            return
        place = self.process.place
        if self.process.dead or (self.deadline is not None and self.deadline <= place.boottime() + 1e-6):
            self.end(Reason.CRASHED)
        elif self.deadline is not None:
            self.process.world.simulation.at(place.when(self.deadline), self.look_at_deadline)

    def end(self, reason: Reason | None) -> None:
        if not self.ended:
            self.ended = True
            self._stretch += 1
            self.process.executor.ended(self, reason)


class PlayedExecutor:
    """A pool whose workers take time and do nothing."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._world = process.world
        self._backlog: list[Task] = []
        self._outcomes: list[Outcome] = []
        self._deadline: float | None = None
        self._mark = ""
        self._handing_over = False
        self._ends: Reason | None = None
        self.running: list[Running] = []

    def capacity(self, *, quick: bool) -> int:
        return max(0, 2 - len(self.running) - len(self._backlog))

    def submit(self, tasks: Sequence[Task]) -> None:
        self._backlog.extend(tasks)
        self._dispatch()

    def poll(self, timeout: float) -> Sequence[Outcome]:
        self._world.simulation.wait(max(timeout, 0.1) / self._process.place.rate)
        self._dispatch()
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def wake(self) -> None:
        pass

    def end(self, run_ids: Sequence[str], reason: Reason, *, now: bool = False) -> None:
        for task in [one for one in self._backlog if one.run_id in run_ids]:
            self._backlog.remove(task)
            self._tell_end(task, self._process.place.now(), reason)
        for one in [one for one in self.running if one.task.run_id in run_ids]:
            one.end(reason)

    def end_all(self, reason: Reason) -> None:
        if self._handing_over:  # it waits for that
            self._ends = reason
        for one in list(self.running):
            one.end(reason)

    def extend(self, deadline: float | None) -> None:
        self._deadline = deadline
        for one in self.running:
            one.deadline = deadline
            one.look_at_deadline()

    def renew(self, owner_id: str) -> None:
        self._mark = owner_id

    def close(self) -> None:
        self.end_all(Reason.INTERRUPTED)

    def after_fork(self) -> None:
        pass

    def ended(self, running: Running, reason: Reason | None) -> None:
        self.running.remove(running)
        self._tell_end(running.task, running.began, reason)

    def _tell_end(self, task: Task, began: datetime, reason: Reason | None) -> None:
        now = self._process.place.now()
        self._outcomes.append(TaskFinished(task.run_id, 1, began, now, timedelta(0), reason))

    def _dispatch(self) -> None:
        while self._backlog and len(self.running) < 2 and self._process.lease.holds:
            task = self._backlog.pop(0)
            self._handing_over = True
            self._world.pause()
            self._handing_over = False
            self._begin(task)
            if self._ends is not None:
                ends, self._ends = self._ends, None
                self.end_all(ends)

    def _begin(self, task: Task) -> None:
        one = Running(self._process, task, self._mark, self._world.random.choice([1.0, 10.0, 100.0]))
        one.deadline = self._deadline
        self.running.append(one)
        self._world.runs_begun += 1
        self._outcomes.append(TaskStarted(task.run_id, 1, one.began))
        if not self._process.workers_frozen:
            one.go_on()
        simulation = self._world.simulation  # its thread comes up
        simulation.at(simulation.now + self._world.random.random() * 0.2, one.look_at_deadline)
        self._world.check_overlap()


class PlayedLease(Lease):
    """Its threads are simulated ones."""

    process: "Process"

    def _begin(self, name: str, target: Callable[[], None]) -> None:
        self.process.world.simulation.spawn(self.process, target)


class Line:
    """The way of a process to the store: what goes through it takes time, and may fail."""

    def __init__(self, process: "Process | Command", store: RunStore) -> None:
        self._process = process
        self._store = store
        self.shared = store.shared
        self.place = store.place

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            world = self._process.world
            self._reach(name)
            world.pause()
            answer = world.executed(self._store, name, *args, **more)
            world.pause()
            if self._process.late_by:
                world.simulation.wait(world.random.random() * self._process.late_by)
            return answer

        return call

    def restore(self) -> str | None:
        return None

    def checkpoint(self) -> None:
        pass

    def _reach(self, name: str) -> None:
        world, process = self._process.world, self._process
        limit = 5.0 if name in LEASE_CALLS and self.shared else 30.0
        if process.refused_until > world.simulation.now:
            world.pause()
            raise StoreError("refused")
        heals = process.swallowed_until
        if self.shared or name not in READS:
            heals = max(heals, world.locked_until)
        rest = heals - world.simulation.now
        if rest > 0:
            world.simulation.wait(min(rest, limit))
        if rest > limit:
            raise StoreBusyError("locked")


@dataclass
class Command:
    """A process that lives for a moment."""

    world: "World"
    place: Place
    frozen: bool = False
    dead: bool = False
    late_by: float = 0.0
    refused_until: float = 0.0
    swallowed_until: float = 0.0

    def main(self) -> None:
        store = self.world.open()
        with suppress(StoreError):
            liveness.fail_lost_runs_once(cast("RunStore", Line(self, store)), self.place.state, self.place)


class _NothingElse:
    """What maintenance does for a scheduler beyond its own tasks is not part of the model."""

    def notice_changes(self) -> None:
        pass

    def check_clock(self) -> None:
        pass

    def fail(self, error: BaseException) -> None:
        raise error


class Process:
    """A scheduler."""

    def __init__(self, world: "World", place: Place) -> None:
        self.world = world
        self.place = place
        self.frozen = self.workers_frozen = self.dead = False
        self.healthy_since: float | None = world.simulation.now
        """Since when it watches; None from its first fault."""
        self.late_by = self.refused_until = self.swallowed_until = 0.0
        self.stale_until = 0.0
        """Until when a run of it may be on though others have taken over."""
        self.owner_ids: list[str] = []
        self._pid = next(world.pids)
        self._asked = 0.0
        self._began = False
        self.executor = PlayedExecutor(self)
        store = cast("RunStore", Line(self, world.open()))
        self.lease = PlayedLease(
            store,
            "scheduler",
            place.state,
            place,
            extend_runs=self.executor.extend,
            end_runs=lambda: self.executor.end_all(Reason.LOST),
        )
        self.lease.process = self
        bus = Bus()

        self.scheduler = Scheduler(store, self.lease, cast("WorkerPool", self.executor), bus, place)
        self.scheduler.on_turn = self._trigger
        self._maintenance = Maintenance(
            store, self.lease, place.state, place, bus=bus, scheduler=_NothingElse()
        )
        self.lease._stop = Event(world.simulation, place.rate)
        self._maintenance._stop = Event(world.simulation, place.rate)
        self._store = store
        world.simulation.spawn(self, self._main)

    def make_owner(self, kind: str, now: datetime, *, leased: bool) -> Owner:
        """What ``this_process`` does."""
        owner_id = self.world.random.randbytes(8).hex()
        self.owner_ids.append(owner_id)
        self.world.registered[owner_id] = self
        return Owner(owner_id, kind, "host", self._pid, "1", self.place.boot, now, leased=leased)

    def _main(self) -> None:
        while True:
            try:
                liveness.fail_lost_runs_once(self._store, self.place.state, self.place)
                self.executor.renew(self.lease.sign_on().id)
                break
            except StoreError:
                self.world.simulation.wait(5)  # its service manager starts it again
        self.lease.start()
        self.world.simulation.spawn(self, self._maintenance._run)
        self.scheduler._requests.append(self._register_if_it_can)
        self.scheduler.run()
        if self.world.simulation.over:
            return
        if self._began or not isinstance(self.scheduler.error, StoreError):
            raise AssertionError("the scheduler ended") from self.scheduler.error
        self.die(workers=True, again_after=5.0)  # it could not begin

    def _register_if_it_can(self) -> None:
        try:
            self._register()
        except StoreError:
            self.world.simulation.wait(1)
            self.scheduler._requests.append(self._register_if_it_can)

    def _register(self) -> None:
        self._began = True
        self.scheduler.schedule(JOBS)

    def _trigger(self) -> None:
        """A run by hand now and then, which no wall clock delays."""
        now = self.place.monotonic()
        if now - self._asked > 2 and self.executor.capacity(quick=False):
            self._asked = now
            with suppress(JobctlError):
                self.scheduler.trigger(JOBS[1], Trigger.MANUAL, {}, None)

    # Faults

    def freeze(self, *, scheduler: bool, workers: bool) -> None:
        self.healthy_since = None
        self.frozen = self.frozen or scheduler
        if workers and not self.workers_frozen:
            self.workers_frozen = True
            for one in self.executor.running:
                one.freeze()

    def thaw(self, bound: float = THAW_BOUND) -> None:
        world, now = self.world, self.world.simulation.now
        if self.place.paused is not None:
            return
        if self.frozen or self.workers_frozen:
            self.stale_until = max(self.stale_until, now + bound)
        if self.workers_frozen:
            self.workers_frozen = False
            for one in self.executor.running:
                one.go_on()
                world.simulation.at(now + world.random.random(), one.look_at_deadline)
        if self.frozen:
            self.frozen = False
            world.simulation.thaw(self, lambda: world.random.random() * 0.2)
        world.check_overlap()

    def die(self, *, workers: bool, again_after: float) -> None:
        if self.dead:
            return
        self.dead, self.healthy_since, self.frozen = True, None, False
        if self.lease._file is not None:
            self.lease._file.release()
        for one in list(self.executor.running):
            if workers:
                one.end(Reason.CRASHED)
            else:
                one.look_at_deadline()
        self.world.died(self)
        self.world.start_again(self, again_after)


JOBS = [
    Job("timed", "Timed", Every(timedelta(seconds=5)), "m:f"),
    Job("by-hand", "By hand", None, "m:f"),
]


@dataclass
class World:
    """Everything, and what must hold in it."""

    scenario: Scenario
    folder: Path
    open: Callable[[], RunStore]
    simulation: Simulation = field(default_factory=Simulation)
    registered: dict[str, Process] = field(default_factory=dict)
    locked_until: float = 0.0
    runs_begun: int = 0
    declared: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.scenario.seed)
        self.pids = count(100)
        self.places = [Place(self, number, rate) for number, rate in enumerate(self.scenario.rates)]
        self._look = self.open()
        self.processes = [Process(self, self.places[number]) for number in self.scenario.places]
        self._all = list(self.processes)

    def run(self) -> None:
        for fault in self.scenario.faults:
            self.simulation.at(fault.at, partial(self._begin, fault))
        self.simulation.run(self.scenario.healed + TAKEN_OVER_S + 30)
        for run, owner in self._look.unfinished():
            process = self.registered[owner.id]
            assert not process.dead, f"run {run.id} of a dead process is in the way for ever"
        for process in self.processes:
            assert process.dead or process.lease.holds, "a process did not recover"

    def pause(self) -> None:
        """A moment in which others may go on."""
        self.simulation.wait(self.random.random() * 0.02)

    def place(self) -> Place:
        """Of the thread that goes on."""
        return cast("Process | Command", self.simulation.host).place

    # Faults

    def _begin(self, fault: Fault) -> None:
        process, now = self.processes[fault.who % len(self.processes)], self.simulation.now
        until = now + fault.lasting
        match fault.kind:
            case "freeze" | "freeze scheduler" | "freeze workers":
                _, _, part = fault.kind.partition(" ")
                process.freeze(scheduler=part != "workers", workers=part != "scheduler")
                self.simulation.at(until, process.thaw)
            case "pause" if self.scenario.shared:
                self._pause_machine(process.place, until)
            case "kill" | "power":
                process.die(workers=fault.kind == "power", again_after=fault.lasting)
            case "refused" | "swallowed":
                process.healthy_since = None
                setattr(process, f"{fault.kind}_until", until)
            case "late":
                process.healthy_since, process.late_by = None, min(fault.lasting, 40.0)  # clients have limits
                self.simulation.at(until, lambda: setattr(process, "late_by", 0.0))
            case "step":
                process.place.set_clock(self.random.choice([-3600, -120, 120, 3600]))
            case "lock":
                self.locked_until = max(self.locked_until, now + min(fault.lasting, 75.0))
            case "command":
                command = Command(self, process.place)
                self.simulation.spawn(command, command.main)

    def _pause_machine(self, place: Place, until: float) -> None:
        if place.paused is not None:
            return
        place.paused = self.simulation.now
        there = [one for one in self._all if one.place is place]
        for process in there:
            process.freeze(scheduler=True, workers=True)

        def go_on() -> None:
            place.go_on()
            faults = {"refused", "swallowed", "late", "lock"}
            reached = not any(one.kind in faults for one in self.scenario.faults)
            for process in there:
                process.thaw(BLIND_BOUND if reached else UNREACHED_BOUND)

        self.simulation.at(until, go_on)

    def start_again(self, process: Process, after: float) -> None:
        """As a service manager does."""

        def start() -> None:
            if process not in self.processes:
                return
            if process.place.paused is not None:  # the service manager stands still, too
                self.simulation.at(self.simulation.now + 1, start)
                return
            again = Process(self, process.place)
            self.processes[self.processes.index(process)] = again
            self._all.append(again)

        self.simulation.at(self.simulation.now + after, start)

    # What must hold

    def executed(self, store: RunStore, name: str, *args: Any, **more: Any) -> Any:
        """A call as the store sees it: at once, and nothing of a process whose registration has ended."""
        if name in READS:
            return getattr(store, name)(*args, **more)
        before = {owner.id for owner in store.owners() if owner.ended is None}
        holders = {run.id: owner.id for run, owner in store.unfinished()}
        try:
            answer = getattr(store, name)(*args, **more)
        except FencedError:
            assert self._writer(name, args) not in before
            raise
        writer = self._writer(name, args)
        if name == "heartbeat":
            assert answer == (args[0] in before)
        elif name == "finish":
            accepted = [one.run_id for one, was in zip(args[0], answer, strict=True) if was]
            assert {holders[one] for one in accepted} <= before, "the end of a run that was given up"
        elif writer is not None:
            assert writer in before, f"{name} of a process whose registration has ended"
        if name == "fail_lost_runs":
            self._was_declared(before - {owner.id for owner in store.owners() if owner.ended is None})
        return answer

    def _writer(self, name: str, args: Sequence[Any]) -> str | None:
        if name == "claim":
            return cast("Owner", args[0]).id
        return (
            cast("str", args[-1])
            if name in {"save_next_runs", "pass_slots", "next_clock_generation"}
            else None
        )

    def _was_declared(self, owner_ids: set[str]) -> None:
        for owner_id in owner_ids:
            self.declared += 1
            process = self.registered[owner_id]
            if owner_id == process.owner_ids[-1]:
                assert process.healthy_since is None, "a healthy process was declared dead"

    def check_overlap(self) -> None:
        """Two that make progress on one job are in order only while one of them may be stale."""
        now = self.simulation.now
        found: Mapping[str, list[Running]] = {job.id: [] for job in JOBS}
        for process in self._all:
            if not process.workers_frozen:
                for one in process.executor.running:
                    found[one.task.job_id].append(one)
        for job_id, running in found.items():
            if len(running) > 1:
                until = max(one.process.stale_until for one in running)
                assert until > now + 1e-6, f"{job_id} runs {len(running)} times at once"
                self.simulation.at(until, self.check_overlap)

    def died(self, process: Process) -> None:
        """What it ran must be free in time, if somebody watched all the time."""
        if not process.owner_ids or any(one.kind == "lock" for one in self.scenario.faults):
            return
        watchers = [one for one in self._all if one.healthy_since is not None and one.owner_ids]
        near = [one for one in watchers if one.place.kernel == process.place.kernel]
        for who, within in ((near, ON_ONE_KERNEL_S), (watchers, TAKEN_OVER_S)):
            check = partial(self._check_declared, process, who, within)
            self.simulation.at(self.simulation.now + within, check)

    def _check_declared(self, process: Process, watchers: Sequence[Process], within: float) -> None:
        if any(one.healthy_since is not None for one in watchers):
            registered = {owner.id for owner in self._look.owners() if owner.ended is None}
            assert not registered & set(process.owner_ids), f"not declared dead within {within:g} s"

    # What is played

    def life_by_pid(self, owner: Owner) -> Life:
        self.pause()  # a process may be frozen in the midst of its judgement
        process = self.registered[owner.id]
        if owner.boot != self.place().boot or self.scenario.hidden:
            return Life.UNKNOWN
        if process.dead:
            return Life.DEAD
        return Life.STOPPED if process.frozen else Life.ALIVE

    def end_marked(self, owner_id: str) -> None:
        self.pause()
        for process in self._all:
            if process.place is self.place():
                for one in list(process.executor.running):
                    if one.mark == owner_id:
                        one.end(Reason.CRASHED)

    def this_process(self, kind: str, now: datetime, *, leased: bool) -> Owner:
        return cast("Process", self.simulation.host).make_owner(kind, now, leased=leased)


@contextmanager
def world_of(scenario: Scenario, address: str | None = None) -> Iterator[World]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))

        def open_one() -> RunStore:
            store = open_store(address or folder / "store")
            store.shared = scenario.shared  # SQLite stands for a server: the statements are the same
            stack.callback(store.close)
            return store

        patch = stack.enter_context(pytest.MonkeyPatch.context())
        world = World(scenario, folder, open_one)
        stack.callback(world.simulation.close)
        patch.setattr(lease, "this_process", world.this_process)
        patch.setattr(liveness, "life_by_pid", world.life_by_pid)
        patch.setattr(liveness, "boot", lambda: world.place().boot)
        patch.setattr(liveness, "uptime", lambda: world.place().boottime())
        patch.setattr(liveness, "end_marked", world.end_marked)
        patch.setattr(maintenance, "prune_runs_and_logs", lambda *_: None)
        yield world


SCENARIOS = int(os.environ.get("JOBCTL_SCENARIOS", "30"))
"""Each run takes others; more of them on request."""
# a scenario says all of itself, and to make it smaller takes minutes
MODEL = settings(
    suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.reuse, Phase.generate)
)

DECLARED_WHILE_IT_THAWS = Scenario(
    shared=False,
    places=(0, 1),
    rates=(1.0, 1.0, 1.0),
    hidden=False,
    faults=(
        Fault(77.2, "freeze", 1, 75.0),
        Fault(120.0, "refused", 1, 61.0),
        Fault(46.2, "late", 2, 0.5),
        Fault(25.7, "freeze", 0, 15.0),
        Fault(57.2, "refused", 1, 15.0),
        Fault(18.2, "lock", 0, 15.0),
    ),
    seed=200,
)
"""It cannot ask the store whether it still counts, and must not go on as if it did."""

STORE_AWAY_FOR_ALL = Scenario(
    shared=True,
    places=(2, 2, 0),
    rates=(1.0, 1.0, 1.0),
    hidden=True,
    faults=(Fault(98.6, "lock", 1, 61.0),),
    seed=4033513209,
)
"""A process that asked for the others before the store went away gets the answer before its own next heartbeat."""

FROZEN_WHILE_IT_BECOMES_LEASED = Scenario(
    shared=False,
    places=(0, 1),
    rates=(1.0, 1.0, 1.0),
    hidden=False,
    faults=(
        Fault(9.036033966861893, "late", 0, 15.0),
        Fault(14.111547957787222, "freeze scheduler", 0, 90.0),
    ),
    seed=14,
)
"""Others read that it is leased before it can tell its workers."""


@pytest.mark.slow
@settings(MODEL, max_examples=15)
@given(scenario=scenarios)
@example(scenario=FROZEN_WHILE_IT_BECOMES_LEASED)
@example(scenario=DECLARED_WHILE_IT_THAWS)
@example(scenario=STORE_AWAY_FOR_ALL)
@example(scenario=scenario_of(19359))  # a machine stands still while its service manager starts a scheduler
def test_nothing_overlaps_whatever_happens(scenario: Scenario) -> None:
    with world_of(scenario) as world:
        world.run()


@pytest.mark.slow
@pytest.mark.timeout(60 + 3 * SCENARIOS)
@settings(MODEL, max_examples=SCENARIOS)
@given(scenario=scenarios)
def test_nothing_overlaps_in_many_scenarios(scenario: Scenario) -> None:
    with world_of(scenario) as world:
        world.run()


@pytest.mark.slow
@pytest.mark.timeout(60 + 3 * SCENARIOS)
@settings(MODEL, max_examples=SCENARIOS // 5)
@given(scenario=scenarios)
def test_nothing_overlaps_on_postgres(postgres: Postgres, scenario: Scenario) -> None:
    with world_of(replace(scenario, shared=True), postgres.schema()) as world:
        world.run()


@pytest.mark.slow
def test_the_model_runs_jobs() -> None:
    """Else it would show nothing."""
    faults = (Fault(20.0, "power", 0, 10.0), Fault(40.0, "freeze", 1, 75.0))
    with world_of(Scenario(True, (0, 1, 2), (1.0, 1.0, 1.0), False, faults, 1)) as world:
        world.run()
        assert world.runs_begun > 10
        assert world.declared == 2
        assert all(one.lease.holds for one in world.processes)
