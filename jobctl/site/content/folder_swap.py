"""Replaces the content folder in one step, under a lock; cleans up after a killed sync."""

import ctypes
import errno
import fcntl
import glob
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from jobctl.errors import PermanentJobError, ServiceError
from jobctl.files import REFUSES_LOCKS, STATE, lock_refusal, open_private, private_folder

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def sync_lock(folder: Path, seconds: float) -> Iterator[None]:
    """Let only one sync at a time work on a folder, on this machine.

    The lock is a file in ``.jobctl`` beside the folder, wherever the state folder is. Until 0.7 it was a file beside
    the folder: if that exists it is locked too, so that an older jobctl waits, and removed.

    Raises:
        ServiceError: another sync takes longer than ``seconds``.
        PermanentJobError: the file system refuses locks.
    """
    state = folder.with_name(STATE)
    older = folder.with_name(f"{folder.name}.lock")
    with ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            private_folder(state)
            end = time.monotonic() + seconds
            for path in (state / "content.lock", *([older] if older.exists() else [])):
                lock = open_private(path, os.O_RDWR)
                stack.callback(os.close, lock)
                _lock(lock, end)
        except OSError as error:
            if error.errno not in REFUSES_LOCKS:
                raise
            raise PermanentJobError(
                f"the content folder {folder} cannot be synced: {lock_refusal(folder.parent)}",
                hint="move the project to a local disk",
            ) from error
        older.unlink(missing_ok=True)
        yield


def _lock(lock: int, end: float) -> None:
    pause = threading.Event()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise ServiceError("another sync of the content folder is still running") from None
            pause.wait(0.1)
        else:
            return


def new_folder_beside(folder: Path) -> Path:
    """Create an empty folder beside another, for ``swap_in``."""
    new = _own_name(folder, "new")
    new.mkdir(mode=0o755)
    return new


def free_name(path: Path) -> Path:
    """This path, or with a number if it exists."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def swap_in(new: Path, folder: Path, keep: Path | None = None) -> None:
    """Put ``new`` in the place of ``folder``. The old folder is removed, or becomes ``keep``.

    It has the name ``keep`` from the first instant, so that a kill cannot make it look like a leftover.

    Raises:
        PermanentJobError: the folder is a mount point, which cannot be replaced.
    """
    if not os.path.lexists(folder):
        new.rename(folder)
        return
    old = keep or _own_name(folder, "old")
    new.rename(old)
    try:
        if not _exchange(old, folder):
            old.rename(new)
            _move(folder, old)
            new.rename(folder)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        if error.errno != errno.EBUSY:
            raise
        raise PermanentJobError(
            f"{folder} is a mount point, so a clone cannot take its place",
            hint="make it a symbolic link to a folder inside the mounted one",
        ) from error
    if keep is None:
        shutil.rmtree(old, ignore_errors=True)
        if os.path.lexists(old):
            old.unlink()


def clean_up(folder: Path) -> None:
    """Remove the leftovers of a killed sync; restore the old folder if there is no new one.

    Leftovers are known by the form of their names: other folders are the user's.
    """
    for old in _leftovers(folder, "old"):
        if not os.path.lexists(folder):
            _move(old, folder)
        else:
            shutil.rmtree(old, ignore_errors=True)
    for new in _leftovers(folder, "new"):
        shutil.rmtree(new, ignore_errors=True)


def _move(old: Path, place: Path) -> None:
    """Rename a folder; or copy and remove it: the overlay file system of containers renames no folder of an image.

    A kill leaves the whole folder at its new place, or a copy that ``clean_up`` removes.
    """
    try:
        old.rename(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy = _own_name(place, "new")
        try:
            shutil.copytree(old, copy, symlinks=True)
            copy.rename(place)
        except BaseException:
            shutil.rmtree(copy, ignore_errors=True)
            raise
        shutil.rmtree(old)


def _own_name(folder: Path, kind: str) -> Path:
    return folder.with_name(f"{folder.name}.{kind}-{os.getpid()}-{os.urandom(4).hex()}")


def _leftovers(folder: Path, kind: str) -> list[Path]:
    """Folders with a name of ``_own_name``."""
    own = re.compile(rf"{re.escape(folder.name)}\.{kind}-\d+-[0-9a-f]{{8}}", re.ASCII)
    found = folder.parent.glob(f"{glob.escape(folder.name)}.{kind}-*")
    return sorted(
        path for path in found if own.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )


def _exchange(left: Path, right: Path) -> bool:
    """Exchange two names in one step, on Linux only; returns whether it was done."""
    if sys.platform != "linux":
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    done = rename(_AT_FDCWD, os.fsencode(left), _AT_FDCWD, os.fsencode(right), _RENAME_EXCHANGE)
    return int(done) == 0
