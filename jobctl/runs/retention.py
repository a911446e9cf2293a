"""How long runs are kept, and their logs with them."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from jobctl.runs.logs import delete
from jobctl.runs.store import RunStore

KEEP = timedelta(days=30)
KEEP_PER_JOB = 1000


def prune(store: RunStore, logs: Path, now: datetime) -> int:
    """Remove runs beyond 30 days and 1,000 a job, and their logs; how many. Sets ``last_cleanup``."""

    def let_go(job_id: str, run_id: str) -> None:
        with suppress(OSError):  # what cannot be removed is in nobody's way
            delete(logs, job_id, run_id)

    return len(store.prune(now, KEEP, KEEP_PER_JOB, let_go).runs)
