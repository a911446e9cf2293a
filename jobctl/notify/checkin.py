"""Check-ins with a monitor: at a run's start, success and failure.

The forms of healthchecks.io (https://healthchecks.io/docs/http_api/) and of Sentry's cron monitors
(https://docs.sentry.io/product/crons/getting-started/http/): which one, the URL's path tells.
"""

from enum import StrEnum
from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import NAMESPACE_URL, uuid5


class Step(StrEnum):
    """Where a run is, in Sentry's words."""

    START = "in_progress"
    SUCCESS = "ok"
    FAILURE = "error"


_SUFFIXES = {Step.START: "/start", Step.SUCCESS: "", Step.FAILURE: "/fail"}


def check_in_url(url: str, step: Step, run_id: str) -> str:
    """What to ask for."""
    parts = urlsplit(url)
    unique = str(uuid5(NAMESPACE_URL, f"jobctl:{run_id}"))
    if "/cron/" in parts.path:
        query = urlencode({"status": step.value, "check_in_id": unique.replace("-", "")})
        path = parts.path
    else:
        query = urlencode({"rid": unique})
        path = parts.path.rstrip("/") + _SUFFIXES[step]
    joined = "&".join(filter(None, [parts.query, query]))
    return urlunsplit((parts.scheme, parts.netloc, path, joined, ""))
