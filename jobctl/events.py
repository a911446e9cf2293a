"""Events of the scheduler and its runs. The scheduler publishes; log lines, the live table and tests subscribe."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from jobctl.model import Progress, Run
from jobctl.value_class import value


@value
class SchedulerStarted:
    """The loop runs and has its jobs."""

    at: datetime
    jobs: int
    workers: int


@value
class SchedulerStopping:
    """Nothing new starts; ``running`` runs have ``grace`` to end."""

    at: datetime
    running: tuple[str, ...]
    grace: timedelta


@value
class SchedulerStopped:
    """All has ended; ``interrupted`` runs were ended by force."""

    at: datetime
    interrupted: int


@value
class RegistrationRenewed:
    """The run store did not count this process as alive any more; it ended ``runs`` runs and registered again.

    ``reason``: a clause or sentence without a full stop.
    """

    at: datetime
    reason: str
    runs: int


@value
class EndNotRecorded:
    """A run has ended whose end is not recorded, because the run store does not know it any more."""

    run: Run


@value
class RunStarted:
    """A run is recorded, and its first attempt starts as soon as a worker is free."""

    run: Run


@value
class RunOutput:
    """One line that a run printed: printable, secrets masked, without its line end."""

    job_id: str
    run_id: str
    at: datetime
    line: str


@value
class RunProgressed:
    """A run has reported how far it is."""

    job_id: str
    run_id: str
    at: datetime
    progress: Progress


@value
class RunRetrying:
    """An attempt failed, ``run.attempt``; the next one starts after ``delay``."""

    run: Run
    error: str
    delay: timedelta


@value
class RunFinished:
    """A run ended: completed, failed or skipped. ``run`` is as recorded; ``retry`` says whether another
    attempt might have helped."""

    run: Run
    retry: bool = True


@value
class SlotsMissed:
    """``count`` slots of a job were missed. ``runs_now``: it runs now, for all of them or for the newest."""

    job_id: str
    count: int
    first: datetime
    last: datetime
    runs_now: bool
    at: datetime


@value
class JobLate:
    """An expectation of a job is not met since ``since``; ``why`` is a clause about the job."""

    at: datetime
    job_id: str
    since: datetime
    why: str


@value
class JobOnTime:
    """A job that was late meets its expectations again."""

    at: datetime
    job_id: str


@value
class ClockJumped:
    """The wall clock moved by ``by`` against the steady one (positive: forward, or a sleep).

    ``waits``: it moved back by so little that jobs wait for their next slot that was not run yet.
    """

    at: datetime
    by: timedelta
    waits: bool = False


@value
class ClocksDiffer:
    """Another scheduler on this run store has served slots that lie ``by`` ahead of this machine's clock."""

    at: datetime
    by: timedelta


@value
class StoreUnavailable:
    """The run store cannot be written; nothing starts until it can. Published once a minute at most."""

    at: datetime
    problem: str


@value
class StoreRecovered:
    """The run store can be written again."""

    at: datetime


@value
class JobsChanged:
    """An edited project file was loaded: ids of the jobs that are new, changed, or gone."""

    at: datetime
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


@value
class JobsLeftOut:
    """A package is broken, so its jobs were not loaded with an edited project file."""

    at: datetime
    problem: str


@value
class JobsRefused:
    """An edited project file cannot be used; the jobs stay as they were."""

    at: datetime
    error: Exception


@value
class NotificationFailed:
    """A receiver did not accept a notification or check-in about a job, after all attempts."""

    at: datetime
    job_id: str | None
    receiver: str
    problem: str


@value
class TracesNotSent:
    """Spans of runs could not be sent, after all attempts. Published once, until some are accepted again."""

    at: datetime
    problem: str


@value
class MetricsNotWritten:
    """The metrics file for node_exporter cannot be written. Published once, until it can."""

    at: datetime
    file: Path
    problem: str


@value
class LinesNotShown:
    """``count`` lines that came faster than they were read, and were left out.

    Made by who shows events, never published. ``is_output``: what jobs printed, of ``job_id`` alone where that is
    not None; else other events.
    """

    at: datetime
    job_id: str | None
    count: int
    is_output: bool


Event = (
    SchedulerStarted
    | SchedulerStopping
    | SchedulerStopped
    | RegistrationRenewed
    | EndNotRecorded
    | RunStarted
    | RunOutput
    | RunProgressed
    | RunRetrying
    | RunFinished
    | SlotsMissed
    | JobLate
    | JobOnTime
    | ClockJumped
    | ClocksDiffer
    | StoreUnavailable
    | StoreRecovered
    | JobsChanged
    | JobsLeftOut
    | JobsRefused
    | NotificationFailed
    | TracesNotSent
    | MetricsNotWritten
    | LinesNotShown
)

Listener = Callable[[Event], None]
RunVariables = Callable[[Run], Mapping[str, str]]
"""Gives environment variables for the processes of a run, after its ``RunStarted`` was published."""


class Bus:
    """Passes each event to every listener, in the publisher's thread, in order of subscription."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._variables: tuple[RunVariables, ...] = ()

    @property
    def has_listeners(self) -> bool:
        """Whether anything listens; otherwise the events of a run need not be created."""
        return bool(self._listeners)

    def subscribe(self, listener: Listener, variables: RunVariables | None = None) -> Callable[[], None]:
        """Add a listener, which must not raise.

        Args:
            variables: called for each run that starts.

        Returns:
            A function that removes both.
        """
        self._listeners = (*self._listeners, listener)
        if variables is not None:
            self._variables = (*self._variables, variables)

        def unsubscribe() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)
            self._variables = tuple(other for other in self._variables if other is not variables)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Pass an event to every listener."""
        for listener in self._listeners:
            listener(event)

    def environment_for(self, run: Run) -> dict[str, str]:
        """The environment variables that subscribers give to the processes of a run."""
        environment: dict[str, str] = {}
        for variables in self._variables:
            environment.update(variables(run))
        return environment
