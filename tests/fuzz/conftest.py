"""Whatever jobctl is fed, it answers with what was designed: never a traceback, never a hang, nothing lost.

One file a surface. Each run of the suite tries a few hundred inputs of each; to look longer, and afresh each time:

    JOBCTL_FUZZ=50 python -m pytest tests/fuzz

That is how many times as many. What it finds is kept in ``.hypothesis`` until it is mended; pin it with ``@example``.
"""

from pathlib import Path

import pytest

from tests.support.fuzzing import TIMES

HERE = Path(__file__).parent
TIMEOUT_S = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """More examples take longer."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S * TIMES))
