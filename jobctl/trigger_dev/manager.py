"""The manager of Trigger.dev mode: schedules, runs and figures are the engine's own, asked for when wanted.

It has no timer and runs nothing here. A job's task there has the job's id and comes from the worker that
``jobctl export trigger-dev`` writes.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from jobctl.catalogue.catalogue import unknown_job
from jobctl.clock import Clock, SystemClock
from jobctl.durations import format_duration, write_duration
from jobctl.errors import AlreadyRunningError, ServiceError, UsageError
from jobctl.managers.base import ManagerLifecycle, define
from jobctl.model import Job, JobMetrics, JobStatus, Run, RunStatus, Target, Trigger
from jobctl.schedules import Cron, Every
from jobctl.store.base import RunStore
from jobctl.text import counted
from jobctl.trigger_dev.account import DEVELOPMENT, Account
from jobctl.trigger_dev.runs import PLACE, as_run, meaning, totals, words_for

if TYPE_CHECKING:
    from jobctl.trigger_dev.client import TriggerDev
    from jobctl.trigger_dev.schedule_sync import Step
    from jobctl.trigger_dev.wire import RemoteRun, RemoteSchedule

MOST_RUNS = 10_000
"""What totals are made of: the newest so many runs."""
MARGIN_S = 30
_KEPT = timedelta(days=30)
_REMEMBERED = "trigger-dev:run:"


class TriggerDevJobManager(ManagerLifecycle):
    """Keeps schedules at Trigger.dev and starts runs there. Every method but ``add`` asks over the network.

    Errors besides the interface's: ``ServiceError`` where Trigger.dev does not answer or refuses.

    Args:
        account: where, and as whom.
        store: remembers which runs were started by hand, since a list there may lack them; None remembers
            nothing.
        wait: pauses between looks and tries; takes seconds.
    """

    def __init__(
        self,
        account: Account,
        store: RunStore | None = None,
        *,
        clock: Clock | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__(idle="Trigger.dev schedules and runs the jobs")
        self.account = account
        self.store = store
        self._clock = clock or SystemClock()
        self._wait = wait or threading.Event().wait
        self._jobs: dict[str, Job] = {}
        self._api_kept: TriggerDev | None = None

    @property
    def _api(self) -> "TriggerDev":
        """The client, loaded on first use.

        Raises:
            NotRunError: its package is not installed.
        """
        if self._api_kept is None:
            from jobctl.trigger_dev.client import TriggerDev

            self._api_kept = TriggerDev(self.account, clock=self._clock, wait=self._wait)
        return self._api_kept

    def shutdown(self, grace: timedelta | None = None) -> int:
        """Close the connections. What runs at Trigger.dev goes on, so no run is ended."""
        del grace
        if self._api_kept is not None:
            self._api_kept.close()
            self._api_kept = None
        return 0

    def after_fork(self) -> None:
        """In a child: the connections are the parent's."""
        self._api_kept = None

    # Definitions

    def add(self, jobs: Iterable[Job]) -> None:
        """Take definitions; ``register`` makes their schedules."""
        self._jobs.update((job.id, job) for job in jobs)

    def schedule_job(self, id: str, name: str, job: Target, interval: timedelta | float) -> None:  # noqa: A002
        """Have the job's task run every ``interval``, in step with midnight UTC.

        Raises:
            ScheduleError: no cron expression has that rhythm.
        """
        self._define(define(id, name, job, Every(interval)))

    def schedule_cron_job(self, id: str, name: str, job: Target, cron_expression: str) -> None:  # noqa: A002
        """Have the job's task run at the wall-clock times, in UTC, of a 5-field cron expression.

        Raises:
            ScheduleError: Trigger.dev cannot say it.
        """
        self._define(define(id, name, job, Cron(cron_expression)))

    def plan(self, *, prune: bool = True, spare: Collection[str] = ()) -> "tuple[list[Step], list[str]]":
        """What ``register`` would do, and what to know before.

        Args:
            prune: whether the jobs are all there are, so that schedules of others are left over.
            spare: ids of jobs whose schedules stay all the same.
        """
        from jobctl.trigger_dev.schedule_sync import decide, look, over_plan

        jobs = list(self._jobs.values())
        found = look(self._api, jobs)
        zones, now = self._zones(jobs), self._clock.now()
        steps = decide(jobs, found, self.account, zones, now, prune=prune, spare=spare)
        warnings = [over_plan(steps, found, self.account)]
        if found.foreign:
            warnings.append(
                f"{counted(found.foreign, 'schedule')} of that environment not made by jobctl: left alone"
            )
        if self.account.environment == DEVELOPMENT:
            warnings.append("in development schedules fire only while `npx trigger dev` is connected")
        warnings += [f"{step.job_id}: {step.caution}" for step in steps if step.caution]
        warnings += _lacking_here(jobs)
        return steps, [one for one in warnings if one]

    def register(self, steps: "Iterable[Step]") -> "Iterator[Step]":
        """Do what was planned, each step told as it came out.

        Raises:
            ServiceError: at the end, where something went wrong that concerned all of them.
        """
        from jobctl.trigger_dev.schedule_sync import apply

        return apply(self._api, steps)

    def stop_job(self, id: str) -> None:  # noqa: A002
        """Take the job's schedule there out of force, until ``start_job``. A run in progress goes on."""
        self._api.set_active(self._schedule_of(id).id, active=False)

    def start_job(self, id: str) -> None:  # noqa: A002
        """Put the job's schedule there in force again."""
        self._api.set_active(self._schedule_of(id).id, active=True)

    def stop_all_jobs(self) -> None:
        """Take every schedule that jobctl made in this environment out of force."""
        self._set_all(active=False)

    def start_all_jobs(self) -> None:
        """Put every one in force."""
        self._set_all(active=True)

    # Runs

    def trigger_job(
        self,
        id: str,  # noqa: A002
        *,
        arguments: Mapping[str, Any] | None = None,
        timeout: timedelta | None = None,
        retry: bool = True,
    ) -> Run:
        """Start one run there and return it as it began.

        Args:
            arguments: what the job's function is called with: JSON values.
            timeout: of one attempt, instead of the job's own.
            retry: False makes it one attempt, whatever the job's retries.

        Raises:
            UnknownJobError: no job has this id.
            AlreadyRunningError: it has an unfinished run there; nothing was started.
            ServiceError: no deployed worker has the job, or Trigger.dev refused or did not answer.
        """
        job = self._job(id)
        self._refuse_overlap(job)
        payload: dict[str, Any] = dict(arguments or {})
        longest = None
        if timeout is not None:
            payload["timeout"] = write_duration(timeout)
            longest = max_duration(timeout)
        try:
            run_id = self._api.trigger(
                job.id, payload, max_duration=longest, max_attempts=None if retry else 1
            )
        except ServiceError as error:
            raise self._explained(error, job) from error
        now = self._clock.now()
        self._remember(job.id, run_id, now)
        return Run(run_id, job.id, RunStatus.RUNNING, Trigger.MANUAL, now, host=PLACE)

    def follow(self, run_id: str, pause: Callable[[float], object] | None = None) -> "Iterator[RemoteRun]":
        """The run whenever its state has changed, until it has ended.

        Args:
            pause: between two looks; takes seconds, and may raise to end the waiting.

        Raises:
            ServiceError: nobody knows it, no worker has its task, or Trigger.dev does not answer.
        """
        from jobctl.trigger_dev.runs import looks

        seen = None
        for run in looks(self._api, run_id, pause or self._wait):
            if run.status != seen:
                seen = run.status
                yield run

    def wait(self, run_id: str, timeout: float | None = None) -> Run:
        """The run once it has ended.

        Args:
            timeout: in seconds; None waits for ever.

        Raises:
            TimeoutError: it has not ended by then.
        """
        from jobctl.trigger_dev.runs import looks

        begun = self._clock.monotonic()
        for run in looks(self._api, run_id, self._wait):
            found = as_run(run)
            if found.status is not RunStatus.RUNNING:
                return found
            if timeout is not None and self._clock.monotonic() - begun >= timeout:
                break
        raise TimeoutError(f"run {run_id} has not ended")

    # Looking

    def get_job_status(self, id: str) -> JobStatus | None:  # noqa: A002
        """One job as Trigger.dev has it now, or None where no job has this id."""
        job = self._jobs.get(id)
        return self.statuses_of([job])[0] if job else None

    def get_all_job_statuses(self) -> Sequence[JobStatus]:
        """Every job as Trigger.dev has it now, in the order in which they were defined."""
        return self.statuses_of(list(self._jobs.values()))

    def statuses_of(self, jobs: Sequence[Job]) -> list[JobStatus]:
        """Some jobs as Trigger.dev has them now, asked for together."""
        from jobctl.trigger_dev.runs import newest_runs, remote_status
        from jobctl.trigger_dev.schedule_sync import look

        now = self._clock.now()
        remembered = {}
        for job in jobs:
            kept = self.store.cache_get(_REMEMBERED + job.id, now) if self.store else None
            if kept is not None:
                remembered[job.id] = str(kept.value)
        found = look(self._api, jobs)
        last = newest_runs(self._api, [job.id for job in jobs], remembered)
        return [
            remote_status(job, found.ours.get(self.account.prefix + job.id), last.get(job.id), found.declared)
            for job in jobs
        ]

    def get_job_metrics(self, id: str | None = None) -> JobMetrics:  # noqa: A002
        """Totals over the runs that Trigger.dev still keeps, the newest 10,000 of them."""
        ids = [id] if id is not None else list(self._jobs)
        return totals(self.runs(id, limit=MOST_RUNS), ids)

    def runs(
        self,
        id: str | None = None,  # noqa: A002
        *,
        statuses: Iterable[RunStatus] = (),
        since: datetime | None = None,
        limit: int | None = 20,
    ) -> list[Run]:
        """Runs that Trigger.dev keeps, newest first; of failed ones it tells the error for a single run only."""
        tasks = [id] if id is not None else list(self._jobs)
        chosen = list(statuses)
        words = words_for(chosen)
        if not tasks or (chosen and not words):
            return []
        return [as_run(one) for one in self._api.runs(tasks, statuses=words, since=since, limit=limit)]

    def run(self, run_id: str) -> Run | None:
        """One run with its result and error."""
        found = self._api.run(run_id)
        return as_run(found) if found else None

    # Inside

    def _define(self, job: Job) -> None:
        from jobctl.trigger_dev.cron import trigger_cron
        from jobctl.trigger_dev.schedule_sync import Change, decide, look

        trigger_cron(job.schedule) if job.schedule else None
        self.add([job])
        found = look(self._api, [job])
        (step,) = decide([job], found, self.account, self._zones([job]), self._clock.now(), prune=False)
        for done in self.register([step]):
            if done.change in {Change.FAILED, Change.REFUSED}:
                raise ServiceError(done.detail, hint=done.hint)

    def _job(self, job_id: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise unknown_job(job_id, self._jobs)
        return job

    def _refuse_overlap(self, job: Job) -> None:
        listed = self._api.runs([job.id], statuses=words_for([RunStatus.RUNNING]), limit=1)
        run = self._api.run(listed[0].id) if listed else None  # the list lags behind
        if run is None or meaning(run.status).run is not RunStatus.RUNNING:
            return
        since = format_duration(self._clock.now() - run.created_at)
        raise AlreadyRunningError(
            f"{job.id} has an unfinished run at Trigger.dev: {run.id}, since {since}, it"
            f" {meaning(run.status).words}; nothing was started",
            hint="it is to be seen, and to be cancelled, in Trigger.dev's dashboard",
        )

    def _explained(self, error: ServiceError, job: Job) -> ServiceError:
        from jobctl.trigger_dev.schedule_sync import lacks_task, unknown_task

        if not lacks_task(error):
            return error
        text, hint = unknown_task(job.id, self.account)
        return ServiceError(f"{text}; nothing was started", hint=hint)

    def _zones(self, jobs: Iterable[Job]) -> frozenset[str]:
        """What Trigger.dev knows of zones, asked for only where one is named."""
        named = any(job.schedule is not None and job.schedule.timezone != "UTC" for job in jobs)
        return self._api.timezones() if named else frozenset()

    def _schedule_of(self, job_id: str) -> "RemoteSchedule":
        job = self._job(job_id)
        found = self._api.schedule(self.account.prefix + job.id)
        if found is not None:
            return found
        if any(one.declared and one.task == job.id for one in self._api.schedules()):
            raise UsageError(
                f"{job.id} has a schedule in the worker's code, which jobctl does not touch",
                hint="change it there, and deploy",
            )
        raise UsageError(f"{job.id} has no schedule at Trigger.dev", hint="jobctl run makes it")

    def _set_all(self, *, active: bool) -> None:
        from jobctl.trigger_dev.schedule_sync import look

        for one in look(self._api, self._jobs.values()).ours.values():
            if one.active is not active:
                self._api.set_active(one.id, active=active)

    def _remember(self, job_id: str, run_id: str, now: datetime) -> None:
        if self.store is not None:
            self.store.cache_put({_REMEMBERED + job_id: run_id}, now, now + _KEPT)


def _lacking_here(jobs: Iterable[Job]) -> list[str]:
    """What jobs need and this machine lacks: their worker has to have it, and may."""
    lacking: dict[str, list[str]] = {}
    for job in jobs:
        if job.schedule is not None and job.enabled and job.unmet is not None:
            lacking.setdefault(job.unmet, []).append(job.id)
    return [
        f"{reason} here; the worker needs it for {counted(len(ids), 'job')}: {', '.join(ids)}"
        for reason, ids in lacking.items()
    ]


def max_duration(timeout: timedelta) -> int:
    """A task's ``maxDuration`` in seconds for a job's timeout: a little longer, so that jobctl ends the job
    itself, with all its children, and records why."""
    return max(5, ceil(timeout.total_seconds())) + MARGIN_S
