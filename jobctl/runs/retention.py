"""How long runs are kept, and their logs with them."""

from datetime import datetime, timedelta
from pathlib import Path

from jobctl.runs.store import RunStore

KEEP = timedelta(days=30)
KEEP_PER_JOB = 1000


def prune(store: RunStore, logs: Path, now: datetime) -> int:
    """Remove runs beyond 30 days and 1,000 a job, and their logs; how many. Sets ``last_cleanup``."""
    pruned = store.prune(now, KEEP, KEEP_PER_JOB)
    for job_id, run_id in pruned.runs:
        (logs / job_id / f"{run_id}.log").unlink(missing_ok=True)
    return len(pruned.runs)
