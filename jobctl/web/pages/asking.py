"""How the page starts runs: in its own process, or by asking the scheduler through the run store."""

from collections.abc import Mapping
from typing import Any, Protocol

from jobctl.managers.base import demand_no_secret
from jobctl.managers.rerun import Repeated, repeat
from jobctl.model import Action, ActionKind, Job, Run, Trigger, WaitingRun
from jobctl.scheduler.run_supervisor import check_runnable
from jobctl.store.records import new_run_id, registration
from jobctl.text import clauses
from jobctl.web.pages.reader import Reader
from jobctl.web.request_runner import Runner


class Starter(Protocol):
    """Starts runs for visitors, and returns their ids."""

    def check(self, job: Job) -> None:
        """Before its arguments are read.

        Raises:
            NotRunError: scheduling is disabled, or what the job needs is not configured.
        """

    def run(self, job: Job, arguments: Mapping[str, Any], actor: str, reason: str | None) -> str:
        """Run a job with arguments that were checked.

        Raises:
            AlreadyRunningError: it has an unfinished run; nothing was started.
            NotRunError: scheduling is disabled, or what the job needs is not configured.
            StoreError: the run cannot be recorded, so it was not started.
        """

    def rerun(self, run_id: str, job: Job, actor: str, reason: str | None) -> str:
        """Run a job again as in an earlier run.

        Raises:
            UsageError: the arguments of that run hold a secret, which is not kept.
            AlreadyRunningError: it has not ended, or another run of the job has not.
            NotRunError: scheduling is disabled, or what the job needs is not configured.
            StoreError: the run cannot be recorded, so it was not started.
        """


class StartsHere:
    """Starts runs in this process, as the endpoints do."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def check(self, job: Job) -> None:
        """As declared."""
        check_runnable(job)
        self._runner.demand_enabled(job.id)

    def run(self, job: Job, arguments: Mapping[str, Any], actor: str, reason: str | None) -> str:
        """As declared."""
        self.check(job)
        if self._runner.on_vercel:  # nothing continues after the response there
            return self._runner.run(job.id, arguments, actor=actor).id
        manager = self._runner.manager
        started = manager.trigger_job(
            job.id, arguments=arguments, trigger=Trigger.MANUAL, actor=actor, reason=reason
        )
        return started.id

    def rerun(self, run_id: str, job: Job, actor: str, reason: str | None) -> str:
        """As declared."""
        self.check(job)
        if self._runner.on_vercel:
            return self._runner.rerun(run_id, actor).id
        return self._runner.manager.rerun(run_id, trigger=Trigger.MANUAL, actor=actor, reason=reason).id


class StartsThere:
    """Starts runs at Trigger.dev, and keeps here who asked."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def check(self, job: Job) -> None:
        """As declared; what the job needs is configured there."""

    def run(self, job: Job, arguments: Mapping[str, Any], actor: str, reason: str | None) -> str:
        """As declared."""
        started = self._reader.trigger_dev.trigger_job(job.id, arguments=arguments)
        return self._kept(started, ActionKind.TRIGGER, actor, reason)

    def rerun(self, run_id: str, job: Job, actor: str, reason: str | None) -> str:
        """As declared."""
        del job
        return self._kept(self._reader.trigger_dev.rerun(run_id), ActionKind.RERUN, actor, reason)

    def _kept(self, run: Run, kind: ActionKind, actor: str, reason: str | None) -> str:
        action = Action(kind, self._reader.clock.now(), actor, run.job_id, run.id, reason)
        self._reader.store().keep([], action)
        return run.id


class AsksScheduler:
    """Keeps runs in the run store, for the scheduler that this process belongs to."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def check(self, job: Job) -> None:
        """As declared; a scheduler runs, so scheduling is not disabled."""
        check_runnable(job)

    def run(self, job: Job, arguments: Mapping[str, Any], actor: str, reason: str | None) -> str:
        """As declared."""
        check_runnable(job)
        demand_no_secret(job, arguments, self._reader.project.environment.mask)
        return self._keep(job, arguments, actor, reason)

    def rerun(self, run_id: str, job: Job, actor: str, reason: str | None) -> str:
        """As declared."""
        check_runnable(job)
        repeated = repeat(run_id, self._reader.store().run)
        return self._keep(job, repeated.arguments, actor, reason, repeated)

    def _keep(
        self,
        job: Job,
        arguments: Mapping[str, Any],
        actor: str,
        reason: str | None,
        repeated: Repeated | None = None,
    ) -> str:
        store, now, run_id = self._reader.store(), self._reader.clock.now(), new_run_id()
        run = WaitingRun(
            run_id,
            job.id,
            now,
            Trigger.MANUAL,
            repeated.slot if repeated else None,
            arguments=arguments or None,
            rerun_of=repeated.before.id if repeated else None,
            actor=actor,
            reason=reason,
        )
        kind = ActionKind.RERUN if repeated else ActionKind.TRIGGER
        why = clauses(f"as in run {repeated.before.short_id}" if repeated else None, reason)
        store.register([registration(job)], now)
        store.keep([run], Action(kind, now, actor, job.id, run_id, why))
        return run_id
