"""The endpoints that jobctl uses, each as a method: https://trigger.dev/docs/management/overview."""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote as escaped

from jobctl.clock import Clock, to_ms
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.connection import Connection, RefusedError
from jobctl.trigger_dev.wire import RemoteRun, RemoteSchedule, ShapeError

PAGE = 100
"""The most that one page holds."""
TAG = "jobctl"
_MOST_PAGES = 1000
_LONGEST_FILTER = 50
_BEGINNING = datetime(2023, 1, 1, tzinfo=UTC)
"""Before the first run that a Trigger.dev of this API has had."""


class Wanted(NamedTuple):
    """A schedule as it should be. Creating or updating one replaces everything that is left out."""

    task: str
    key: str
    cron: str
    timezone: str
    window: str = "0m"


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
