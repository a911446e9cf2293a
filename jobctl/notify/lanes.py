"""A thread for each receiver: a slow one holds up nobody else, and nobody waits for any."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from jobctl import threads

_REST_S = 30.0
Work = Callable[[], None]
Key = tuple[str, str]
"""Whom the work tells, and of which job."""


class Lane:
    """Does what it is given, one after the other. Its thread ends when there is nothing to do for a while.

    Args:
        name: of the thread.
        most: how much may wait; beyond that the oldest is dropped.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = f"jobctl-tell-{name}"
        self._work: deque[tuple[Key, Work]] = deque(maxlen=most)
        self._changed = threading.Condition()
        self._now: Key | None = None
        self._alive = False

    def put(self, key: Key, work: Work) -> None:
        """Do it after what waits; returns at once. It must not raise.

        Where the system allows no more threads, it waits until the next call.
        """
        with self._changed:
            self._work.append((key, work))
            self._changed.notify_all()
            if not self._alive:
                with suppress(threads.NoThreadError):
                    threads.start(threading.Thread(target=self._run, name=self._name, daemon=True))
                    self._alive = True

    def drain(self, timeout: float) -> set[Key]:
        """Wait until all is done; what is not, after ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._work and self._now is None, timeout)
            return {key for key, _ in self._work} | ({self._now} if self._now else set())

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: bool(self._work), _REST_S):
                    self._alive = False
                    return
                self._now, work = self._work.popleft()
            try:
                work()
            finally:
                with self._changed:
                    self._now = None
                    self._changed.notify_all()


class Lanes:
    """Lanes by name, made when they are first needed. From any thread."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()

    def put(self, name: str, key: Key, work: Work, most: int) -> None:
        """Do it in the lane of this name."""
        with self._lock:
            lane = self._lanes.setdefault(name, Lane(name, most))
        lane.put(key, work)

    def drain(self, remaining: Callable[[], float]) -> set[Key]:
        """Wait until all is done, or until no seconds remain; what is not done then."""
        return {key for lane in list(self._lanes.values()) for key in lane.drain(max(0.0, remaining()))}
