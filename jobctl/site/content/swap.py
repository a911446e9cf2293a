"""Putting a whole folder in another's place at once, and tidying up after a kill in between."""

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
def alone(folder: Path, seconds: float) -> Iterator[None]:
    """At most one sync at a time works on a folder, whoever started it.

    The lock is a file in ``.jobctl`` beside the folder, wherever the state is. Until 0.7 it was one beside the
    folder: where that is still there it is held too, so that an older jobctl waits, and removed.

    Raises:
        ServiceError: another one goes on for longer than ``seconds``.
        PermanentJobError: the file system refuses locks.
    """
    place = folder.with_name(STATE)
    older = folder.with_name(f"{folder.name}.lock")
    with ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            private_folder(place)
            end = time.monotonic() + seconds
            for path in (place / "content.lock", *([older] if older.exists() else [])):
                lock = open_private(path, os.O_RDWR)
                stack.callback(os.close, lock)
                _wait_for(lock, end)
        except OSError as error:
            if error.errno not in REFUSES_LOCKS:
                raise
            raise PermanentJobError(
                f"the content folder {folder} cannot be synced: {lock_refusal(folder.parent)}",
                hint="have the project on a local disk",
            ) from error
        older.unlink(missing_ok=True)
        yield


def _wait_for(lock: int, end: float) -> None:
    pause = threading.Event()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise ServiceError("another sync of the content folder is still at work") from None
            pause.wait(0.1)
        else:
            return


def new_beside(folder: Path) -> Path:
    """An empty folder beside another, to be swapped in."""
    new = _own_name(folder, "new")
    new.mkdir(mode=0o755)
    return new


def free_name(path: Path) -> Path:
    """This name, or with a number behind it where it is taken."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def swap_in(new: Path, folder: Path, keep: Path | None = None) -> None:
    """Put ``new`` in ``folder``'s place. The old one is removed, or becomes ``keep``: from the first instant,
    so that no kill can make it look like a leftover.

    Raises:
        PermanentJobError: the place is a mount point, which nothing can be put in place of.
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


def tidy(folder: Path) -> None:
    """Remove what a killed sync left beside the folder; put the old content back if it took the place away.

    Only names that ``_own_name`` makes are taken for such: other folders there are the user's.
    """
    for old in _left(folder, "old"):
        if not os.path.lexists(folder):
            _move(old, folder)
        else:
            shutil.rmtree(old, ignore_errors=True)
    for new in _left(folder, "new"):
        shutil.rmtree(new, ignore_errors=True)


def _move(old: Path, place: Path) -> None:
    """Rename a folder, or copy it whole and remove it then: an overlay file system, as containers have, renames
    no folder of an image. A kill leaves a copy that ``tidy`` removes, or all of it at its new place."""
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


def _left(folder: Path, kind: str) -> list[Path]:
    """Folders with a name that ``_own_name`` made."""
    own = re.compile(rf"{re.escape(folder.name)}\.{kind}-\d+-[0-9a-f]{{8}}", re.ASCII)
    found = folder.parent.glob(f"{glob.escape(folder.name)}.{kind}-*")
    return sorted(one for one in found if own.fullmatch(one.name) and one.is_dir() and not one.is_symlink())


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
