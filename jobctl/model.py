"""The words of jobctl as immutable values: job, run, status, metrics, result.

Times are aware datetimes in UTC. Durations are ``timedelta``.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from jobctl.histogram import Bin
from jobctl.values import value

DEFAULT_TIMEOUT = timedelta(hours=1)
DEFAULT_RETRY_DELAY = timedelta(seconds=10)
DEFAULT_GRACE = timedelta(seconds=5)


class Status(StrEnum):
    """The state of a job, as ``status`` shows it."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SCHEDULED = "scheduled"
    STOPPED = "stopped"


class RunStatus(StrEnum):
    """The state of one run."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class OnOverlap(StrEnum):
    """What becomes of a slot while a run is in its way: of its own job, or of its group."""

    SKIP = "skip"
    QUEUE = "queue"


class Reason(StrEnum):
    """Why a run failed, was skipped or was cancelled."""

    ERROR = "error"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    LOST = "lost"
    INTERRUPTED = "interrupted"
    OVERLAP = "overlap"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    """What asked for a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    HTTP = "http"


class Schedule(Protocol):
    """When a job is due. Implemented by ``Every`` and ``Cron``."""

    @property
    def text(self) -> str:
        """As a user writes it: ``every 5m`` or ``0 9 * * *``."""

    @property
    def timezone(self) -> str:
        """The IANA zone that wall-clock times are meant in; ``UTC`` for an interval."""

    @property
    def fixed_time(self) -> bool:
        """Whether each wall-clock time is due once only, even if the clock is set back."""

    def next_after(self, instant: datetime, anchor: datetime) -> datetime:
        """The first due time strictly after ``instant``, in UTC.

        ``anchor`` is the instant that an interval counts from; a cron schedule ignores it.
        """

    def latest_until(self, instant: datetime, after: datetime, anchor: datetime) -> datetime | None:
        """The newest due time in ``(after, instant]``, or None where there is none."""

    def count(self, after: datetime, until: datetime, anchor: datetime) -> int:
        """How many due times lie in ``(after, until]``."""


@value
class Command:
    """A job that is a program: its argument list, run without a shell in the project's folder."""

    argv: tuple[str, ...]


Target = str | Callable[..., Any] | Command
"""``"package.module:function"``, a function (sync or async), or a command."""


@value
class Job:
    """The definition of a job.

    Attributes:
        id: ``kebab-case``, unique in the catalogue.
        name: for people.
        schedule: when it is due; None is by hand only.
        target: what runs.
        timeout: of one attempt.
        retries: how many attempts may follow a failed first one.
        retry_delay: before the first retry, doubled for each further one, with jitter.
        catch_up: run once for all slots that were missed while no scheduler ran.
        enabled: False keeps it off its schedule; it can still be triggered by hand.
        jitter: a slot begins up to so much later, but before the next one; each at a time of its own, the same
            on every machine.
        overlap: what becomes of a slot while a run is in its way; of those that queue the newest waits.
        group: no two jobs of a group run at the same time.
        grace: between SIGTERM and SIGKILL where a run must end.
        environment: variables for its runs, besides the process's own.
        folder: where its runs begin, seen from the project's folder; that folder where it is None.
        memory_mib: how much address space a run may take, in MiB; None is without limit. Linux alone keeps to it.
        check_in: URL of a monitor that is told of each start and end; or ``$NAME``, the variable that holds it.
        needs: variables that must be set, by its ``environment`` or the process's.
        origin: where it was defined: ``built-in``, ``jobctl.toml:12``, a module, or ``code``.
        dry_run: whether its function takes ``dry_run=True``.
        unmet: which of its needs is not configured, as a clause; it is then neither timed nor triggered.
    """

    id: str
    name: str
    schedule: Schedule | None
    target: Target
    timeout: timedelta = DEFAULT_TIMEOUT
    retries: int = 0
    retry_delay: timedelta = DEFAULT_RETRY_DELAY
    catch_up: bool = False
    enabled: bool = True
    jitter: timedelta = timedelta(0)
    overlap: OnOverlap = OnOverlap.SKIP
    group: str | None = None
    grace: timedelta = DEFAULT_GRACE
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None
    needs: tuple[str, ...] = ()
    check_in: str | None = None
    memory_mib: int | None = None
    origin: str = "code"
    dry_run: bool = False
    unmet: str | None = None


@value
class Run:
    """One execution of a job, as the run store keeps it."""

    id: str
    job_id: str
    status: RunStatus
    trigger: Trigger
    started_at: datetime
    reason: Reason | None = None
    scheduled_for: datetime | None = None
    finished_at: datetime | None = None
    duration: timedelta | None = None
    error: str | None = None
    result: Any = None
    host: str = ""
    pid: int | None = None
    attempt: int = 1
    retry_at: datetime | None = None

    @property
    def short_id(self) -> str:
        """Enough of the id for people: eight characters of ours, the whole of another engine's."""
        return self.id if self.id.startswith("run_") else self.id[:8]


@value
class JobResult:
    """What a job may return. ``success=False`` makes its run failed, and ``retry=False`` says that
    another attempt could not help.

    ``details`` is any JSON value that the job wants kept with the run; ``duration`` is filled in
    from the run where the job leaves it out.
    """

    success: bool = True
    processed: int = 0
    successful: int = 0
    failed: int = 0
    errors: tuple[str, ...] = ()
    duration: timedelta | None = None
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    retry: bool = True


@value
class JobStatus:
    """A job as it stands now. ``retry_at``: when the next attempt of its run begins, if the last one failed."""

    id: str
    name: str
    status: Status
    last_run: datetime | None = None
    next_run: datetime | None = None
    duration: timedelta | None = None
    error: str | None = None
    schedule: str | None = None
    timezone: str = "UTC"
    run_id: str | None = None
    note: str | None = None
    retry_at: datetime | None = None


@value
class JobTotals:
    """Counts and durations of one job's runs. Percentiles and histogram are over its newest 1,000 kept runs."""

    id: str
    total_executions: int = 0
    successful_jobs: int = 0
    failed_jobs: int = 0
    skipped: int = 0
    average_job_duration: timedelta | None = None
    p50: timedelta | None = None
    p95: timedelta | None = None
    max: timedelta | None = None
    histogram: tuple[Bin, ...] = ()

    @property
    def success_rate(self) -> float | None:
        """Completed of executed, 0 to 1; None where nothing was executed."""
        return rate(self.successful_jobs, self.total_executions)


@value
class JobMetrics:
    """Totals over all jobs. A skipped slot or a missed one is no execution."""

    total_executions: int = 0
    successful_jobs: int = 0
    failed_jobs: int = 0
    skipped: int = 0
    average_job_duration: timedelta | None = None
    last_cleanup: datetime | None = None
    jobs: tuple[JobTotals, ...] = ()

    @property
    def success_rate(self) -> float | None:
        """Completed of executed, 0 to 1; None where nothing was executed."""
        return rate(self.successful_jobs, self.total_executions)


def rate(part: int, whole: int) -> float | None:
    """``part / whole``, or None where there is nothing to divide."""
    return part / whole if whole else None
