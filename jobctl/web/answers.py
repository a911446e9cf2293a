"""What an endpoint answers: the shapes of the original's routes, one a route, from a run or from what went wrong."""

from datetime import datetime
from typing import Any, NamedTuple, Protocol

from jobctl.clock import iso
from jobctl.documents import trigger_document
from jobctl.durations import milliseconds
from jobctl.errors import AlreadyRunningError, JobctlError, NotRunError, StoreError, UnknownJobError
from jobctl.model import Run, RunStatus

HIDDEN = "the run failed; its log says why"


class Answer(NamedTuple):
    """A status and a JSON body."""

    status: int
    body: dict[str, Any]


class Shape(Protocol):
    """How a route tells what came of it. ``detail`` says whether errors may be shown: in development only."""

    def ended(self, run: Run, *, detail: bool) -> Answer:
        """The run has ended."""

    def refused(self, status: int, message: str, now: datetime) -> Answer:
        """Nothing was run, and why."""


def status_of(error: JobctlError) -> int:
    """404 for an unknown job, 409 where it is running, 503 where it cannot run now, else 500."""
    if isinstance(error, StoreError) and error.transient:
        return 503
    kinds = ((UnknownJobError, 404), (AlreadyRunningError, 409), (NotRunError, 503))
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


class Sync:
    """``/api/cron/sync``."""

    def ended(self, run: Run, *, detail: bool) -> Answer:
        """200 or 500."""
        done = run.status is RunStatus.COMPLETED
        result = _result(run)
        body = {
            "success": done,
            "timestamp": iso(run.finished_at or run.started_at),
            "duration": milliseconds(run.duration),
            "message": (result.get("message") or "content is in step") if done else _why(run, detail=detail),
        }
        return Answer(200 if done else 500, {**body, "details": result.get("details")} if result else body)

    def refused(self, status: int, message: str, now: datetime) -> Answer:
        """The same shape."""
        return Answer(status, {"success": False, "timestamp": iso(now), "duration": 0, "message": message})


class Reminders:
    """``/api/cron/subscription-reminders``."""

    def ended(self, run: Run, *, detail: bool) -> Answer:
        """200, 207 where some mails were refused, or 500."""
        result = _result(run)
        if not result:
            return Answer(500, {"success": False, "error": _why(run, detail=detail)})
        done = run.status is RunStatus.COMPLETED
        counts = {name: result.get(name, 0) for name in ("processed", "successful", "failed")}
        body = {
            "message": result.get("message") or "",
            "success": done,
            **counts,
            "errors": result.get("errors", []) if detail else [],
            "duration": milliseconds(run.duration),
        }
        if done:
            return Answer(200, body)
        return Answer(207, {**body, "error": _why(run, detail=detail)})

    def refused(self, status: int, message: str, now: datetime) -> Answer:
        """``error`` alone where nobody may call, with ``success`` elsewhere."""
        del now
        return Answer(status, {"error": message} if status == 401 else {"success": False, "error": message})


class Expiration:
    """``/api/cron/subscription-expiration``."""

    def ended(self, run: Run, *, detail: bool) -> Answer:
        """200 or 500."""
        result = _result(run)
        done = run.status is RunStatus.COMPLETED
        if not done:
            return Answer(500, {"success": False, "message": _why(run, detail=detail)})
        data = {
            "processed": result.get("processed", 0),
            "affectedUsers": (result.get("details") or {}).get("affected", []),
            "errors": result.get("errors", []) if detail else [],
        }
        return Answer(200, {"success": True, "message": result.get("message") or "", "data": data})

    def refused(self, status: int, message: str, now: datetime) -> Answer:
        """``message``."""
        del now
        return Answer(status, {"success": False, "message": message})


class Plain:
    """``/api/cron/jobs/{id}``: the document of ``trigger --json``."""

    def ended(self, run: Run, *, detail: bool) -> Answer:
        """200 or 500."""
        done = run.status is RunStatus.COMPLETED
        document = trigger_document(run)
        if not (done or detail):
            document |= {"error": _why(run, detail=False), "result": None}
        return Answer(200 if done else 500, {"success": done, **document})

    def refused(self, status: int, message: str, now: datetime) -> Answer:
        """``error``."""
        del now
        return Answer(status, {"success": False, "error": message})


def _result(run: Run) -> dict[str, Any]:
    return run.result if isinstance(run.result, dict) else {}


def _why(run: Run, *, detail: bool) -> str:
    return (run.error or str(run.reason)) if detail else HIDDEN
