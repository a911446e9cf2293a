"""Threads in simulated time: one at a time goes on, and only where it waits may another, so a run can be repeated."""

import heapq
import threading
from collections.abc import Callable
from itertools import count
from typing import Protocol


class Host(Protocol):
    """What simulated threads belong to. They wait while it is ``frozen``, and never go on once it is ``dead``."""

    frozen: bool
    dead: bool


class _OverError(BaseException):
    """The simulation is over: a thread that waits unwinds."""


class _Thread:
    """A real thread, as the only way to stop in the midst of code that knows nothing of the simulation."""

    def __init__(self, simulation: "Simulation", host: Host, body: Callable[[], None]) -> None:
        self.host = host
        self.turn = _baton()
        self.thread = threading.Thread(target=self._main, args=(simulation, body), daemon=True)
        self.thread.start()

    def _main(self, simulation: "Simulation", body: Callable[[], None]) -> None:
        self.turn.acquire()
        try:
            if not simulation.over:
                body()
        except _OverError:
            pass
        except BaseException as error:
            simulation.fault = simulation.fault or error
        finally:
            self.host = _GONE
            simulation.turn.release()


def _baton() -> threading.Lock:
    """Whoever releases it lets the other go on."""
    baton = threading.Lock()
    baton.acquire()
    return baton


class _Gone:
    frozen, dead = False, True


_GONE = _Gone()


class Simulation:
    """The queue of what happens next.

    Attributes:
        now: seconds since the beginning.
        host: whose thread goes on now; None for an event.
        fault: what a thread raised.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.host: Host | None = None
        self.over = False
        self.fault: BaseException | None = None
        self.turn = _baton()
        self._number = count()
        self._queue: list[tuple[float, int, _Thread | Callable[[], None]]] = []
        self._threads: list[_Thread] = []
        self._frozen: list[_Thread] = []
        self._running: _Thread | None = None

    def spawn(self, host: Host, body: Callable[[], None]) -> None:
        """Begin a thread."""
        thread = _Thread(self, host, body)
        self._threads.append(thread)
        self._put(self.now, thread)

    def at(self, when: float, event: Callable[[], None]) -> None:
        """Have something happen that does not wait."""
        self._put(when, event)

    def wait(self, seconds: float) -> None:
        """Let time pass for the thread that calls; others go on meanwhile."""
        thread = self._running
        if self.over:
            raise _OverError
        assert thread is not None, "an event cannot wait"
        self._put(self.now + max(0.0, seconds), thread)
        self.turn.release()
        thread.turn.acquire()
        if self.over:
            raise _OverError

    def thaw(self, host: Host, delay: Callable[[], float]) -> None:
        """Let the threads of a host that is no longer frozen go on, each after a delay."""
        for thread in [one for one in self._frozen if one.host is host]:
            self._frozen.remove(thread)
            self._put(self.now + delay(), thread)

    def run(self, until: float) -> None:
        """Let everything happen that happens before then; raises what a thread raised."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, next_ = heapq.heappop(self._queue)
            if not isinstance(next_, _Thread):
                next_()
            elif next_.host.frozen:
                self._frozen.append(next_)
            elif not next_.host.dead:
                self._give_turn(next_)
            if self.fault is not None:
                raise self.fault

    def close(self) -> None:
        """End every thread."""
        self.over = True
        for thread in self._threads:
            if thread.host is not _GONE:
                self._give_turn(thread)
            thread.thread.join()

    def _give_turn(self, thread: _Thread) -> None:
        self._running, self.host = thread, thread.host
        thread.turn.release()
        self.turn.acquire()
        self._running = self.host = None

    def _put(self, when: float, what: _Thread | Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._number), what))


class Event(threading.Event):
    """A thread that waits for it does so in simulated time; it goes on when that is over.

    Args:
        rate: how many seconds the clock of those who wait counts in one.
    """

    def __init__(self, simulation: Simulation, rate: float) -> None:
        super().__init__()
        self._simulation = simulation
        self._rate = rate

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set():
            self._simulation.wait((timeout or 0.0) / self._rate)
        return self.is_set()
