"""What Trigger.dev keeps, as values: read from its JSON, refused where that is not its API's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from jobctl.errors import ServiceError

PAGE = 100
"""The most that one page holds."""
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


class RefusedError(ServiceError):
    """Trigger.dev answered, and not with what was asked for. ``status`` is the HTTP one."""

    def __init__(self, message: str, status: int, said: str = "", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.said = said


class ShapeError(ServiceError):
    """An answer that is JSON, but not what the API answers."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"Trigger.dev answered with {what} that jobctl cannot read",
            hint="its version may be older or newer than the API of 2025-07-16",
        )


class Wanted(NamedTuple):
    """A schedule as it should be. Creating or updating one replaces everything that is left out."""

    task: str
    key: str
    cron: str
    timezone: str
    window: str = "0m"


@dataclass(frozen=True, slots=True)
class RemoteSchedule:
    """A schedule there.

    Attributes:
        declared: it stands in the worker's code, and is not ours to change.
        next_run: when it will really begin, where that is not its nominal time.
        window: within which its times are spread, such as ``30m``; None where there is none.
        has_windows: whether the server knows windows.
        minimum_window: in seconds, what the plan spreads them by at least; None where it does not.
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
        """One schedule of the API.

        Raises:
            ShapeError: it is none.
        """
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
        except _UNREADABLE:
            raise ShapeError("a schedule") from None


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """A run there. ``output`` and ``error`` are told for a single run only, never in a list."""

    id: str
    task: str
    status: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    by_hand: bool
    attempts: int
    output: Any
    error: str | None

    @classmethod
    def read(cls, value: Any) -> Self:
        """One run of the API.

        Raises:
            ShapeError: it is none.
        """
        try:
            created = instant(value["createdAt"])
            if created is None:
                raise ValueError
            error = value.get("error")
            return cls(
                id=_text(value["id"]),
                task=_text(value["taskIdentifier"]),
                status=_text(value["status"]),
                created_at=created,
                started_at=instant(value.get("startedAt")),
                finished_at=instant(value.get("finishedAt")),
                by_hand=not _is_scheduled(value),
                attempts=max(1, int(value.get("attemptCount") or 1)),
                output=value.get("output"),
                error=_text(error["message"]) if isinstance(error, Mapping) else None,
            )
        except _UNREADABLE:
            raise ShapeError("a run") from None


def _is_scheduled(value: Mapping[str, Any]) -> bool:
    """Whether a schedule started a run, which only the answer for a single run says for certain.

    In a list: the engine gives such runs neither tags nor an idempotency key, dates them by their nominal time,
    a whole minute, and starts none from another run. What is triggered by an SDK or the API is dated to the millisecond.
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
    """What a plan's policy spreads times by at least."""
    found = policy["minimumWindowSeconds"] if policy is not None else None
    return None if found is None else min(max(0, int(found)), 24 * 3600)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
