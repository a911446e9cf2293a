"""Check-ins with monitors.

They have the form of healthchecks.io (https://healthchecks.io/docs/http_api/) or of Sentry's cron monitors
(https://docs.sentry.io/product/crons/getting-started/http/): the path of the URL decides.
"""

from enum import StrEnum
from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import NAMESPACE_URL, UUID, uuid5

from jobctl.subscribers.notification_channels import request


class CheckIn(StrEnum):
    """The state of a run, in Sentry's words."""

    START = "in_progress"
    SUCCESS = "ok"
    FAILURE = "error"


_SUFFIXES = {CheckIn.START: "/start", CheckIn.SUCCESS: "", CheckIn.FAILURE: "/fail"}


def check_in_url(url: str, state: CheckIn, run_id: str) -> str:
    """The URL that reports a run's state to the monitor at ``url``."""
    parts = urlsplit(url)
    if "/cron/" in parts.path:
        query = urlencode({"status": state.value, "check_in_id": unique_id(run_id).hex})
        path = parts.path
    else:
        query = urlencode({"rid": str(unique_id(run_id))})
        path = parts.path.rstrip("/") + _SUFFIXES[state]
    joined = "&".join(filter(None, [parts.query, query]))
    return urlunsplit((parts.scheme, parts.netloc, path, joined, ""))


def unique_id(run_id: str) -> UUID:
    """The id of a run as a UUID, which both services demand."""
    return uuid5(NAMESPACE_URL, f"jobctl:{run_id}")


class Monitor:
    """The monitor of a job at a URL.

    Attributes:
        host: for people; the URL grants access.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.host = urlsplit(url).hostname or ""

    def check_in(self, state: CheckIn, run_id: str) -> None:
        """Report the state of a run.

        Raises:
            ServiceError: the response is no success, or there is none.
            PermanentJobError: a key, or the URL, would cross the network unencrypted.
            ConfigurationError: a key is not valid.
        """
        request(check_in_url(self._url, state, run_id))

    def update(self) -> None:
        """Make the monitor, if there is none, or bring it up to date.

        Raises:
            JobctlError: as ``check_in``.
        """
