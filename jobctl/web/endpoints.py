"""The cron endpoints: their paths, their jobs, and their responses.

The three paths of the Ever Works site respond in its own formats. Outside development, errors are reported by their kind
alone.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from jobctl.durations import milliseconds
from jobctl.errors import (
    AlreadyRunningError,
    ConfigurationError,
    JobctlError,
    SlotTakenError,
    StoreError,
    UnknownJobError,
    UnknownRunError,
    UsageError,
)
from jobctl.json_documents import trigger_document
from jobctl.model import Reason, Run, RunStatus

_KINDS = {
    Reason.ERROR: "the job failed",
    Reason.TIMEOUT: "the job took too long",
    Reason.CRASHED: "the process of the job crashed",
    Reason.LOST: "the process of the job was lost",
    Reason.INTERRUPTED: "the job was interrupted",
    Reason.CANCELLED: "the job was cancelled",
}
_IN_JOB = "a part of the job failed"
JOBS_PATH = "/api/cron/jobs/"


def _timestamp(instant: datetime) -> str:
    """In the format of JavaScript's ``toISOString``, which the site uses."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Reply(NamedTuple):
    """A status and a JSON body."""

    status: int
    body: dict[str, Any]


class EndpointFormat:
    """The response format of an endpoint; this one, the document of ``trigger --json``, is of ``/api/cron/jobs/{id}``.

    Attributes:
        unauthorized: the message for a caller without the secret.
        not_run: the status if scheduling is disabled or something is not configured.
        allows_bare_secret: whether the secret is also accepted without ``Bearer``.
        runs_if_disabled: whether a call runs the job although scheduling is disabled.
    """

    unauthorized = "Unauthorized"
    not_run = 503
    allows_bare_secret = False
    runs_if_disabled = False

    def ended(self, run: Run, *, detail: bool) -> Reply:
        """The reply for a run that has ended. ``detail`` is whether errors are shown: only in development."""
        done = run.status is RunStatus.COMPLETED
        document = trigger_document(run)
        if not (done or detail):
            document |= {"error": _why(run, detail=False), "result": None}
        return Reply(200 if done else 500, {"success": done, **document})

    def excluded(self, run: Run) -> Reply:
        """The reply for a slot on an excluded date."""
        return Reply(200, {"success": True, **trigger_document(run)})

    def refused(self, status: int, message: str, now: datetime) -> Reply:
        """The reply if no run was started, and why."""
        del now
        return Reply(status, {"success": False, "error": message})

    def skipped(self, now: datetime) -> Reply | None:
        """The reply instead of a run if scheduling is disabled in development; None if there is none."""
        del now
        return None


def pending(reply_format: EndpointFormat, run: Run, now: datetime, *, detail: bool) -> Reply:
    """The reply for a run that continues in the background: 202, with ``pending`` and ``run_id``."""
    state = f"run {run.short_id} has not ended after {round((now - run.started_at).total_seconds())}s"
    failed = ""
    if run.attempt > 1:
        failed = f"; attempt {run.attempt - 1} failed" + (f": {run.error}" if detail and run.error else "")
    body = reply_format.refused(202, f"{state}{failed}; it continues in the background", now).body
    return Reply(202, {**body, "pending": True, "run_id": run.id})


def status_of(error: JobctlError) -> int:
    """404 for an unknown job or run, 400 for wrong arguments, 409 if it is running or was run, 503 if the run store does not answer, else 500."""
    if isinstance(error, StoreError) and error.transient:
        return 503
    kinds = (
        (UnknownJobError, 404),
        (UnknownRunError, 404),
        (ConfigurationError, 500),
        (UsageError, 400),
        (AlreadyRunningError, 409),
        (SlotTakenError, 409),
    )
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


class SyncFormat(EndpointFormat):
    """``/api/cron/sync``."""

    runs_if_disabled = True

    def ended(self, run: Run, *, detail: bool) -> Reply:
        """200 or 500; ``details`` is text."""
        done = run.status is RunStatus.COMPLETED
        result = _result(run)
        body = {
            "success": done,
            "timestamp": _timestamp(run.finished_at or run.started_at),
            "duration": milliseconds(run.duration),
            "message": f"Repository {'synchronized successfully' if done else 'synchronization failed'}",
            "details": (result.get("message") or "") if done else _why(run, detail=detail),
        }
        return Reply(200 if done else 500, body)

    def excluded(self, run: Run) -> Reply:
        """Success, with the reason as ``message``."""
        return Reply(200, {**self.refused(200, run.error or "", run.started_at).body, "success": True})

    def skipped(self, now: datetime) -> Reply:
        """Success, without a run."""
        body = self.refused(200, "Sync disabled in development mode", now).body
        details = "Background sync is skipped (DISABLE_AUTO_SYNC)"
        return Reply(200, {**body, "success": True, "details": details})

    def refused(self, status: int, message: str, now: datetime) -> Reply:
        """The same fields, with ``message``."""
        return Reply(
            status, {"success": False, "timestamp": _timestamp(now), "duration": 0, "message": message}
        )


class RemindersFormat(EndpointFormat):
    """``/api/cron/subscription-reminders``."""

    not_run = 207
    runs_if_disabled = True

    def ended(self, run: Run, *, detail: bool) -> Reply:
        """200, even if mails were refused; 207 if the job failed, 500 if it did not end by itself."""
        result = _result(run)
        if not result and run.reason is not Reason.ERROR:
            return self.refused(500, f"Cron job failed: {_why(run, detail=detail)}", run.started_at)
        if not result and run.status is RunStatus.FAILED:
            return _incomplete([_why(run, detail=detail)], run.duration)
        counts = {name: result.get(name, 0) for name in ("processed", "successful", "failed")}
        body = {
            "message": "Subscription reminder job completed",
            "success": True,
            **counts,
            "errors": _errors(result, detail=detail),
            "duration": _text(run.duration),
        }
        return Reply(200, body)

    def excluded(self, run: Run) -> Reply:
        """Success, with the reason as ``message``."""
        return _excluded(run)

    def refused(self, status: int, message: str, now: datetime) -> Reply:
        """``error``, with ``success`` unless the caller is unauthorized; 207 without a mail provider."""
        del now
        if status == self.not_run:
            return _incomplete([message], None)
        return Reply(status, {"error": message} if status == 401 else {"success": False, "error": message})


class ExpirationFormat(EndpointFormat):
    """``/api/cron/subscription-expiration``."""

    unauthorized = "Unauthorized - Invalid or missing cron secret"
    allows_bare_secret = True
    runs_if_disabled = True

    def ended(self, run: Run, *, detail: bool) -> Reply:
        """200 or 500."""
        result = _result(run)
        if run.status is not RunStatus.COMPLETED:
            return Reply(500, {"success": False, "error": _why(run, detail=detail)})
        number = result.get("processed", 0)
        affected = (result.get("details") or {}).get("affected", [])
        data = {
            "processed": number,
            "affectedUsers": [
                {name: user[name] for name in ("subscriptionId", "userId", "planId")} for user in affected
            ],
            "errors": _errors(result, detail=detail),
            "timestamp": _timestamp(run.finished_at or run.started_at),
        }
        return Reply(
            200, {"success": True, "message": f"Processed {number} expired subscriptions", "data": data}
        )

    def excluded(self, run: Run) -> Reply:
        """Success, with the reason as ``message``."""
        return _excluded(run)

    def refused(self, status: int, message: str, now: datetime) -> Reply:
        """``message`` for an unauthorized caller, else ``error``."""
        del now
        return Reply(status, {"success": False, "message" if status == 401 else "error": message})


def _excluded(run: Run) -> Reply:
    return Reply(200, {"success": True, "message": run.error})


def _incomplete(errors: list[str], duration: timedelta | None) -> Reply:
    counts = dict.fromkeys(("processed", "successful", "failed"), 0)
    body = {"error": "Job completed with errors", "success": False, **counts, "errors": errors}
    return Reply(207, {**body, "duration": _text(duration)})


def _result(run: Run) -> dict[str, Any]:
    return run.result if isinstance(run.result, dict) else {}


def _errors(result: dict[str, Any], *, detail: bool) -> list[str]:
    """The errors of a result; without ``detail`` their kinds."""
    errors = result.get("errors", [])
    if detail:
        return list(errors)
    kinds = (result.get("details") or {}).get("kinds", [])
    return [*kinds, *[_IN_JOB] * len(errors)][: len(errors)]


def _why(run: Run, *, detail: bool) -> str:
    kind = _KINDS.get(run.reason or Reason.ERROR, str(run.reason))
    return (run.error or kind) if detail else kind


def _text(duration: timedelta | None) -> str:
    return f"{milliseconds(duration) or 0}ms"


ENDPOINTS: dict[str, tuple[str, EndpointFormat]] = {
    "/api/cron/sync": ("repository-sync", SyncFormat()),
    "/api/cron/subscription-reminders": ("subscription-renewal-reminder", RemindersFormat()),
    "/api/cron/subscription-expiration": ("subscription-expired-cleanup", ExpirationFormat()),
}
"""The paths of the Ever Works site: the job that each runs, and its format. All other jobs are under ``JOBS_PATH``."""


def path_of(job_id: str) -> str:
    """The path that runs a job."""
    return next((path for path, (job, _) in ENDPOINTS.items() if job == job_id), JOBS_PATH + job_id)


def is_endpoint(path: str) -> bool:
    """Whether a path, with or without a query, runs a job."""
    path = path.partition("?")[0]
    return path in ENDPOINTS or path.startswith(JOBS_PATH)
