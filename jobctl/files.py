"""Writing a file whole or not at all: somebody may be reading the last one."""

import os
import stat
from contextlib import suppress
from pathlib import Path


def write_whole(file: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write beside it, then take its place: a link's too, so that none leads elsewhere.

    Args:
        mode: of the file; None keeps that of the file whose place it takes, else leaves it to the umask.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    if mode is None:
        with suppress(OSError):
            before = file.lstat().st_mode
            mode = stat.S_IMODE(before) if stat.S_ISREG(before) else None
    try:
        new.write_bytes(data)
        if mode is not None:
            new.chmod(mode)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
