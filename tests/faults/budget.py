"""How long and how many: as much as CI bears, or as ``JOBCTL_TEST_SECONDS`` asks for."""

import os
from typing import TypeVar

T = TypeVar("T")

_ASKED = os.environ.get("JOBCTL_TEST_SECONDS")


def seconds(usual: float) -> float:
    """How long to go on: what is asked for, else what is usual."""
    return usual if _ASKED is None else float(_ASKED)


def many(usual: T, full: T) -> T:
    """The whole of a scenario where time was given, else what shows the same soon."""
    return usual if _ASKED is None else full
