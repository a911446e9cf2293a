"""Background jobs: one definition runs locally, on Trigger.dev or under Vercel Cron.

The names below are looked up on first use, so that ``import jobctl`` costs next to nothing.
"""

__version__ = "0.12.0"


TYPE_CHECKING = False  # of typing, whose import would be most of what ours costs

if TYPE_CHECKING:
    from typing import Any

    from jobctl.catalogue.decorator import job
    from jobctl.errors import JobctlError, PermanentJobError
    from jobctl.interface import BackgroundJobManager
    from jobctl.managers.factory import get_job_manager, reset_job_manager
    from jobctl.model import Job, JobMetrics, JobResult, JobStatus, Run
    from jobctl.run_context import RunContext, current_run
    from jobctl.schedules import Cron, Crons, Every

_HOMES = {
    "BackgroundJobManager": "jobctl.interface",
    "Cron": "jobctl.schedules",
    "Crons": "jobctl.schedules",
    "Every": "jobctl.schedules",
    "Job": "jobctl.model",
    "JobMetrics": "jobctl.model",
    "JobResult": "jobctl.model",
    "JobStatus": "jobctl.model",
    "JobctlError": "jobctl.errors",
    "PermanentJobError": "jobctl.errors",
    "Run": "jobctl.model",
    "RunContext": "jobctl.run_context",
    "current_run": "jobctl.run_context",
    "get_job_manager": "jobctl.managers.factory",
    "job": "jobctl.catalogue.decorator",
    "reset_job_manager": "jobctl.managers.factory",
}

__all__ = [
    "BackgroundJobManager",
    "Cron",
    "Crons",
    "Every",
    "Job",
    "JobMetrics",
    "JobResult",
    "JobStatus",
    "JobctlError",
    "PermanentJobError",
    "Run",
    "RunContext",
    "current_run",
    "get_job_manager",
    "job",
    "reset_job_manager",
]


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module 'jobctl' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
