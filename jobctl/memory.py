"""A bound on the memory of a process, as the system counts it: the address space. Linux alone keeps to it."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1024 * 1024


@contextmanager
def bounded(mib: int) -> Iterator[None]:
    """Within the block this process takes no more than ``mib`` MiB beyond what it has; what goes further fails with
    ``MemoryError``.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:  # not Linux
        yield
        return
    most = pages * resource.getpagesize() + mib * MIB
    bound = min(one for one in (soft, most) if one != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def bound(mib: int) -> None:
    """Let this process, and what it starts or becomes, take no more than ``mib`` MiB."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = mib * MIB if hard == resource.RLIM_INFINITY else min(hard, mib * MIB)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
