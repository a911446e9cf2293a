"""The types of jobctl as immutable values: job, run, status, metrics, result.

Times are aware datetimes in UTC. Durations are ``timedelta``.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Any, Protocol, Self

from jobctl.value_class import value

DEFAULT_TIMEOUT = timedelta(hours=1)
DEFAULT_RETRY_DELAY = timedelta(seconds=10)
DEFAULT_GRACE = timedelta(seconds=5)
DEFAULT_CATCH_UP_LIMIT = 24
AFTER = "after "
"""What the text of a schedule begins with where a job runs after others; their ids follow, with commas."""
AUTO = "auto"
"""Instead of the URL of a monitor: jobctl creates the monitor itself."""


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
    """What to do with a slot while a run of its job or group blocks it."""

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"


class Reason(StrEnum):
    """Why a run failed, was skipped or was cancelled."""

    ERROR = "error"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    LOST = "lost"
    INTERRUPTED = "interrupted"
    OVERLAP = "overlap"
    EXCLUDED = "excluded"
    CANCELLED = "cancelled"


class Trigger(StrEnum):
    """What started a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    HTTP = "http"
    BACKFILL = "backfill"


class CatchUp(StrEnum):
    """Which of the slots that were missed while no scheduler ran are run later."""

    NONE = "none"
    LAST = "last"
    EACH = "each"

    @classmethod
    def of(cls, choice: "CatchUp | bool") -> "CatchUp":
        """Of a definition: true is the last slot."""
        if isinstance(choice, bool):
            return cls.LAST if choice else cls.NONE
        return choice


class ActionKind(StrEnum):
    """What a person or a program did to jobs and runs."""

    TRIGGER = "trigger"
    RERUN = "rerun"
    BACKFILL = "backfill"
    CANCEL = "cancel"
    STOP = "stop"
    START = "start"


class Schedule(Protocol):
    """When a job is due. Implemented by ``Every``, ``Cron``, ``Crons`` and ``Excluding``."""

    @property
    def text(self) -> str:
        """The schedule as a user writes it: ``every 5m`` or ``0 9 * * *``."""

    @property
    def timezone(self) -> str:
        """The IANA zone of its wall-clock times; ``UTC`` for an interval."""

    @property
    def members(self) -> "tuple[Schedule, ...]":
        """The single schedules that it consists of: itself, if it is one."""

    def is_fixed(self, slot: datetime) -> bool:
        """Whether this wall-clock time is due only once, even if the clock is set back."""

    def note(self, instant: datetime) -> str | None:
        """The effect of a clock change on a due time, in words; None: it has none."""

    def next_after(self, instant: datetime, anchor: datetime) -> datetime:
        """The first due time strictly after ``instant``, in UTC.

        ``anchor`` is the instant from which an interval counts; a cron schedule ignores it.
        """

    def latest_until(self, instant: datetime, after: datetime, anchor: datetime) -> datetime | None:
        """The latest due time in ``(after, instant]``, or None."""

    def count(self, after: datetime, until: datetime, anchor: datetime) -> int:
        """The number of due times in ``(after, until]``."""


@value
class Command:
    """A job that is a program: its argument list, run without a shell in the project's folder."""

    argv: tuple[str, ...]


@value
class Expectations:
    """What is expected of a job; what is not given is not expected.

    Attributes:
        start_within: how long after its due time a slot may begin.
        done_within: how long after its due time a slot may be in progress; of another run, after its start.
        success_every: how long ago a run may have last completed.
    """

    start_within: timedelta | None = None
    done_within: timedelta | None = None
    success_every: timedelta | None = None


Target = str | Callable[..., Any] | Command
"""``"package.module:function"``, a function (sync or async), or a command."""


@value
class Job:
    """The definition of a job.

    Attributes:
        id: ``kebab-case``, unique in the catalogue.
        name: for people.
        schedule: when it is due; None if it is only triggered, or has ``after``.
        target: what runs.
        timeout: time limit of one attempt.
        retries: further attempts after a failed first one.
        retry_delay: delay before the first retry; it doubles with each further one, with jitter.
        catch_up: which slots that were missed while no scheduler ran are run later: none, the last of them, or each,
            in order. True is the last.
        catch_up_limit: with ``EACH``, how many slots wait at most; the newest ones.
        enabled: whether it is scheduled; if not, it can still be triggered.
        jitter: each slot starts up to this much later, but before the next one; the delay of a slot is the same on
            every machine.
        overlap: what to do with a slot while a run blocks it; only the latest slot waits.
        group: jobs of the same group never run at the same time.
        grace: time between SIGTERM and SIGKILL when a run must end.
        environment: environment variables for its runs, added to those of the process.
        arguments: JSON values for its function or program, by name; those that a run is given replace them.
        folder: working folder of its runs, relative to the project's folder; None is the project's folder.
        memory_mib: limit of a run's address space in MiB, on Linux; None is no limit.
        check_in: URL of a monitor to call at each start and end; ``$NAME``, the variable that holds it; or ``AUTO``.
        needs: variables that must be set, in its ``environment`` or that of the process.
        origin: where it was defined: ``built-in``, ``jobctl.toml:12``, a module, or ``code``.
        dry_run: whether its function accepts ``dry_run=True``.
        unmet: the first of its needs that is not configured, as a clause; the job is then neither scheduled nor
            triggered.
        expect: what is expected of it; None: nothing.
        ignore_warnings: codes of ``jobctl plan`` that are not reported about it.
        after: instead of a schedule, ids of jobs: it runs once when all of them have completed since its last start.
        exclude: dates, ranges and calendars, as they were given; ``schedule`` leaves their dates out.
        origins: the place of each key of the project file that is set; the others have their defaults.
    """

    id: str
    name: str
    schedule: Schedule | None
    target: Target
    timeout: timedelta = DEFAULT_TIMEOUT
    retries: int = 0
    retry_delay: timedelta = DEFAULT_RETRY_DELAY
    catch_up: CatchUp | bool = CatchUp.NONE
    catch_up_limit: int = DEFAULT_CATCH_UP_LIMIT
    enabled: bool = True
    jitter: timedelta = timedelta(0)
    overlap: OnOverlap = OnOverlap.SKIP
    group: str | None = None
    grace: timedelta = DEFAULT_GRACE
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = None
    needs: tuple[str, ...] = ()
    check_in: str | None = None
    memory_mib: int | None = None
    origin: str = "code"
    dry_run: bool = False
    unmet: str | None = None
    after: tuple[str, ...] = ()
    expect: Expectations | None = None
    ignore_warnings: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def schedule_text(self) -> str | None:
        """``every 5m``, ``0 9 * * *`` or ``after repository-sync, other``; None if it is only triggered."""
        if self.after:
            return AFTER + ", ".join(self.after)
        return self.schedule.text if self.schedule else None

    def place(self, key: str) -> str:
        """Where a key of it is set: its line of the project file, or the place of the job."""
        return self.origins.get(key, self.origin)


@value
class Progress:
    """How far a run is, as it reports itself: ``done`` of ``total``, if that is known, and what it does now."""

    done: float
    total: float | None = None
    note: str = ""

    @property
    def share(self) -> float | None:
        """What is done of all, 0 to 1; None where that is not known."""
        return min(1.0, self.done / self.total) if self.total else None

    @classmethod
    def read(cls, fields: Any) -> Self:
        """From a JSON array of the fields.

        Raises:
            TypeError, ValueError: they are not those of a progress.
        """
        done, total, note = fields
        if not (isfinite(done) and (total is None or isfinite(total)) and isinstance(note, str)):
            raise ValueError("no progress")
        return cls(done, total, note)


@value
class Run:
    """One execution of a job, as in the run store.

    Attributes:
        arguments: JSON values, with secrets masked.
        rerun_of: the id of the run that it repeats.
        actor: who started it, such as ``ada@host``; None for a schedule.
        batch: the id of the backfill that it belongs to.
    """

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
    arguments: Mapping[str, Any] | None = None
    progress: Progress | None = None
    rerun_of: str | None = None
    actor: str | None = None
    batch: str | None = None

    @property
    def short_id(self) -> str:
        """The id for people: its first eight characters; the whole id of Trigger.dev."""
        return short_id(self.id)


@value
class WaitingRun:
    """A run that the run store keeps for later; a scheduler starts it.

    Attributes:
        id: of the run that it becomes.
        begins_at: not earlier than this. It waits longer where a run of its job or group is unfinished.
        slot: the due time that it is for; None for a manual run.
        arguments: JSON values.
        rerun_of: the id of the run that it repeats.
        actor: who asked for it, such as ``ada@host``; None for a schedule.
        reason: why, as a clause; None: none was given.
        batch: the id of the backfill that it belongs to.
    """

    id: str
    job_id: str
    begins_at: datetime
    trigger: Trigger
    slot: datetime | None = None
    arguments: Mapping[str, Any] | None = None
    rerun_of: str | None = None
    actor: str | None = None
    reason: str | None = None
    batch: str | None = None

    @property
    def short_id(self) -> str:
        """The id for people."""
        return short_id(self.id)


@value
class Action:
    """What a person or a program did: who, what, when, to which job or run, and why.

    Attributes:
        actor: ``user@host`` of a person, or a client.
        reason: as given, or what was asked for, as a clause.
    """

    kind: ActionKind
    at: datetime
    actor: str
    job_id: str
    run_id: str | None = None
    reason: str | None = None


@value
class SentNotification:
    """A notification about a job: whether one of its receivers accepted it.

    Attributes:
        at: when it was accepted, or given up.
        event: ``failure``, ``recovery`` or ``missed``.
        channel: ``webhook``, ``slack``, ``discord``, ``command`` or ``mail``.
        receiver: a host, a program or a mail address; never a URL, which grants access.
        error: why it was not delivered; None where it was.
    """

    at: datetime
    job_id: str
    event: str
    channel: str
    receiver: str
    run_id: str | None = None
    error: str | None = None


@value
class JobResult:
    """The result that a job may return.

    Attributes:
        success: False makes the run failed.
        duration: filled in from the run if it is None.
        details: any JSON value to store with the run.
        retry: False prevents further attempts.
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
    """The current state of a job.

    Attributes:
        retry_at: when the next attempt begins, if the last one failed.
        progress: of the run that goes on, as it reports itself.
        stopped_until: when a stopped job goes back on its schedule by itself; None: never.
        waiting: how many runs of it are kept for later.
        late: which of its expectations is not met, as a clause; None: all are.
        late_since: since when.
    """

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
    progress: Progress | None = None
    stopped_until: datetime | None = None
    waiting: int = 0
    late: str | None = None
    late_since: datetime | None = None


@value
class Bin:
    """``count`` durations from ``from_ms`` up to, but not including, ``to_ms``."""

    from_ms: int
    to_ms: int
    count: int


@value
class JobTotals:
    """Counts and durations of the runs of one job. Percentiles and histogram cover its latest 1,000 stored runs."""

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
        """Completed executions of all, 0 to 1; None if there were none."""
        return rate(self.successful_jobs, self.total_executions)


@value
class JobMetrics:
    """Totals over all jobs. Skipped and missed slots are not executions."""

    total_executions: int = 0
    successful_jobs: int = 0
    failed_jobs: int = 0
    skipped: int = 0
    average_job_duration: timedelta | None = None
    last_cleanup: datetime | None = None
    jobs: tuple[JobTotals, ...] = ()

    @property
    def success_rate(self) -> float | None:
        """Completed executions of all, 0 to 1; None if there were none."""
        return rate(self.successful_jobs, self.total_executions)


def short_id(run_id: str) -> str:
    """The id of a run for people: its first eight characters; the whole id of Trigger.dev."""
    return run_id if run_id.startswith("run_") else run_id[:8]


def rate(part: int, whole: int) -> float | None:
    """``part / whole``; None if ``whole`` is 0."""
    return part / whole if whole else None
