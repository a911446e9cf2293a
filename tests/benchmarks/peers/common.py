"""What is asked of every peer, each in a process of its own: ``python -m tests.benchmarks.peers.PEER``, then
``MEASURE FOLDER JOBS SECONDS``.

- ``burst``: so many no-op jobs are due in the same instant of each second. When did each start?
- ``drain``: so many no-op jobs are due at once. How long until the last one has ended?
- ``idle``: so many jobs are known and none is due. CPU and memory of the process.

The answer is a line of JSON. A peer gives what it can; one that keeps nothing says so in its name.
"""

import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Starts:
    """When no-op jobs started against when they were due, both in seconds since 1970."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.ended = threading.Event()
        self.expected = 0

    def started(self, due: float) -> None:
        self.late.append(time.time() - due)
        if len(self.late) == self.expected:
            self.ended.set()


def first_second() -> float:
    """A whole second, far enough from now for everything to be ready."""
    return float(int(time.time()) + 3)


def wait_until(instant: float) -> None:
    pause = threading.Event()
    while (left := instant - time.time()) > 0:
        pause.wait(left)


def cpu() -> float:
    """Seconds of CPU, of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def memory(pid: int | str = "self") -> int:
    """Resident KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def idle_here(seconds: int) -> dict[str, Any]:
    """Once everything is registered and has come to rest."""
    pause = threading.Event()
    pause.wait(2)
    before = cpu()
    pause.wait(seconds)
    return {"cpu_s": cpu() - before, "memory_kib": memory()}


def answer(**measures: Callable[[Path, int, int], dict[str, Any]]) -> None:
    """Do what is asked and print it."""
    asked, folder, jobs, seconds = sys.argv[1:5]
    if asked not in measures:
        json.dump({}, sys.stdout)
        return
    before = cpu()
    found = measures[asked](Path(folder), int(jobs), int(seconds))
    json.dump({"cpu_s": cpu() - before, **found}, sys.stdout)
