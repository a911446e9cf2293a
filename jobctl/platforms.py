"""Job settings that only the local scheduler honours."""

from jobctl.model import Job, OnOverlap

AT_TRIGGER_DEV = "every slot waits there, not only the newest"
AT_VERCEL = "a slot that comes while a run is in progress is dropped there"


def not_honoured(job: Job, queued: str, *, jitter: bool = False) -> str:
    """The settings that another platform ignores, in clauses; empty where there are none, or no schedule.

    Args:
        queued: what the platform does with a slot that would queue here.
        jitter: the platform spreads times by the job's jitter.
    """
    if job.schedule is None or not job.enabled:
        return ""
    clauses = {
        f'overlap = "queue" has no effect: {queued}': job.overlap is OnOverlap.QUEUE,
        "group has an effect only among runs that share a run store (JOBCTL_STATE)": job.group is not None,
        "jitter has no effect: it starts on time": bool(job.jitter) and not jitter,
    }
    return "; ".join(clause for clause, applies in clauses.items() if applies)
