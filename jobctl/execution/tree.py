"""Process trees: who descends from whom, and how all of it is ended.

Descendants are found by parentage, and those that left the tree (a daemon whose parents are gone) by
the mark that each worker's environment carries. Without ``/proc`` only the process group can be ended.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
OWNER_MARK = "JOBCTL_OWNER"
WORKER_MARK = "JOBCTL_WORKER"


def descendants(pid: int) -> list[int]:
    """Every living process below ``pid``, parents before children."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    level = children.get(pid, [])
    while level:
        found.extend(level)
        level = [child for one in level for child in children.get(one, [])]
    return found


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def signal_name(number: int) -> str:
    """``SIGKILL``; a real-time signal, which has no name of its own, by its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def kill_tree(pid: int) -> None:
    """SIGKILL a process and all below it. It is stopped first, so that it starts nothing meanwhile."""
    send([pid], signal.SIGSTOP)
    while below := descendants(pid):
        send(below, signal.SIGSTOP)
        send(below, signal.SIGKILL)
        if descendants(pid) == below:
            break  # zombies that only their stopped parent could reap
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    send([pid], signal.SIGKILL)


def end_marked(owner_id: str) -> int:
    """SIGKILL every process that a dead owner's workers left; how many there were."""
    return _end(f"{OWNER_MARK}={owner_id}")


def end_left_by(token: str) -> int:
    """SIGKILL every process that one worker left; how many there were."""
    return _end(f"{WORKER_MARK}={token}")


def _end(mark: str) -> int:
    number = 0
    for _ in range(10):  # each pass finds what the one before was too late for
        found = list(_marked(mark.encode()))
        if not found:
            break
        number += len(found)
        send(found, signal.SIGKILL)
    return number


def _marked(mark: bytes) -> Iterator[int]:
    for pid in _pids():
        if pid == os.getpid():
            continue
        try:
            if mark in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                yield pid
        except OSError:
            continue


def _parents() -> Iterator[tuple[int, int]]:
    for pid in _pids():
        try:
            stat = (_PROC / str(pid) / "stat").read_bytes()
        except OSError:
            continue
        state, parent = stat.rpartition(b")")[2].split()[:2]
        if state not in {b"Z", b"X"}:
            yield pid, int(parent)


def _pids() -> Iterator[int]:
    try:
        names = os.listdir(_PROC)  # noqa: PTH208 - only the names are needed
    except OSError:
        return
    yield from (int(name) for name in names if name.isdigit())
