"""What a service manager hears of a long run: it is up, how it stands, its loop turns, it stops.

By sd_notify(3): assignments, one a line, in a datagram to the socket that ``NOTIFY_SOCKET`` names. Loaded only
where that is set. A manager that does not listen hurts nothing.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from jobctl.clock import Clock
from jobctl.events import (
    Event,
    JobsChanged,
    RunFinished,
    RunStarted,
    SchedulerStarted,
    SchedulerStopping,
)
from jobctl.managers.local import LocalJobManager
from jobctl.scheduler.scheduler import TICK
from jobctl.text import counted

STATUS_EVERY_S = 1.0


class ServiceManager:
    """Who started this process and listens.

    Args:
        address: ``NOTIFY_SOCKET``: a path, or ``@`` and a name in Linux's abstract namespace.
        patience: seconds after which it takes a process for hung that was not heard of; None: it does not look.
    """

    def __init__(self, address: str, patience: float | None, clock: Clock) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._patience = patience
        self._clock = clock
        self._fed = float("-inf")

    @classmethod
    def of(cls, process: Mapping[str, str], clock: Clock) -> "ServiceManager":
        """The one that the variables name. A watchdog that is another process's business is left to that."""
        usec = process.get("WATCHDOG_USEC", "")
        ours = process.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        patience = int(usec) / 1e6 if ours and usec.isdecimal() and int(usec) else None
        return cls(process["NOTIFY_SOCKET"], patience, clock)

    def tell(self, *assignments: str, wait: bool = True) -> bool:
        """Send; whether it was taken. Without ``wait`` it is dropped where the manager is behind."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
            speaking.setblocking(wait)
            speaking.sendto("\n".join(assignments).encode(), self._address)
            return True
        return False

    def feed(self) -> None:
        """Say that the loop which calls this turns; twice within the manager's patience is enough."""
        now = self._clock.monotonic()
        if self._patience is not None and now - self._fed >= self._patience / 2 - TICK:
            self._fed = now if self.tell("WATCHDOG=1", wait=False) else self._fed


class Report:
    """Tells the service manager of a scheduler: ``13 jobs, 1 running``. A listener, and a pulse of the loop."""

    def __init__(self, to: ServiceManager, clock: Clock) -> None:
        self._to = to
        self._clock = clock
        self._jobs = 0
        self._running: set[str] = set()
        self._is_up = self._is_stopping = False
        self._told = ""
        self._told_at = 0.0

    def __call__(self, event: Event) -> None:
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
                self._to.tell("READY=1", f"STATUS={self._status()}")
            case SchedulerStopping():
                self._is_stopping = True
                self._to.tell("STOPPING=1", f"STATUS={self._status()}")
            case _:
                pass

    def pulse(self) -> None:
        """In each turn of the scheduler's loop, so that nothing is fed once the loop hangs."""
        self._to.feed()
        now = self._clock.monotonic()
        if self._is_up and now - self._told_at >= STATUS_EVERY_S and (status := self._status()) != self._told:
            self._to.tell(f"STATUS={status}", wait=False)
            self._told, self._told_at = status, now

    def _status(self) -> str:
        what = "stopping" if self._is_stopping else counted(self._jobs, "job")
        return f"{what}, {len(self._running)} running"


def report(manager: LocalJobManager, process: Mapping[str, str], clock: Clock) -> None:
    """Have the service manager told of a scheduler from its start to its end."""
    told = Report(ServiceManager.of(process, clock), clock)
    manager.bus.subscribe(told)
    manager.on_turn = told.pulse
