"""What is said of a run that is in the way of another."""

from jobctl.clock import Clock
from jobctl.durations import format_duration
from jobctl.errors import AlreadyRunningError
from jobctl.model import Run, Trigger


def already_running(job_id: str, run: Run, clock: Clock) -> AlreadyRunningError:
    """Says which run holds the job, since when, where, and who asked for it."""
    since = format_duration(clock.now() - run.started_at)
    place = f", pid {run.pid} on {run.host}" if run.pid else f" on {run.host}"
    how = {Trigger.SCHEDULE: "by its schedule", Trigger.MANUAL: "manually"}.get(run.trigger, "by a request")
    beside = "" if run.job_id == job_id else f"{job_id} must not run beside it: "
    return AlreadyRunningError(
        f"{beside}{run.job_id} is already running for {since}, started {how} (run {run.short_id}{place});"
        " nothing was started",
        hint=f"follow it with: jobctl logs {run.job_id} --follow",
    )
