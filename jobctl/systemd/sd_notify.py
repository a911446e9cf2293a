"""Notifies a service manager of a long-running command by sd_notify(3): ready, status, watchdog, stopping.

A notification is a datagram of assignments, one a line, to the socket that ``NOTIFY_SOCKET`` names. This module is
loaded only where that variable is set. A service manager that does not listen has no effect.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from jobctl.clock import Clock
from jobctl.events import (
    Event,
    JobsChanged,
    RunFinished,
    RunStarted,
    SchedulerStarted,
    SchedulerStopping,
)
from jobctl.text import counted

if TYPE_CHECKING:
    from jobctl.managers.local import LocalJobManager

STATUS_EVERY_S = 1.0
_TURN_S = 1.0
"""A loop that calls ``ping_watchdog`` takes so long for a turn at most."""


class ServiceManager:
    """The service manager that started this process.

    Args:
        address: ``NOTIFY_SOCKET``: a path, or ``@`` and a name in Linux's abstract namespace.
        watchdog_s: seconds without a ping after which it restarts this process; None: there is no watchdog.
    """

    def __init__(self, address: str, watchdog_s: float | None, clock: Clock) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog_s = watchdog_s
        self._clock = clock
        self._pinged = float("-inf")

    @classmethod
    def of(cls, process: Mapping[str, str], clock: Clock) -> "ServiceManager":
        """The service manager that the variables name. The watchdog of another process is ignored."""
        usec = process.get("WATCHDOG_USEC", "")
        is_ours = process.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_s = int(usec) / 1e6 if is_ours and usec.isdecimal() and int(usec) else None
        return cls(process["NOTIFY_SOCKET"], watchdog_s, clock)

    def notify(self, *assignments: str, wait: bool = True) -> bool:
        """Send assignments; whether they were delivered. Without ``wait`` they are dropped if its queue is full."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(wait)
            sender.sendto("\n".join(assignments).encode(), self._address)
            return True
        return False

    def ping_watchdog(self) -> None:
        """Report that the calling loop is alive, at least twice within the watchdog's time."""
        now = self._clock.monotonic()
        if self._watchdog_s is not None and now - self._pinged >= self._watchdog_s / 2 - _TURN_S:
            self._pinged = now if self.notify("WATCHDOG=1", wait=False) else self._pinged


class SchedulerStatus:
    """Notifies the service manager of a scheduler's state, such as ``13 jobs, 1 running``."""

    def __init__(self, manager: ServiceManager, clock: Clock) -> None:
        self._manager = manager
        self._clock = clock
        self._jobs = 0
        self._running: set[str] = set()
        self._is_up = self._is_stopping = False
        self._sent = ""
        self._sent_at = 0.0

    def on_event(self, event: Event) -> None:
        """Take an event, from any thread."""
        match event:
            case RunStarted():
                self._running.add(event.run.id)
            case RunFinished():
                self._running.discard(event.run.id)
            case JobsChanged():
                self._jobs += len(event.added) - len(event.removed)
            case SchedulerStarted():
                self._is_up, self._jobs = True, event.jobs
                self._manager.notify("READY=1", f"STATUS={self._status()}")
            case SchedulerStopping():
                self._is_stopping = True
                self._manager.notify("STOPPING=1", f"STATUS={self._status()}")
            case _:
                pass

    def on_turn(self) -> None:
        """Called in each turn of the scheduler's loop, so that the watchdog gets no ping once the loop hangs."""
        self._manager.ping_watchdog()
        now = self._clock.monotonic()
        if self._is_up and now - self._sent_at >= STATUS_EVERY_S and (status := self._status()) != self._sent:
            self._manager.notify(f"STATUS={status}", wait=False)
            self._sent, self._sent_at = status, now

    def _status(self) -> str:
        state = "stopping" if self._is_stopping else counted(self._jobs, "job")
        return f"{state}, {len(self._running)} running"


def notify_of_scheduler(manager: "LocalJobManager", process: Mapping[str, str], clock: Clock) -> None:
    """Notify the service manager of a scheduler, from its start to its end."""
    status = SchedulerStatus(ServiceManager.of(process, clock), clock)
    manager.bus.subscribe(status.on_event)
    manager.on_turn = status.on_turn
