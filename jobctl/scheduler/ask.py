"""A request that one thread makes and another carries out."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Ask(Generic[T]):
    """Called in the other thread; ``answer`` returns, or raises, here what the request did there."""

    def __init__(self, request: Callable[[], T]) -> None:
        self._request = request
        self._done = threading.Event()
        self._value: list[T] = []
        self._error: BaseException | None = None

    def __call__(self) -> None:
        """Carry it out; never raises."""
        try:
            self._value.append(self._request())
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    def answer(self, is_gone: Callable[[], bool], gone: Exception) -> T:
        """Wait for it. ``gone`` is raised where the other thread has ended without it."""
        while not self._done.wait(1.0):
            if is_gone() and not self._done.is_set():
                raise gone
        if self._error is not None:
            raise self._error
        return self._value[0]
