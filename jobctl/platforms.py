"""What of a job holds under ``jobctl run`` alone: to be told before another scheduler is to have it."""

from jobctl.model import Job, OnOverlap

AT_TRIGGER_DEV = "every slot waits there, not the newest alone"
AT_VERCEL = "a slot that finds a run in its way is dropped there"


def not_kept(job: Job, queued: str, *, jitter: bool = False) -> str:
    """Which of its settings do not hold there, in clauses; empty where all do, or nothing times it.

    Args:
        queued: what becomes there of a slot that would queue.
        jitter: whether there are times spread by the job's jitter there.
    """
    if job.schedule is None or not job.enabled:
        return ""
    clauses = {
        f'overlap = "queue" does not hold: {queued}': job.overlap is OnOverlap.QUEUE,
        "group holds only among runs that share a run store (JOBCTL_STATE)": job.group is not None,
        "jitter does not hold: it begins on time": bool(job.jitter) and not jitter,
    }
    return "; ".join(clause for clause, applies in clauses.items() if applies)
