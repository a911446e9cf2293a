"""How long runs are kept, and their logs with them."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from jobctl.files import unlink_below
from jobctl.runs.store import RunStore

KEEP = timedelta(days=30)
KEEP_PER_JOB = 1000


def prune(store: RunStore, logs: Path, now: datetime) -> int:
    """Remove runs beyond 30 days and 1,000 a job, and their logs; how many. Sets ``last_cleanup``."""

    def let_go(job_id: str, run_id: str) -> None:
        with suppress(OSError):  # what cannot be removed is in nobody's way
            unlink_below(logs.parent, (logs.name, job_id), f"{run_id}.log")

    return len(store.prune(now, KEEP, KEEP_PER_JOB, let_go).runs)
