"""Limits the memory of a process, as the system counts it: its address space. Works on Linux only."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1024 * 1024


@contextmanager
def bounded(mib: int) -> Iterator[None]:
    """Let this process take at most ``mib`` MiB more within the block; beyond that it gets ``MemoryError``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:  # not Linux
        yield
        return
    most = pages * resource.getpagesize() + mib * MIB
    bound = min(limit for limit in (soft, most) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def bound(mib: int) -> None:
    """Limit this process, and what it starts or becomes, to ``mib`` MiB."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = mib * MIB if hard == resource.RLIM_INFINITY else min(hard, mib * MIB)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
