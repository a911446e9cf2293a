"""The state of the scheduler and of all jobs at a point in time, and what is said of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from jobctl.durations import ago, short
from jobctl.errors import JobctlError, ServiceError
from jobctl.model import JobStatus, Status
from jobctl.modes import Mode

if TYPE_CHECKING:
    from jobctl.scheduler.liveness import Presence

LATE = timedelta(seconds=10)
"""A job is late if it has not started this long after its due time."""


class Board(NamedTuple):
    """The state of the scheduler and of all jobs at a point in time."""

    mode: Mode
    scheduler: "Presence"
    jobs: Sequence[JobStatus]
    now: datetime
    error: JobctlError | None = None
    due: Mapping[str, datetime] = {}
    """Due times of jobs that have not started, by job id."""

    @property
    def is_scheduled(self) -> bool:
        """Whether a scheduler will start jobs; without a scheduler no next time is shown."""
        return self.scheduler.running or self.mode in {Mode.TRIGGER_DEV, Mode.VERCEL}

    def late_since(self, job: JobStatus) -> datetime | None:
        """Since when a job is late: by its expectations, or since its due time; None if it is on time."""
        if job.late_since is not None:
            return job.late_since
        due = self.due.get(job.id)
        waits = job.status not in {Status.RUNNING, Status.STOPPED} and self.scheduler.running
        return due if due is not None and waits and self.now - due >= LATE else None

    @property
    def failed(self) -> list[JobStatus]:
        """The jobs whose last run failed."""
        return [job for job in self.jobs if job.status is Status.FAILED]


def who_schedules(board: Board) -> str:
    """A sentence about the scheduler in charge, and whether it runs."""
    scheduler = board.scheduler
    if board.mode is Mode.DISABLED:
        return "scheduling is disabled; jobctl mode shows why"
    if board.mode is Mode.TRIGGER_DEV:
        if board.error is None:
            return "scheduled by Trigger.dev; this is what it has"
        problem = "does not answer" if isinstance(board.error, ServiceError) else "cannot be asked"
        return f"Trigger.dev {problem}; next times are computed from the schedules, runs are not known"
    if board.mode is Mode.VERCEL:
        return "scheduled by Vercel Cron; next times are computed from the schedules"
    if scheduler.running and scheduler.since:
        return f"local scheduler: running for {short(board.now - scheduler.since)}, pid {scheduler.pid} on {scheduler.host}"
    if scheduler.stopped:
        return (
            f"no scheduler is working: pid {scheduler.pid} on {scheduler.host} is stopped by a signal or a debugger."
            f" Continue it: kill -CONT {scheduler.pid}"
        )
    if scheduler.pid is None:
        return "no scheduler is running. Start it: jobctl run"
    noticed = f", seen {ago(scheduler.ended, board.now)}" if scheduler.ended else ""
    how = f"was killed{noticed}" if scheduler.killed else f"ended{noticed.replace(', seen', '')}"
    return (
        f"no scheduler is running (the last one, pid {scheduler.pid} on {scheduler.host}, {how})."
        " Start it: jobctl run"
    )
