"""The management API of Trigger.dev: https://trigger.dev/docs/management/overview.

Requests are sent again as the official SDK does (``@trigger.dev/core``, ``zodfetch``): ``x-should-retry`` decides if
the server sends it; else no response, 408, 409, 429 and 5xx are tried three times, 1 s apart and doubling, a 429 after
the reset that it names. jobctl also limits the total pause. Every request but a replay may be repeated: one that writes
carries a key by which the server recognizes it.
"""

import math
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal
from urllib.parse import quote as escaped
from urllib.parse import urlencode

from jobctl.clock import Clock, SystemClock, iso, to_ms
from jobctl.errors import ConfigurationError, ServiceError
from jobctl.http import NO_RETRY, HttpClient, Response, RetryPolicy, authorization, retry_after
from jobctl.text import quote
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.api_types import (
    DELAYED,
    PAGE,
    RefusedError,
    RemoteRun,
    RemoteSchedule,
    ScheduleRequest,
    ShapeError,
)

API_VERSION = "2025-07-16"
"""Without it the server responds in an older vocabulary of run statuses."""
TIMEOUT_S = 30.0
MAX_TOTAL_PAUSE_S = 60.0
_RETRIED = {408, 409, 429}

Method = Literal["GET", "POST", "DELETE"]
Query = Mapping[str, str | int]


def _has_json(response: Response) -> bool:
    return response.is_success and response.body is not None


def _is_retried(response: Response) -> bool:
    if _has_json(response):
        return False
    decided = response.headers.get("x-should-retry")
    if decided in {"true", "false"}:
        return decided == "true"
    return response.status in _RETRIED or response.status >= 500 or response.is_success


def _until_reset(response: Response, clock: Clock) -> float | None:
    """Seconds that a 429 asks for: ``x-ratelimit-reset`` is in milliseconds since 1970."""
    if response.status != 429:
        return None
    try:
        reset = float(response.headers["x-ratelimit-reset"])
    except (KeyError, ValueError):
        return retry_after(response, clock)
    return max(0.0, reset / 1000 - clock.now().timestamp()) if 0 <= reset < 1e15 else None


RETRY = RetryPolicy(
    pauses=(1.0, 2.0),
    max_pause=math.inf,
    max_total=MAX_TOTAL_PAUSE_S,
    is_retried=_is_retried,
    named_pause=_until_reset,
)


def _explanation(response: Response) -> str:
    """The server's own words for what is wrong, on one line; or an empty text."""
    texts = [response.fields.get(name) for name in ("error", "detail", "title")]
    text = next((text for text in texts if isinstance(text, str)), "")
    return " ".join(text.split())[:300]


TAG = "jobctl"
_MOST_PAGES = 1000
_LONGEST_FILTER = 50
_BEGINNING = datetime(2023, 1, 1, tzinfo=UTC)
"""Before the first run that a Trigger.dev of this API has had."""


class TriggerDevClient:
    """One environment of one project, for one thread at a time.

    Every method raises ``RefusedError`` where the response is no success, and ``ServiceError`` where there was no
    response after all attempts.

    Args:
        wait: called with the seconds between attempts.
    """

    def __init__(
        self, account: Account, *, clock: Clock | None = None, wait: Callable[[float], object] | None = None
    ) -> None:
        self.account = account
        self._clock = clock or SystemClock()
        headers = {
            **authorization("Bearer", account.key, "TRIGGER_DEV_API_KEY"),
            "x-trigger-api-version": API_VERSION,
        }
        if account.branch:
            headers["x-trigger-branch"] = account.branch
        try:
            self._client = HttpClient(
                account.url,
                headers,
                name=f"Trigger.dev ({account.host})",
                timeout=TIMEOUT_S,
                retry=RETRY,
                wait=wait,
                clock=self._clock,
                use_proxy=False,
                keep_open=True,
            )
        except ServiceError:
            raise ConfigurationError("TRIGGER_DEV_API_URL is not a valid address") from None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    # Schedules

    def schedules(self) -> list[RemoteSchedule]:
        """All schedules of this environment, also those that jobctl did not make.

        The list is empty while the environment has no current worker, though schedules exist; ``schedule`` finds them.
        """
        schedules: list[RemoteSchedule] = []
        for page in range(1, _MOST_PAGES):
            found = self._call("GET", "/api/v1/schedules", query={"page": page, "perPage": PAGE})
            schedules += [RemoteSchedule.read(value) for value in _list(found, "data")]
            pages = _paging(found).get("totalPages")
            if not isinstance(pages, int) or page >= pages:
                break
        return schedules

    def schedule(self, key: str) -> RemoteSchedule | None:
        """The schedule with this deduplication key, or None."""
        found = self._call("GET", f"/api/v1/schedules/{escaped(key, safe='')}", missing_ok=True)
        return None if found is None else RemoteSchedule.read(found)

    def put_schedule(self, request: ScheduleRequest) -> RemoteSchedule:
        """Create a schedule, or update the one with its key; its task and whether it is active stay."""
        body = {
            "task": request.task,
            "cron": request.cron,
            "deduplicationKey": request.key,
            "externalId": request.task,
            "timezone": request.timezone,
            "window": request.window,
        }
        return RemoteSchedule.read(self._call("POST", "/api/v1/schedules", body=body))

    def set_active(self, schedule_id: str, *, active: bool) -> RemoteSchedule:
        """Activate or deactivate a schedule."""
        verb = "activate" if active else "deactivate"
        return RemoteSchedule.read(
            self._call("POST", f"/api/v1/schedules/{escaped(schedule_id, safe='')}/{verb}")
        )

    def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule; no error where it is deleted already."""
        self._call("DELETE", f"/api/v1/schedules/{escaped(schedule_id, safe='')}", missing_ok=True)

    def timezones(self) -> frozenset[str]:
        """The time zones that schedules may have."""
        return frozenset(map(str, _list(self._call("GET", "/api/v1/timezones"), "timezones")))

    # Runs

    def trigger(
        self,
        task: str,
        payload: Mapping[str, Any],
        *,
        max_duration: int | None = None,
        max_attempts: int | None = None,
        begins_at: datetime | None = None,
    ) -> str:
        """Start a run; returns its id.

        Args:
            task: the task's id.
            payload: JSON for the task.
            max_duration: of one attempt, in seconds of computing time, instead of the task's own.
            max_attempts: including the first, instead of the task's own.
            begins_at: not before this time; None is now.
        """
        # a new key for each call: a key of the job would return yesterday's completed run
        options: dict[str, Any] = {"idempotencyKey": f"jobctl-{uuid.uuid4()}", "tags": [TAG]}
        if max_duration is not None:
            options["maxDuration"] = max_duration
        if max_attempts is not None:
            options["maxAttempts"] = max_attempts
        if begins_at is not None:
            options["delay"] = iso(begins_at)
        path = f"/api/v1/tasks/{escaped(task, safe='')}/trigger"
        return _id_of(self._call("POST", path, body={"payload": dict(payload), "options": options}))

    def replay(self, run_id: str) -> str:
        """Start a run with the payload of an earlier one, on the current version of the worker; returns its id.

        It is sent once: the server recognizes no second request, and would start a second run.
        """
        path = f"/api/v1/runs/{escaped(run_id, safe='')}/replay"
        return _id_of(self._call("POST", path, retry=NO_RETRY))

    def cancel(self, run_id: str) -> None:
        """End a run; nothing happens where it has ended."""
        self._call("POST", f"/api/v2/runs/{escaped(run_id, safe='')}/cancel")

    def run(self, run_id: str) -> RemoteRun | None:
        """A run with its output and error, or None."""
        found = self._call("GET", f"/api/v3/runs/{escaped(run_id, safe='')}", missing_ok=True)
        return None if found is None else RemoteRun.read(found)

    def runs(
        self,
        tasks: Collection[str],
        *,
        statuses: Collection[str] = (),
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[RemoteRun]:
        """Runs of these tasks, newest first, read page by page. A run may be listed seconds after it started.

        Delayed runs are left out, unless ``statuses`` names them.
        """
        found = self._runs(tasks, statuses, since, min(PAGE, limit or PAGE))
        return list(islice(found, limit))

    def _runs(
        self, tasks: Collection[str], statuses: Collection[str], since: datetime | None, size: int
    ) -> Iterator[RemoteRun]:
        query: dict[str, str | int] = {"page[size]": max(10, size)}
        if len(tasks) <= _LONGEST_FILTER:  # a longer URL may be refused
            query["filter[taskIdentifier]"] = ",".join(tasks)
        if statuses:
            query["filter[status]"] = ",".join(statuses)
        # the server's default is one week
        query["filter[createdAt][from]"] = to_ms(since or _BEGINNING)
        for _ in range(_MOST_PAGES):
            found = self._call("GET", "/api/v1/runs", query=query)
            for value in _list(found, "data"):
                run = RemoteRun.read(value)
                if run.task in tasks and (statuses or run.status != DELAYED):
                    yield run
            after = _paging(found).get("next")
            if not isinstance(after, str):
                return
            query["page[after]"] = after

    def _call(
        self,
        method: Method,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        missing_ok: bool = False,
        retry: RetryPolicy | None = None,
    ) -> Any:
        """The JSON of the response; with ``missing_ok``, None where the response is 404."""
        # the same on each attempt: the server repeats the first response instead of doing it twice
        headers = {"x-trigger-request-idempotency-key": str(uuid.uuid4())}
        whole = f"{path}?{urlencode(query)}" if query else path
        response = self._client.call(whole, body, headers, method=method, retry=retry)
        if _has_json(response):
            return response.body
        if missing_ok and response.status == 404:
            return None
        raise self._refusal(response)

    def _refusal(self, response: Response) -> RefusedError:
        status, explanation = response.status, _explanation(response)
        hint: str | None = None
        if status == 401:
            text = "refuses the key"
            hint = "TRIGGER_DEV_API_KEY is wrong, revoked or of another project: copy it again from the page API keys"
        elif status == 403:
            text = "does not allow this key to do that"
            hint = "the key is restricted or expired: make a key without a preset"
        elif status == 429:
            seconds = _until_reset(response, self._clock)
            text = "has had too many requests" + (f"; again in {seconds:.0f} s" if seconds else "")
        elif status >= 500:
            text = f"has a fault: it answered {status}"
        elif 300 <= status < 400:
            text = f"answered {status}, a redirect, which is not followed"
            hint = "TRIGGER_DEV_API_URL must be the API's own address"
        elif response.is_success:
            text = f"answered {status} with something that is not JSON"
            hint = "TRIGGER_DEV_API_URL may lead to another server, or a proxy answers in its place"
        else:
            text = f"answered {status}"
        words = f": {quote(explanation, 300)}" if explanation and status not in {401, 429} else ""
        return RefusedError(
            f"Trigger.dev ({self.account.host}) {text}{words}", status, explanation, hint=hint
        )


def _list(answer: Any, name: str) -> list[Any]:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise ShapeError("a list")
    return found


def _id_of(answer: Any) -> str:
    """The id of a run that was started."""
    try:
        return str(answer["id"])
    except (KeyError, TypeError):
        raise ShapeError("a run") from None


def _paging(answer: Any) -> dict[str, Any]:
    found = answer.get("pagination") if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}
