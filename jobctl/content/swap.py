"""Putting a whole folder in another's place at once, and tidying up after a kill in between."""

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobctl.errors import ServiceError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def alone(folder: Path, seconds: float) -> Iterator[None]:
    """At most one sync at a time works on a folder, whoever started it.

    Raises:
        ServiceError: another one goes on for longer than ``seconds``.
    """
    import fcntl
    import threading
    import time

    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder.with_name(f"{folder.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + seconds
    pause = threading.Event()
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise ServiceError("another sync of the content folder is still at work") from None
                pause.wait(0.1)
        yield
    finally:
        os.close(lock)


def new_beside(folder: Path) -> Path:
    """An empty folder beside another, to be swapped in."""
    new = folder.with_name(f"{folder.name}.new-{os.getpid()}-{os.urandom(4).hex()}")
    new.mkdir(mode=0o755)
    return new


def swap_in(new: Path, folder: Path) -> Path | None:
    """Put ``new`` in ``folder``'s place; answers with where the old one is now, None if there was none."""
    if not os.path.lexists(folder):
        new.rename(folder)
        return None
    old = folder.with_name(f"{folder.name}.old-{os.getpid()}-{os.urandom(4).hex()}")
    if _exchange(new, folder):
        new.rename(old)
    else:
        folder.rename(old)
        new.rename(folder)
    return old


def tidy(folder: Path) -> None:
    """Remove what a killed sync left beside the folder; put the old content back if it took the place away."""
    for old in sorted(folder.parent.glob(f"{folder.name}.old-*")):
        if not os.path.lexists(folder):
            old.rename(folder)
        else:
            shutil.rmtree(old, ignore_errors=True)
    for new in folder.parent.glob(f"{folder.name}.new-*"):
        shutil.rmtree(new, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Both names at once, where the system can (Linux); nobody ever sees the place empty."""
    if sys.platform != "linux":
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    done = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return int(done) == 0
