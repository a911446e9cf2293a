"""Waits for a run store whose server is away for a while: it restarts, fails over, or has no connection free."""

import threading
from collections.abc import Callable
from typing import TypeVar

from jobctl.clock import Clock
from jobctl.errors import StoreError

T = TypeVar("T")

RIDE_OUT_S = 30.0
_PAUSE_S = 0.5


def ride_out(
    call: Callable[[], T],
    clock: Clock,
    trouble: Callable[[StoreError], object] = lambda _: None,
    pause: Callable[[float], object] | None = None,
) -> T:
    """Call until the store answers, for ``RIDE_OUT_S`` seconds at most; returns what the call returns.

    Args:
        call: may be called several times.
        trouble: called with the first error that may pass.
        pause: waits so many seconds; may raise to give up.

    Raises:
        StoreError: the last error, or one that cannot pass by itself.
    """
    wait = pause or threading.Event().wait
    end: float | None = None
    while True:
        try:
            return call()
        except StoreError as error:
            if not error.transient:
                raise
            if end is None:
                end = clock.monotonic() + RIDE_OUT_S
                trouble(error)
            elif clock.monotonic() >= end:
                raise
        wait(_PAUSE_S)
