"""Writing a file whole or not at all: somebody may be reading the last one."""

import os
from pathlib import Path


def write_whole(file: Path, data: bytes, *, mode: int | None = None) -> None:
    """Write beside it, then take its place.

    Args:
        mode: of the file; None leaves it to the umask.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        new.write_bytes(data)
        if mode is not None:
            new.chmod(mode)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
