"""Requests to Trigger.dev: tried again where that is safe and may help, and every failure one sentence.

The policy is that of the official SDK (``@trigger.dev/core``, ``zodfetch``): ``x-should-retry`` decides where
it is sent; else no answer, 408, 409, 429 and 5xx are tried three times, 1 s apart and doubling, a 429 after
the reset that it names. Ours adds a limit to the whole wait. Every request may be repeated: one that writes
carries a key by which the server knows it again.
"""

import json
import random
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count, islice
from math import isfinite
from typing import Any, Literal, NamedTuple, NoReturn
from urllib.parse import quote as escaped

from jobctl.clock import Clock, SystemClock, to_ms
from jobctl.errors import ConfigurationError, NotRunError, ServiceError, install_hint
from jobctl.settings.masking import Mask
from jobctl.text import quote
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.wire import PAGE, RefusedError, RemoteRun, RemoteSchedule, ShapeError, Wanted

try:
    import httpx2
except ModuleNotFoundError as missing:
    raise NotRunError(
        f"Trigger.dev cannot be asked: the package {missing.name} is not installed",
        hint=install_hint("trigger-dev"),
    ) from missing

API_VERSION = "2025-07-16"
"""Without it the server answers in an older vocabulary of run statuses."""
TRIES = 3
CONNECT_S, READ_S, WHOLE_S = 10.0, 30.0, 60.0
LONGEST_WAIT_S = 60.0
_LARGEST = 16 * 1024 * 1024  # an output may have 10 MB
_AGAIN = {408, 409, 429}

Method = Literal["GET", "POST", "DELETE"]
Query = Mapping[str, str | int]


class Answer(NamedTuple):
    """What came back. ``body`` is JSON of any kind; None where it was none."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def fine(self) -> bool:
        """A success with JSON in it."""
        return 200 <= self.status < 300 and self.body is not None

    @property
    def broken(self) -> bool:
        """Called a success, with something else in it."""
        return 200 <= self.status < 300 and self.body is None

    @property
    def said(self) -> str:
        """The server's own words for what is wrong, on one line; empty where it has none."""
        body = self.body if isinstance(self.body, dict) else {}
        text = next((body[one] for one in ("error", "detail", "title") if isinstance(body.get(one), str)), "")
        return " ".join(text.split())[:300]


class Connection:
    """One connection pool to one account; usable from one thread at a time.

    Args:
        wait: between tries; takes seconds.
    """

    def __init__(
        self, account: Account, *, clock: Clock | None = None, wait: Callable[[float], object] | None = None
    ) -> None:
        self.account = account
        self._clock = clock or SystemClock()
        self._wait = wait or threading.Event().wait
        self._mask = Mask([account.key.reveal()])
        headers = {
            "Authorization": f"Bearer {account.key.reveal()}",
            "Accept": "application/json",
            "User-Agent": "jobctl",
            "x-trigger-api-version": API_VERSION,
        }
        if account.branch:
            headers["x-trigger-branch"] = account.branch
        try:
            self._client = httpx2.Client(
                base_url=account.url,
                headers=headers,
                timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
                follow_redirects=False,  # a redirect would take the key to somewhere else
                trust_env=False,  # and so would a proxy that nobody here knows of
                verify=_authorities(account),
            )
        except httpx2.InvalidURL:
            raise ConfigurationError("TRIGGER_DEV_API_URL is no address") from None

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def call(self, method: Method, path: str, *, query: Query | None = None, body: object = None) -> Any:
        """The JSON of the answer.

        Raises:
            RefusedError: the answer is no success; the message says what it is.
            ServiceError: there was none, after all tries.
        """
        answer = self._tried(method, path, query or {}, body)
        if answer.fine:
            return answer.body
        raise self._refusal(answer)

    def _tried(self, method: Method, path: str, query: Query, body: object) -> Answer:
        # the same on each try: the server gives the first answer again instead of doing it twice
        headers = {"x-trigger-request-idempotency-key": str(uuid.uuid4())}
        waited = 0.0
        for number in count(1):
            found = self._once_or_error(method, path, query, body, headers)
            pause = self._pause(found, number) if number < TRIES else None
            if pause is None or waited + pause > LONGEST_WAIT_S:
                if isinstance(found, ServiceError):
                    raise found
                return found
            waited += pause
            self._wait(pause)
        raise AssertionError("the tries end above")

    def _once_or_error(
        self, method: Method, path: str, query: Query, body: object, headers: Mapping[str, str]
    ) -> Answer | ServiceError:
        try:
            return self._once(method, path, query, body, headers)
        except httpx2.HTTPError as error:
            return ServiceError(f"Trigger.dev ({self.account.host}) {_reason(error)}")

    def _once(
        self, method: Method, path: str, query: Query, body: object, headers: Mapping[str, str]
    ) -> Answer:
        begun = self._clock.monotonic()
        data = bytearray()
        with self._client.stream(method, path, params=query, json=body, headers=headers) as response:
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > _LARGEST or self._clock.monotonic() - begun > WHOLE_S:
                    raise httpx2.ReadTimeout("the answer has no end")
        try:
            text = self._mask(data.decode("utf-8", "replace"))  # a server may repeat the key
            found = json.loads(text, parse_constant=_no_json, parse_float=_finite)
        except (ValueError, RecursionError):
            found = None
        return Answer(response.status_code, found, response.headers)

    def _pause(self, found: Answer | ServiceError, number: int) -> float | None:
        """Seconds until the next try; None where another one is of no use."""
        backoff = min(LONGEST_WAIT_S, 2.0 ** (number - 1)) * (1 + random.random() / 10)
        if isinstance(found, ServiceError):
            return backoff
        if found.fine:
            return None
        told = found.headers.get("x-should-retry")
        again = found.status in _AGAIN or found.status >= 500 or found.broken
        if told == "false" or (told != "true" and not again):
            return None
        asked = self._until_reset(found) if found.status == 429 else None
        return backoff if asked is None else asked + random.random()

    def _until_reset(self, answer: Answer) -> float | None:
        """What a 429 asks for: ``x-ratelimit-reset`` in milliseconds since 1970, or ``retry-after`` in seconds."""
        reset, after = (_number(answer.headers.get(one)) for one in ("x-ratelimit-reset", "retry-after"))
        if reset is not None:
            return max(0.0, reset / 1000 - self._clock.now().timestamp())
        return after

    def _refusal(self, answer: Answer) -> RefusedError:
        status, said = answer.status, answer.said
        hint: str | None = None
        if status == 401:
            text = "refuses the key"
            hint = "TRIGGER_DEV_API_KEY is wrong, revoked or of another project: take it anew from the page API keys"
        elif status == 403:
            text = "does not allow this key to do that"
            hint = "the key is restricted or expired: make one without a preset"
        elif status == 429:
            seconds = self._until_reset(answer)
            text = "has had too many requests" + (f"; again in {seconds:.0f} s" if seconds else "")
        elif status >= 500:
            text = f"is in trouble: it answered {status}"
        elif 300 <= status < 400:
            text = f"answered {status}, a redirect, which is not followed"
            hint = "TRIGGER_DEV_API_URL must be the API's own address"
        elif answer.broken:
            text = f"answered {status} with something that is not JSON"
            hint = "TRIGGER_DEV_API_URL may lead to another server, or a proxy answers in its place"
        else:
            text = f"answered {status}"
        words = f": {quote(said, 300)}" if said and status not in {401, 429} else ""
        return RefusedError(f"Trigger.dev ({self.account.host}) {text}{words}", status, said, hint=hint)


def _authorities(account: Account) -> Any:
    """The system's, or those of ``SSL_CERT_FILE``; made only where they are needed."""
    if not account.url.lower().startswith("https"):
        return False
    import ssl

    return ssl.create_default_context()


def _no_json(text: str) -> NoReturn:
    """``NaN`` and ``Infinity``, which Python's reader takes, and which no other would take from us."""
    raise ValueError(text)


def _finite(text: str) -> float:
    found = float(text)
    return found if isfinite(found) else _no_json(text)


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 0 <= found < 1e15 else None


def _reason(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "did not answer in time"
    text = str(error.__cause__ or error).lower()
    if isinstance(error, httpx2.ConnectError):
        if "refused" in text:
            return "did not answer: the connection was refused"
        if "certificate" in text:
            return "shows a certificate that is not trusted here; SSL_CERT_FILE may name its authority"
        if "name" in text or "address" in text:
            return "cannot be found: its name has no address"
        return "cannot be reached"
    if isinstance(error, httpx2.ReadError | httpx2.RemoteProtocolError | httpx2.WriteError):
        return "broke off in the middle of an answer"
    return f"did not answer: {type(error).__name__}"


TAG = "jobctl"
_MOST_PAGES = 1000
_LONGEST_FILTER = 50
_BEGINNING = datetime(2023, 1, 1, tzinfo=UTC)
"""Before the first run that a Trigger.dev of this API has had."""


class TriggerDev:
    """One environment of one project. Errors of every method: ``RefusedError``, ``ServiceError``."""

    def __init__(
        self, account: Account, *, clock: Clock | None = None, wait: Callable[[float], object] | None = None
    ) -> None:
        self.account = account
        self._connection = Connection(account, clock=clock, wait=wait)

    def close(self) -> None:
        """Let go of the connections."""
        self._connection.close()

    # Schedules

    def schedules(self) -> list[RemoteSchedule]:
        """All of this environment, also foreign ones.

        While the environment has no current worker the list is empty, though schedules exist: ``schedule``
        finds them all the same.
        """
        found: list[RemoteSchedule] = []
        for page in range(1, _MOST_PAGES):
            answer = self._connection.call("GET", "/api/v1/schedules", query={"page": page, "perPage": PAGE})
            found += [RemoteSchedule.read(one) for one in _list(answer, "data")]
            pages = _paging(answer).get("totalPages")
            if not isinstance(pages, int) or page >= pages:
                break
        return found

    def schedule(self, key: str) -> RemoteSchedule | None:
        """The one with this deduplication key, or None."""
        try:
            return RemoteSchedule.read(
                self._connection.call("GET", f"/api/v1/schedules/{escaped(key, safe='')}")
            )
        except RefusedError as refused:
            if refused.status == 404:
                return None
            raise

    def put_schedule(self, wanted: Wanted) -> RemoteSchedule:
        """Create it, or bring the one with its key up to date: all but its task and whether it is active."""
        body = {
            "task": wanted.task,
            "cron": wanted.cron,
            "deduplicationKey": wanted.key,
            "externalId": wanted.task,
            "timezone": wanted.timezone,
            "window": wanted.window,
        }
        return RemoteSchedule.read(self._connection.call("POST", "/api/v1/schedules", body=body))

    def set_active(self, schedule_id: str, *, active: bool) -> RemoteSchedule:
        """Put a schedule in force, or out of it."""
        verb = "activate" if active else "deactivate"
        return RemoteSchedule.read(
            self._connection.call("POST", f"/api/v1/schedules/{escaped(schedule_id, safe='')}/{verb}")
        )

    def delete_schedule(self, schedule_id: str) -> None:
        """Remove a schedule; one that is gone already is none's fault."""
        try:
            self._connection.call("DELETE", f"/api/v1/schedules/{escaped(schedule_id, safe='')}")
        except RefusedError as refused:
            if refused.status != 404:
                raise

    def timezones(self) -> frozenset[str]:
        """The zones that schedules may name."""
        return frozenset(map(str, _list(self._connection.call("GET", "/api/v1/timezones"), "timezones")))

    # Runs

    def trigger(
        self,
        task: str,
        payload: Mapping[str, Any],
        *,
        max_duration: int | None = None,
        max_attempts: int | None = None,
    ) -> str:
        """Start a run; its id.

        Args:
            task: the task's id.
            payload: what the task gets: JSON.
            max_duration: of one attempt, in seconds of computing, instead of the task's own.
            max_attempts: the first one counted, instead of the task's own.
        """
        # one key a call: a key of the job's would give yesterday's completed run back
        options: dict[str, Any] = {"idempotencyKey": f"jobctl-{uuid.uuid4()}", "tags": [TAG]}
        if max_duration is not None:
            options["maxDuration"] = max_duration
        if max_attempts is not None:
            options["maxAttempts"] = max_attempts
        path = f"/api/v1/tasks/{escaped(task, safe='')}/trigger"
        answer = self._connection.call("POST", path, body={"payload": dict(payload), "options": options})
        try:
            return str(answer["id"])
        except (KeyError, TypeError):
            raise ShapeError("a run") from None

    def run(self, run_id: str) -> RemoteRun | None:
        """One run with its output and error; None where there is none."""
        try:
            return RemoteRun.read(self._connection.call("GET", f"/api/v3/runs/{escaped(run_id, safe='')}"))
        except RefusedError as refused:
            if refused.status == 404:
                return None
            raise

    def runs(
        self,
        tasks: Collection[str],
        *,
        statuses: Collection[str] = (),
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[RemoteRun]:
        """Runs of these tasks, newest first, read page by page. A run may be listed seconds after it began."""
        found = self._runs(tasks, statuses, since, min(PAGE, limit or PAGE))
        return list(islice(found, limit))

    def _runs(
        self, tasks: Collection[str], statuses: Collection[str], since: datetime | None, size: int
    ) -> Iterator[RemoteRun]:
        query: dict[str, str | int] = {"page[size]": max(10, size)}
        if len(tasks) <= _LONGEST_FILTER:  # more would make an address that servers refuse
            query["filter[taskIdentifier]"] = ",".join(tasks)
        if statuses:
            query["filter[status]"] = ",".join(statuses)
        # without it the server goes back for a week alone
        query["filter[createdAt][from]"] = to_ms(since or _BEGINNING)
        for _ in range(_MOST_PAGES):
            answer = self._connection.call("GET", "/api/v1/runs", query=query)
            for one in _list(answer, "data"):
                run = RemoteRun.read(one)
                if run.task in tasks:
                    yield run
            after = _paging(answer).get("next")
            if not isinstance(after, str):
                return
            query["page[after]"] = after


def _list(answer: Any, name: str) -> list[Any]:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise ShapeError("a list")
    return found


def _paging(answer: Any) -> dict[str, Any]:
    found = answer.get("pagination") if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}
