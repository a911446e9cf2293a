"""Process trees: which processes a worker's task has started, and how all of them are ended.

Descendants are found by parentage, and those that left the tree (their parents are gone) by the mark in
each worker's environment, or by the session that the worker led. Without ``/proc`` only the process
group can be ended.

A ``jobctl trigger --no-wait`` inside a job starts a process that is meant to outlive the job: it has a session of
its own, none of the marks, and ``DETACHED_MARK``. It, and what is below it, is no descendant here.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from jobctl.signals import DETACHED_MARK, OWNER_MARK, WORKER_MARK

_DETACHED_PROGRAM = [b"-m", b"jobctl"]
_PAUSE_S = 0.01
_TRIES = 200


class _Process(NamedTuple):
    """A living process, no zombie. ``birth`` distinguishes it from a later process with its pid."""

    pid: int
    parent: int
    session: int
    birth: bytes


def descendants(pid: int) -> list[int]:
    """Every living process below ``pid``, parents before children; not those that were detached on purpose.

    A process that forks and ends while ``/proc`` is read leaves a child that this reading does not show, so an
    empty result is read again.
    """
    return _descendants(pid) or _descendants(pid)


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for process in _processes():
        children.setdefault(process.parent, []).append(process.pid)
    found: list[int] = []
    level = [pid]
    while level:
        below = [child for parent in level for child in children.get(parent, [])]
        level = [child for child in below if not _is_detached(child)]
        found.extend(level)
    return found


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each process that still exists."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def signal_name(number: int) -> str:
    """``SIGKILL``; the number of a real-time signal, which has no name."""
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
    """SIGKILL every process that a dead owner's workers left; returns how many."""
    mark = f"{OWNER_MARK}={owner_id}".encode()
    return _end(lambda process: _carries(process.pid, mark))


def end_left_by(token: str, session: int) -> int:
    """SIGKILL every process that a worker left; returns how many.

    Args:
        token: of the worker; what its job started with another environment does not carry it.
        session: which the worker led. The kernel reuses its number only when no process of it lives.
    """
    mark = f"{WORKER_MARK}={token}".encode()
    return _end(lambda process: process.session == session or _carries(process.pid, mark))


def _end(belongs: Callable[[_Process], bool]) -> int:
    """SIGKILL all that belong until the kernel has removed them, or two seconds have passed."""
    killed: set[tuple[int, bytes]] = set()
    pause = threading.Event()
    for _ in range(_TRIES):
        left = [
            process for process in _processes() if (process.pid, process.birth) in killed or belongs(process)
        ]
        if not left:
            break
        killed.update((process.pid, process.birth) for process in left)
        send([process.pid for process in left], signal.SIGKILL)
        pause.wait(_PAUSE_S)
    return len(killed)


def _is_detached(pid: int) -> bool:
    """Whether ``trigger --no-wait`` started it: jobctl, with the mark that a job's own processes do not get."""
    try:
        arguments = _read(pid, "cmdline").split(b"\0")
    except OSError:
        return False
    return arguments[1:3] == _DETACHED_PROGRAM and _carries(pid, f"{DETACHED_MARK}=1".encode())


def _carries(pid: int, mark: bytes) -> bool:
    try:
        return mark in _read(pid, "environ").split(b"\0")
    except OSError:
        return False


def _read(pid: int | str, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:  # noqa: PTH123 - workers start sooner without pathlib
        return file.read()


def _processes() -> Iterator[_Process]:
    """Every other process that can be read."""
    try:
        names = os.listdir("/proc")  # noqa: PTH208
    except OSError:
        return
    for name in names:
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            stat = _read(name, "stat")
        except OSError:
            continue
        state, parent, _, session, *rest = stat.rpartition(b")")[2].split()
        if state not in {b"Z", b"X"}:
            yield _Process(int(name), int(parent), int(session), rest[15])
