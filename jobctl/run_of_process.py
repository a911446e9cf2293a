"""Where ``current_run`` finds the one run of a worker process. Light: each worker loads it."""

from collections.abc import Callable
from typing import Any

find: Callable[[], Any] | None = None
"""Returns its ``RunContext``; None outside workers."""
