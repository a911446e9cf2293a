"""Waits while the run store's server is away: it restarts, fails over, or has no connection free."""

import threading
from collections.abc import Callable
from typing import TypeVar

from jobctl.clock import Clock
from jobctl.errors import StoreError

T = TypeVar("T")

OUTAGE_S = 30.0
_PAUSE_S = 0.5


def describe_outage(error: StoreError) -> str:
    """The warning for ``on_outage``."""
    return f"{error.problem}; trying again for {OUTAGE_S:.0f} s"


def wait_for_store(
    call: Callable[[], T],
    clock: Clock,
    on_outage: Callable[[StoreError], object] = lambda _: None,
    pause: Callable[[float], object] | None = None,
) -> T:
    """Call a function until the store answers, for ``OUTAGE_S`` seconds at most; returns its value.

    Args:
        call: may be called several times.
        on_outage: called with the first error that may pass.
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
                end = clock.monotonic() + OUTAGE_S
                on_outage(error)
            elif clock.monotonic() >= end:
                raise
        wait(_PAUSE_S)
