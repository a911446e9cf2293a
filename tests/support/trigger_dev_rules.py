"""What Trigger.dev's API takes and how it answers: the rules of the test server."""

import itertools
import re
import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Any

from croniter import croniter

FINAL = ("COMPLETED", "CANCELED", "FAILED", "CRASHED", "SYSTEM_FAILURE", "TIMED_OUT", "EXPIRED")
_MACHINES = ("micro", "small-1x", "small-2x", "medium-1x", "medium-2x", "large-1x", "large-2x")


class RefusalError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.body = body if isinstance(body, dict) else {"error": body}


def check_schedule(body: Any) -> dict[str, Any]:
    """As ``CreateScheduleOptions`` parses it: what is optional may be left out, and not be null."""
    issues = [] if isinstance(body, dict) else ["object"]
    if not issues:
        issues = [one for one in ("task", "cron", "deduplicationKey") if not isinstance(body.get(one), str)]
        issues += [
            one
            for one in ("externalId", "timezone", "window")
            if one in body and not isinstance(body[one], str)
        ]
        if isinstance(body.get("window"), str) and not _window(body["window"]):
            issues.append("window")
    if issues:
        raise RefusalError(
            400, {"error": "Invalid request body", "issues": [{"path": [one]} for one in issues]}
        )
    return dict(body)


def _window(text: str) -> bool:
    found = re.fullmatch(r"(\d+)(m|h|%)", text)
    most = {"m": 1440, "h": 24, "%": 100}
    return bool(found) and 0 <= int(found[1]) <= most[found[2]] if found else False


def check_trigger(body: Any) -> dict[str, Any]:
    """As ``TriggerTaskRequestBody`` parses it; names that it does not know are passed over."""
    options = body.get("options", {}) if isinstance(body, dict) else None
    fine = isinstance(options, dict)
    if fine and options is not None:
        kinds: dict[str, Any] = {
            "queue": lambda one: isinstance(one, dict) and isinstance(one.get("name"), str),
            "idempotencyKey": lambda one: isinstance(one, str) and len(one) <= 2048,
            "delay": lambda one: one is None or isinstance(one, str | int | float),
            "maxDuration": _is_number,
            "maxAttempts": lambda one: _is_number(one) and one == int(one),
            "machine": lambda one: one in _MACHINES,
            "tags": lambda one: all(isinstance(each, str) and len(each) <= 128
                                    for each in (one if isinstance(one, list) else [one])),
            "ttl": lambda one: isinstance(one, str) or (_is_number(one) and one >= 0 and one == int(one)),
        }  # fmt: skip
        fine = all(kinds[name](value) for name, value in options.items() if name in kinds)
    if not fine:
        raise RefusalError(400, "Invalid request body")
    return dict(body)


def delayed_until(delay: Any) -> datetime | None:
    """As ``parseDelay`` reads the option: a number is a date in 1970, and neither that nor a past date delays a run."""
    if not isinstance(delay, str) or not delay:
        return None
    try:
        until = datetime.fromisoformat(delay)
    except ValueError:
        spans = re.fullmatch(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", delay)
        if spans is None:
            raise RefusalError(422, f"Invalid delay {delay}") from None
        weeks, days, hours, minutes, seconds = (int(one or 0) for one in spans.groups())
        span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        return now() + span
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return until if until > now() else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_cron(text: str) -> None:
    """The webapp's rule: split at single blanks, at most five parts, then cron-parser."""
    if len(text.split(" ")) > 5:
        raise RefusalError(422, "CRON expressions with seconds are not allowed")
    if not croniter.is_valid(text):
        raise RefusalError(422, f"Invalid CRON expression: {text}")


def check_hourly(text: str) -> None:
    """The free plan's rule (``freeSchedulePolicy.server.ts``)."""
    times = croniter(text, datetime(2026, 1, 1, tzinfo=UTC))
    instants = [times.get_next(float) for _ in range(100)]
    if min(after - before for before, after in itertools.pairwise(instants)) < 3600:
        raise RefusalError(
            422,
            "Free plan is limited to hourly schedules or less. Change the cron expression or upgrade before saving"
            " this schedule.",
        )


def known_zones() -> set[str]:
    """Node's list of zones, which has some by their older names."""
    renamed = {
        "Asia/Kolkata": "Asia/Calcutta",
        "Asia/Kathmandu": "Asia/Katmandu",
        "America/Nuuk": "America/Godthab",
    }
    return {"UTC"} | (zoneinfo.available_timezones() - renamed.keys())


def shown(kept: dict[str, Any], *, windows: bool, free: bool) -> dict[str, Any]:
    """A schedule as the API has it."""
    after = croniter(kept["cron"], datetime.now(zoneinfo.ZoneInfo(kept["timezone"]))).get_next(datetime)
    found = {
        "id": kept["id"], "type": kept["type"], "task": kept["task"], "active": kept["active"],
        "deduplicationKey": kept["key"], "externalId": kept["externalId"], "timezone": kept["timezone"],
        "generator": {"type": "CRON", "expression": kept["cron"], "description": "as written"},
        "nextRun": iso(after) if kept["active"] else None,
        "environments": [{"id": "env_1", "type": kept["environment"], "userName": None}],
    }  # fmt: skip
    if windows:
        found["nextRunEffectiveAt"] = found["nextRun"]
        if kept["window"] is not None:
            found["window"] = _written(kept["window"])
    if free:
        found["appliedSchedulePolicy"] = {"minimumWindowSeconds": 3600, "reason": "free_schedule"}
    return found


def _written(window: str) -> str:
    """As the server keeps it: whole hours where it can."""
    minutes = int(window[:-1]) * (60 if window[-1] == "h" else 1) if window[-1] != "%" else 0
    return f"{minutes // 60}h" if minutes and minutes % 60 == 0 else window


def shown_run(run_id: str, run: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """A run as the API has it; its flags are false for runs that expired or ran out of time."""
    status = run["status"]
    spent = (
        (run["finished"] - run["started"]).total_seconds() * 1000 if run["finished"] and run["started"] else 0
    )
    found: dict[str, Any] = {
        "id": run_id, "status": status, "taskIdentifier": run["task"], "tags": run.get("tags", []), "isTest": False,
        "isQueued": status in {"QUEUED", "PENDING_VERSION", "DELAYED"}, "isExecuting": status == "EXECUTING",
        "isWaiting": status == "WAITING", "isCompleted": status in {"COMPLETED", "FAILED", "CRASHED", "CANCELED"},
        "isSuccess": status == "COMPLETED", "isFailed": status in {"FAILED", "CRASHED", "SYSTEM_FAILURE"},
        "isCancelled": status == "CANCELED", "createdAt": iso(run["created"]), "updatedAt": iso(run["created"]),
        "costInCents": 0, "baseCostInCents": 0, "durationMs": spent, "version": "20261123.1",
    }  # fmt: skip
    found.update({name: iso(run[short]) for name, short in (("startedAt", "started"), ("finishedAt", "finished"),
                                                         ("delayedUntil", "delayed")) if run.get(short)})  # fmt: skip
    if run["key"]:
        found["idempotencyKey"] = run["key"]
    if not whole:
        return {**found, "env": {"id": "env_1", "name": "Production"}}
    found.update(
        {"depth": 0, "triggerFunction": "trigger", "relatedRuns": {}, "attempts": [], "attemptCount": 1}
    )
    if run.get("payload") is not None:
        found["payload"] = run["payload"]
    if run.get("schedule"):
        generator = {"type": "CRON", "expression": "0 9 * * *", "description": "as written"}
        found["schedule"] = {"id": run["schedule"], "generator": generator}
    if status == "COMPLETED" and run["output"] is not None:
        found["output"] = run["output"]
    if status not in {"COMPLETED", "CANCELED"} and status in FINAL and run["error"]:
        found["error"] = {"message": run["error"], "name": "Error"}
    return found


def now() -> datetime:
    return datetime.now(UTC)


def iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
