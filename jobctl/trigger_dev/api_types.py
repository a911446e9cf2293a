"""Schedules and runs of Trigger.dev, decoded from the JSON of its API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from jobctl.errors import ServiceError

PAGE = 100
"""The maximum number of entries on a page."""
DELAYED = "DELAYED"
"""The status of a run until its delay is over."""
_DECODE_ERRORS = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


class RefusedError(ServiceError):
    """The response is no success.

    Attributes:
        status: of HTTP.
        explanation: the server's, or an empty text.
    """

    def __init__(self, message: str, status: int, explanation: str = "", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.explanation = explanation


class ShapeError(ServiceError):
    """The response is JSON, but not as the API describes it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"Trigger.dev answered with {what} that jobctl cannot read",
            hint="its version may be older or newer than the API of 2025-07-16",
        )


class ScheduleRequest(NamedTuple):
    """A schedule to create or update."""

    task: str
    key: str
    cron: str
    timezone: str
    window: str = "0m"


@dataclass(frozen=True, slots=True)
class RemoteSchedule:
    """A schedule of Trigger.dev.

    Attributes:
        declared: it is in the worker's code, and jobctl does not change it.
        next_run: when it will start, which may be later than its nominal time.
        window: its runs start spread over this time, such as ``30m``; None: no window.
        has_windows: the server supports windows.
        minimum_window: the least window of the account's plan, in seconds; None: none.
    """

    id: str
    task: str
    active: bool
    key: str
    external_id: str | None
    cron: str
    timezone: str
    declared: bool
    next_run: datetime | None
    window: str | None = None
    has_windows: bool = False
    minimum_window: int | None = None

    @classmethod
    def read(cls, value: Any) -> Self:
        """Decode a schedule, or raise ``ShapeError``."""
        try:
            return cls(
                id=_text(value["id"]),
                task=_text(value["task"]),
                active=value["active"] is True,
                key=_text(value.get("deduplicationKey") or ""),
                external_id=value.get("externalId"),
                cron=_text(value["generator"]["expression"]),
                timezone=_text(value["timezone"]),
                declared=value["type"] == "DECLARATIVE",
                next_run=instant(value.get("nextRunEffectiveAt") or value.get("nextRun")),
                window=_text(value["window"]) if value.get("window") is not None else None,
                has_windows=bool({"window", "nextRunEffectiveAt"} & value.keys()),
                minimum_window=_seconds(value.get("appliedSchedulePolicy")),
            )
        except _DECODE_ERRORS:
            raise ShapeError("a schedule") from None


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """A run of Trigger.dev. A run from a list has neither ``output`` nor ``error`` nor ``arguments``."""

    id: str
    task: str
    status: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    manual: bool
    attempts: int
    output: Any
    error: str | None
    delayed_until: datetime | None = None
    arguments: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, value: Any) -> Self:
        """Decode a run, or raise ``ShapeError``."""
        try:
            created = instant(value["createdAt"])
            if created is None:
                raise ValueError
            error, payload = value.get("error"), value.get("payload")
            arguments = payload.get("arguments") if isinstance(payload, Mapping) else None
            return cls(
                id=_text(value["id"]),
                task=_text(value["taskIdentifier"]),
                status=_text(value["status"]),
                created_at=created,
                started_at=instant(value.get("startedAt")),
                finished_at=instant(value.get("finishedAt")),
                manual=not _is_scheduled(value),
                attempts=max(1, int(value.get("attemptCount") or 1)),
                output=value.get("output"),
                error=_text(error["message"]) if isinstance(error, Mapping) else None,
                delayed_until=instant(value.get("delayedUntil")),
                arguments=arguments if isinstance(arguments, Mapping) else None,
            )
        except _DECODE_ERRORS:
            raise ShapeError("a run") from None


def _is_scheduled(value: Mapping[str, Any]) -> bool:
    """Whether a schedule started a run. Only the response for a single run says so.

    For a run from a list: Trigger.dev gives runs of a schedule neither tags nor an idempotency key, and their nominal
    time, a whole minute, as creation time. Runs that were triggered by an SDK or the API have it to the millisecond.
    """
    if "triggerFunction" in value or "schedule" in value:
        return value.get("schedule") is not None
    created = instant(value["createdAt"])
    whole = created is not None and created.second == 0 and created.microsecond == 0
    return whole and not (value.get("idempotencyKey") or value.get("isTest") or value.get("tags"))


def instant(text: Any) -> datetime | None:
    """An aware time in UTC from ISO 8601; None for null."""
    if text is None:
        return None
    found = datetime.fromisoformat(_text(text))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _seconds(policy: Any) -> int | None:
    """The least window of a plan's policy."""
    found = policy["minimumWindowSeconds"] if policy is not None else None
    return None if found is None else min(max(0, int(found)), 24 * 3600)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
