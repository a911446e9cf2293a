"""Who a process is, so that it is never taken for a later one with its pid."""

import os
import socket
from datetime import datetime
from functools import cache
from pathlib import Path

from jobctl.runs.store import LEASE, Owner


@cache
def boot() -> str:
    """The machine's boot and this pid namespace: pids compare only where both are the same."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot_id} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return f"host {socket.gethostname()}"


def start_of(pid: int) -> str | None:
    """When a process began, in the kernel's ticks, as text; None where it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_without_proc(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]


def _start_without_proc(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""


def this_process(kind: str, now: datetime) -> Owner:
    """This process as an owner of runs, with a new id."""
    pid = os.getpid()
    return Owner(
        id=os.urandom(8).hex(),
        kind=kind,
        host=socket.gethostname(),
        pid=pid,
        start=start_of(pid) or "",
        boot=boot(),
        since=now,
        beat=now,
    )


def is_alive(owner: Owner, now: datetime) -> bool:
    """Whether the owner's process still runs: by pid and start time, or elsewhere by its heartbeat."""
    if owner.ended is not None:
        return False
    if owner.boot == boot():
        return start_of(owner.pid) == owner.start
    silent = now - owner.beat if owner.silent is None else owner.silent
    return silent <= LEASE
