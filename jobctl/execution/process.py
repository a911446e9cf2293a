"""Who a process is, so that it is never taken for a later one with its pid, and what can be seen of it by its pid."""

import os
import sys
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path

from jobctl.store.records import Owner

_PROC = Path("/proc")


class Life(Enum):
    """What is known of a registered process."""

    ALIVE = "alive"
    STOPPED = "stopped"
    """By SIGSTOP or a debugger: it is alive and does nothing."""
    DEAD = "dead"
    UNKNOWN = "unknown"
    """It cannot be seen from here; its lease decides."""


@cache
def boot() -> str:
    """The machine's boot, this PID namespace and this time namespace; empty where one of them cannot be read.

    A pid and a start time mean the same process only where all three are equal: the kernel shifts start times by
    the reader's time namespace.
    """
    if sys.platform != "linux":
        return f"host {os.uname().nodename}"
    try:
        if str((_PROC / "self").readlink()) != str(os.getpid()):
            return ""  # /proc belongs to another PID namespace
        boot_id = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespaces = [str((_PROC / "self/ns" / name).readlink()) for name in ("pid", *_time_namespace())]
    except OSError:
        return ""
    return " ".join([boot_id, *namespaces])


def _time_namespace() -> list[str]:
    return ["time"] if (_PROC / "self/ns/time").exists() else []  # Linux 5.6


def uptime() -> float | None:
    """Seconds since the machine's start, suspend included, from the kernel's own file: a library that is loaded to
    fake the clocks of one process does not reach it. None where there is no such file."""
    try:
        return float((_PROC / "uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return None


def start_of(pid: int) -> str:
    """When a process began, in the kernel's ticks, as text; empty where that cannot be read."""
    found = _stat(pid)
    return found[1] if found else ""


def _stat(pid: int) -> tuple[str, str] | None:
    """State and start time of a process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]


def this_process(kind: str, now: datetime, *, leased: bool = False) -> Owner:
    """This process as an owner of runs, with a new id."""
    pid = os.getpid()
    return Owner(
        id=os.urandom(8).hex(),
        kind=kind,
        host=os.uname().nodename,
        pid=pid,
        start=start_of(pid) if boot() else "",
        boot=boot(),
        since=now,
        leased=leased,
    )


def life_by_pid(owner: Owner) -> Life:
    """What this process's own view of pids says. Where it does not reach, ``UNKNOWN``, never ``DEAD``."""
    if not owner.boot or owner.boot != boot():
        return Life.UNKNOWN
    try:
        os.kill(max(owner.pid, 1), 0)
    except (ProcessLookupError, OverflowError):
        return Life.DEAD
    except OSError:
        pass  # it exists, and belongs to another user
    found = _stat(owner.pid)
    if found is None or not owner.start:
        return Life.UNKNOWN  # hidden, as with hidepid=2
    state, start = found
    if state in {"Z", "X"} or start != owner.start:
        return Life.DEAD
    return Life.STOPPED if state in {"T", "t"} else Life.ALIVE
