"""Which path runs which job: the original's three, and one for every other job."""

ORIGINAL = {
    "/api/cron/sync": "repository-sync",
    "/api/cron/subscription-reminders": "subscription-renewal-reminder",
    "/api/cron/subscription-expiration": "subscription-expired-cleanup",
}
JOBS = "/api/cron/jobs/"


def path_of(job_id: str) -> str:
    """Where a job is called."""
    return next((path for path, one in ORIGINAL.items() if one == job_id), JOBS + job_id)


def is_ours(path: str) -> bool:
    """Whether a path, with or without a query, is one of these."""
    place = path.partition("?")[0]
    return place in ORIGINAL or place.startswith(JOBS)
