"""What Trigger.dev keeps, as values: read from its JSON, refused where that is not its API's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from jobctl.errors import ServiceError

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


class ShapeError(ServiceError):
    """An answer that is JSON, but not what the API answers."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"Trigger.dev answered with {what} that jobctl cannot read",
            hint="its version may be older or newer than the API of 2025-07-16",
        )


@dataclass(frozen=True, slots=True)
class RemoteSchedule:
    """A schedule there. ``declared``: it stands in the worker's code, and is not ours to change.

    ``next_run`` is when it will really begin, where that is not its nominal time.
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
                # the engine gives the runs of its schedules no idempotency key, and we give ours one
                by_hand=bool(value.get("idempotencyKey") or value.get("isTest")),
                attempts=max(1, int(value.get("attemptCount") or 1)),
                output=value.get("output"),
                error=_text(error["message"]) if isinstance(error, Mapping) else None,
            )
        except _UNREADABLE:
            raise ShapeError("a run") from None


def instant(text: Any) -> datetime | None:
    """An aware time in UTC from ISO 8601; None for null."""
    if text is None:
        return None
    found = datetime.fromisoformat(_text(text))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
