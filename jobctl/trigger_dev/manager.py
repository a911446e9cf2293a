"""The job manager of Trigger.dev mode: it has no scheduler, and requests schedules and runs from Trigger.dev.

A job's task there has the job's id; ``jobctl export trigger-dev`` writes the worker with the tasks.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from jobctl.arguments import as_json
from jobctl.clock import Clock
from jobctl.durations import format_duration, write_duration
from jobctl.errors import AlreadyRunningError, NotRunError, ServiceError, StoreError, UsageError
from jobctl.managers.base import ManagerBase, demand_later
from jobctl.managers.rerun import find_ended
from jobctl.model import Job, JobMetrics, JobStatus, Run, RunStatus, Trigger, WaitingRun
from jobctl.store.base import RunStore
from jobctl.text import counted
from jobctl.trigger_dev.account import DEVELOPMENT, Account
from jobctl.trigger_dev.api_types import DELAYED, RefusedError, RemoteRun, RemoteSchedule
from jobctl.trigger_dev.cron import trigger_cron
from jobctl.trigger_dev.runs import (
    HOST,
    as_run,
    as_waiting,
    meaning,
    metrics,
    newest_runs,
    poll_run,
    remote_status,
    remote_statuses,
)
from jobctl.trigger_dev.schedule_sync import (
    Change,
    ScheduleStep,
    apply_steps,
    fetch_schedules,
    job_of_key,
    keys_of,
    lacks_task,
    plan_sync,
    plan_warning,
    unknown_task,
)

if TYPE_CHECKING:
    from jobctl.trigger_dev.client import TriggerDevClient

METRICS_RUNS = 10_000
"""Metrics are computed from the newest runs, at most this many."""
MARGIN_S = 30
_STARTED_KEPT = timedelta(days=30)
_STARTED_KEY = "trigger-dev:run:"
_DELAYED_KEY = "trigger-dev:delayed:"


class TriggerDevJobManager(ManagerBase):
    """Keeps schedules at Trigger.dev and starts runs there. Every method but ``add`` makes requests.

    All of them raise ``ServiceError`` where Trigger.dev refuses or does not respond.

    A schedule that Trigger.dev does not support raises ``ScheduleError``; ``add`` makes no schedule, ``register`` does.

    Args:
        store: saves the ids of runs that were started from here, since Trigger.dev lists runs late; None: not saved.
        wait: called with the seconds between requests.
    """

    place: str = " at Trigger.dev"

    def __init__(
        self,
        account: Account,
        store: RunStore | None = None,
        *,
        clock: Clock | None = None,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__("Trigger.dev schedules and runs the jobs", clock)
        self.account = account
        self.store = store
        self._wait = wait or threading.Event().wait
        self._client: TriggerDevClient | None = None

    @property
    def _api(self) -> "TriggerDevClient":
        """The client, made on first use."""
        if self._client is None:
            from jobctl.trigger_dev.client import TriggerDevClient

            self._client = TriggerDevClient(self.account, clock=self._clock, wait=self._wait)
        return self._client

    def shutdown(self, grace: timedelta | None = None) -> int:
        """Close the connection. Runs at Trigger.dev continue."""
        del grace
        if self._client is not None:
            self._client.close()
            self._client = None
        return 0

    def after_fork(self) -> None:
        """In a forked child: leave the connection to the parent."""
        self._client = None

    # Schedules

    def plan(
        self, *, prune: bool = True, kept_ids: Collection[str] = ()
    ) -> tuple[list[ScheduleStep], list[str]]:
        """What ``register`` would do, and warnings.

        Args:
            prune: remove schedules of jobs that were not added.
            kept_ids: ids of jobs whose schedules are not removed.
        """
        jobs = list(self._jobs.values())
        existing = fetch_schedules(self._api, jobs)
        zones, now = self._zones(jobs), self._clock.now()
        steps = plan_sync(jobs, existing, self.account, zones, now, prune=prune, kept_ids=kept_ids)
        warnings = [plan_warning(steps, existing, self.account)]
        if existing.foreign:
            warnings.append(
                f"{counted(existing.foreign, 'schedule')} of that environment not made by jobctl: not changed"
            )
        if self.account.environment == DEVELOPMENT:
            warnings.append("in development schedules fire only while `npx trigger dev` is connected")
        cautions = (f"{step.job_id}: {step.caution}" for step in steps if step.caution)
        warnings += dict.fromkeys(cautions)
        warnings += _missing_here(jobs)
        return steps, [warning for warning in warnings if warning]

    def register(self, steps: Iterable[ScheduleStep]) -> Iterator[ScheduleStep]:
        """Make the planned changes; yields each step as it came out.

        Raises:
            ServiceError: at the end, after a failure that concerned all jobs.
        """
        return apply_steps(self._api, steps)

    def stop_job(self, id: str, reason: str | None = None, *, until: datetime | None = None) -> None:  # noqa: A002
        """Deactivate the job's schedules, until ``start_job``. A run in progress continues. No reason is kept.

        Raises:
            UsageError: ``until`` is given: no schedule there is activated by itself.
        """
        del reason
        _refuse_until(until)
        for schedule in self._schedules_of(id):
            self._api.set_active(schedule.id, active=False)

    def start_job(self, id: str) -> None:  # noqa: A002
        """Activate the job's schedules again."""
        for schedule in self._schedules_of(id):
            self._api.set_active(schedule.id, active=True)

    def stop_all_jobs(self, reason: str | None = None, *, until: datetime | None = None) -> None:
        """Deactivate every schedule that jobctl made in this environment."""
        del reason
        _refuse_until(until)
        self._set_all(active=False)

    def start_all_jobs(self) -> None:
        """Activate every schedule that jobctl made in this environment."""
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
        """Start a run and return it.

        Args:
            arguments: for the job's function or program, by name: values that JSON can hold, times and durations. The
                worker there checks them.
            timeout: of one attempt, instead of the job's own.
            retry: False: only one attempt, whatever the job's retries.

        Raises:
            UnknownJobError: no job has this id.
            AlreadyRunningError: it has an unfinished run; nothing was started.
            ServiceError: also where no deployed worker has the job.
        """
        job = self._job(id)
        self._refuse_overlap(job)
        payload = _payload(arguments)
        limit = None
        if timeout is not None:
            payload["timeout"] = write_duration(timeout)
            limit = max_duration(timeout)
        with self._naming_lost_task(job):
            run_id = self._api.trigger(job.id, payload, max_duration=limit, max_attempts=None if retry else 1)
        return self._started(job, run_id)

    def trigger_job_later(
        self,
        id: str,  # noqa: A002
        at: datetime,
        *,
        arguments: Mapping[str, Any] | None = None,
        reason: str | None = None,
        actor: str | None = None,
    ) -> WaitingRun:
        """Start a run that Trigger.dev delays until ``at``. It keeps no reason and no actor.

        Raises:
            UsageError: ``at`` is past.
            UnknownJobError: no job has this id.
            ServiceError: also where no deployed worker has the job.
        """
        del reason, actor
        job = self._job(id)
        demand_later(at, self._clock.now())
        payload = _payload(arguments)
        with self._naming_lost_task(job):
            run_id = self._api.trigger(job.id, payload, begins_at=at)
        if self.store is not None:
            with suppress(StoreError):  # it is started, and listed later
                self.store.cache_put({_DELAYED_KEY + run_id: job.id}, self._clock.now(), at)
        return WaitingRun(run_id, job.id, at, Trigger.MANUAL, arguments=payload.get("arguments"))

    def waiting_runs(self, id: str | None = None) -> list[WaitingRun]:  # noqa: A002
        """The runs that Trigger.dev delays, soonest first, without their arguments."""
        tasks = [id] if id is not None else list(self._jobs)
        return sorted(self._delayed(tasks), key=lambda run: run.begins_at)

    def _delayed(self, tasks: Collection[str]) -> list[WaitingRun]:
        """The delayed runs of these tasks: those that are listed, and those that were started from here."""
        if not tasks:
            return []
        delayed = self._api.runs(tasks, statuses=[DELAYED])
        listed, now = {run.id for run in delayed}, self._clock.now()
        for saved in self.store.cached() if self.store is not None else ():
            run_id = saved.key.removeprefix(_DELAYED_KEY)
            if run_id == saved.key or saved.value not in tasks or run_id in listed or saved.expires_at <= now:
                continue
            started = self._api.run(run_id)
            if started is not None and started.status == DELAYED:
                delayed.append(started)
        return [as_waiting(run) for run in delayed]

    def waiting_run(self, run_id: str) -> WaitingRun | None:
        """The delayed run with this id; None where there is none."""
        found = self._api.run(run_id)
        return as_waiting(found) if found is not None and found.status == DELAYED else None

    def backfill(
        self,
        id: str,  # noqa: A002
        begin: datetime,
        end: datetime,
        *,
        again: bool = False,
        arguments: Mapping[str, Any] | None = None,
        reason: str | None = None,
        actor: str | None = None,
        dry_run: bool = False,
    ) -> Sequence[WaitingRun]:
        """Refused: past slots are known to a run store only.

        Raises:
            NotRunError: always.
        """
        del begin, end, again, arguments, reason, actor, dry_run
        raise NotRunError(
            f"{id} was not run: a backfill needs the run store, and Trigger.dev runs the jobs",
            hint="run past slots with the local scheduler, or one run at a time with: jobctl rerun RUN",
        )

    def cancel_batch(self, batch: str, reason: str | None = None, *, actor: str | None = None) -> int:
        """Nothing: there is no backfill here."""
        del batch, reason, actor
        return 0

    @contextmanager
    def _naming_lost_task(self, job: Job) -> Iterator[None]:
        """Say so where no deployed worker has the job."""
        try:
            yield
        except ServiceError as error:
            if not lacks_task(error):
                raise
            problem, hint = unknown_task(job.id, self.account)
            raise ServiceError(f"{problem}; nothing was started", hint=hint) from error

    def rerun(self, run_id: str) -> Run:
        """Start a run with the payload of an earlier one, which holds its arguments and its slot, and return it.

        It is Trigger.dev's replay. The link to the earlier run is shown there, and in the run that is returned.

        Raises:
            UnknownRunError: there is no such run.
            UnknownJobError: no job has its job's id any more.
            AlreadyRunningError: it has not ended, or another run of the job has not; nothing was started.
        """
        before = find_ended(run_id, self.run)
        job = self._job(before.job_id)
        self._refuse_overlap(job)
        try:
            new_id = self._api.replay(before.id)
        except RefusedError:
            raise
        except ServiceError as error:
            raise ServiceError(
                f"{error}; the run may have started", hint=f"see jobctl runs {job.id} before you try again"
            ) from error
        return replace(self._started(job, new_id), rerun_of=before.id)

    def _started(self, job: Job, run_id: str) -> Run:
        """A run that was started just now. Its id is kept, since Trigger.dev lists it late."""
        now = self._clock.now()
        if self.store is not None:
            self.store.cache_put({_STARTED_KEY + job.id: run_id}, now, now + _STARTED_KEPT)
        return Run(run_id, job.id, RunStatus.RUNNING, Trigger.MANUAL, now, host=HOST)

    def cancel_run(
        self, run_id: str, reason: str | None = None, *, now: bool = False, by: str | None = None
    ) -> bool:
        """End a run there; False where it has ended. Trigger.dev keeps no reason, and knows no grace time."""
        del reason, now, by
        found = self._api.run(run_id)
        if found is None or as_run(found).status is not RunStatus.RUNNING:
            return False
        self._api.cancel(run_id)
        return True

    def follow(self, run_id: str, pause: Callable[[float], object] | None = None) -> Iterator[RemoteRun]:
        """Yield the run whenever its status has changed, until it has ended.

        Args:
            pause: called with the seconds between requests; may raise to end the wait.

        Raises:
            ServiceError: also where the run is unknown, or no worker has its task.
        """
        seen = None
        for run in poll_run(self._api, run_id, pause or self._wait):
            if run.status != seen:
                seen = run.status
                yield run

    def wait(self, run_id: str, timeout: float | None = None) -> Run:
        """Wait for the end of a run, and return it.

        Args:
            timeout: in seconds; None waits without limit.

        Raises:
            TimeoutError: it has not ended by then.
        """
        start = self._clock.monotonic()
        for run in poll_run(self._api, run_id, self._wait):
            found = as_run(run)
            if found.status is not RunStatus.RUNNING:
                return found
            if timeout is not None and self._clock.monotonic() - start >= timeout:
                break
        raise TimeoutError(f"run {run_id} has not ended")

    # Status and history

    def get_job_status(self, id: str) -> JobStatus | None:  # noqa: A002
        """The current status of a job, or None where no job has this id."""
        job = self._jobs.get(id)
        return self.statuses_of([job])[0] if job else None

    def get_all_job_statuses(self) -> Sequence[JobStatus]:
        """The current status of every job, in the order in which they were added."""
        return self.statuses_of(list(self._jobs.values()))

    def statuses_of(self, jobs: Iterable[Job]) -> list[JobStatus]:
        """The current status of some jobs."""
        jobs, now = list(jobs), self._clock.now()
        started_here = {}
        for job in jobs:
            saved = self.store.cache_get(_STARTED_KEY + job.id, now) if self.store else None
            if saved is not None:
                started_here[job.id] = str(saved.value)
        existing = fetch_schedules(self._api, jobs)
        ids = [job.id for job in jobs]
        last = newest_runs(self._api, ids, started_here)
        delayed: dict[str, list[WaitingRun]] = {}
        for waits in self._delayed(ids):
            delayed.setdefault(waits.job_id, []).append(waits)
        schedules: dict[str, list[RemoteSchedule]] = {}
        for key, found in existing.by_key.items():
            schedules.setdefault(job_of_key(key, self.account.prefix), []).append(found)
        return [
            remote_status(
                job, schedules.get(job.id, ()), last.get(job.id), delayed.get(job.id, ()), existing.declared
            )
            for job in jobs
        ]

    def get_job_metrics(self, id: str | None = None) -> JobMetrics:  # noqa: A002
        """Totals over the newest 10,000 runs that Trigger.dev still keeps."""
        ids = [id] if id is not None else list(self._jobs)
        return metrics(self.runs(id, limit=METRICS_RUNS), ids)

    def runs(
        self,
        id: str | None = None,  # noqa: A002
        *,
        statuses: Iterable[RunStatus] = (),
        since: datetime | None = None,
        limit: int | None = 20,
    ) -> list[Run]:
        """Runs, newest first, without the errors of failed runs: Trigger.dev has them only for a single run.

        Delayed runs are those of ``waiting_runs``.
        """
        tasks = [id] if id is not None else list(self._jobs)
        wanted = list(statuses)
        remote = remote_statuses(wanted)
        if not tasks or (wanted and not remote):
            return []
        return [as_run(run) for run in self._api.runs(tasks, statuses=remote, since=since, limit=limit)]

    def run(self, run_id: str) -> Run | None:
        """A run with its result and error; None where there is none, or it is delayed."""
        found = self._api.run(run_id)
        return as_run(found) if found is not None and found.status != DELAYED else None

    def _define(self, job: Job) -> None:
        if job.schedule is not None:
            for member in job.schedule.members:
                trigger_cron(member)  # raises before the job is added
        self.add([job])
        existing = fetch_schedules(self._api, [job])
        steps = plan_sync([job], existing, self.account, self._zones([job]), self._clock.now(), prune=False)
        for done in self.register(steps):
            if done.change in {Change.FAILED, Change.REFUSED}:
                raise ServiceError(done.detail, hint=done.hint)

    def _refuse_overlap(self, job: Job) -> None:
        listed = self._api.runs([job.id], statuses=remote_statuses([RunStatus.RUNNING]), limit=1)
        run = self._api.run(listed[0].id) if listed else None  # the list lags behind
        if run is None or meaning(run.status).run is not RunStatus.RUNNING:
            return
        since = format_duration(self._clock.now() - run.created_at)
        raise AlreadyRunningError(
            f"{job.id} has an unfinished run at Trigger.dev: {run.id}, since {since}, it"
            f" {meaning(run.status).words}; nothing was started",
            hint=f"end it with: jobctl cancel {job.id}",
        )

    def _zones(self, jobs: Iterable[Job]) -> frozenset[str]:
        """The time zones that Trigger.dev knows; empty where the jobs need none but UTC."""
        named = any(job.schedule is not None and job.schedule.timezone != "UTC" for job in jobs)
        return self._api.timezones() if named else frozenset()

    def _schedules_of(self, job_id: str) -> list[RemoteSchedule]:
        """Those that exist at Trigger.dev, one at least."""
        job = self._job(job_id)
        keys = keys_of(job, self.account.prefix) or [self.account.prefix + job.id]
        if found := [each for key in keys if (each := self._api.schedule(key)) is not None]:
            return found
        if any(other.declared and other.task == job.id for other in self._api.schedules()):
            raise UsageError(
                f"{job.id} has a schedule in the worker's code, which jobctl does not change",
                hint="change it there, and deploy",
            )
        raise UsageError(f"{job.id} has no schedule at Trigger.dev", hint="jobctl run makes it")

    def _set_all(self, *, active: bool) -> None:
        for schedule in fetch_schedules(self._api, self._jobs.values()).by_key.values():
            if schedule.active is not active:
                self._api.set_active(schedule.id, active=active)


def _payload(arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    if not arguments:
        return {}
    payload: dict[str, Any] = {"arguments": as_json(arguments)}
    if arguments.get("dry_run") is True:
        payload["dry_run"] = True  # workers of versions before 0.10 know no other argument
    return payload


def _missing_here(jobs: Iterable[Job]) -> list[str]:
    """Warnings about settings that jobs need and this machine lacks: the worker needs them."""
    missing: dict[str, list[str]] = {}
    for job in jobs:
        if job.schedule is not None and job.enabled and job.unmet is not None:
            missing.setdefault(job.unmet, []).append(job.id)
    return [
        f"{reason} here; the worker needs it for {counted(len(ids), 'job')}: {', '.join(ids)}"
        for reason, ids in missing.items()
    ]


def max_duration(timeout: timedelta) -> int:
    """A task's ``maxDuration`` in seconds: longer than the job's timeout, so that jobctl ends the job and reports it."""
    return max(5, ceil(timeout.total_seconds())) + MARGIN_S


def _refuse_until(until: datetime | None) -> None:
    if until is not None:
        raise UsageError(
            "Trigger.dev does not put a schedule back by itself",
            hint="leave out --until, and use jobctl start later",
        )
