"""Makes Trigger.dev's schedules those of the jobs: fetch what exists, plan the changes, apply them."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from jobctl.catalogue.job_keys import AT_TRIGGER_DEV, not_honoured
from jobctl.errors import ScheduleError, ServiceError
from jobctl.managers.status import AFTER_HINT, AFTER_IS_LOCAL, MANUAL_ONLY, not_enabled
from jobctl.model import Job, Schedule
from jobctl.trigger_dev.account import DEVELOPMENT, Account
from jobctl.trigger_dev.api_types import RefusedError, RemoteSchedule, ScheduleRequest
from jobctl.trigger_dev.cron import caution, known_zone, trigger_cron, window_of

if TYPE_CHECKING:
    from jobctl.trigger_dev.client import TriggerDevClient

SMALLEST_PLAN = 10
PLANS = f"Free {SMALLEST_PLAN}, Hobby 100, Pro 1,000"
"""Schedules per project, outside development: https://trigger.dev/docs/limits."""
_NUMBER = ":"
"""Before the number of a job's second schedule, and of each further one, in their keys: no job id has it."""
_ONE_JOB_ONLY = {400, 404, 422}


class Change(StrEnum):
    """What happens to a job's schedule at Trigger.dev."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"
    LEFT = "left"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ScheduleStep:
    """The change of one job's schedule, planned or made.

    Attributes:
        detail: the reason, one clause; empty where the change says it all.
        remove: the id of a schedule to delete first.
        put: the schedule to create or update.
        existing: the schedule at Trigger.dev.
        caution: how Trigger.dev's times will differ from jobctl's, in clauses.
    """

    job_id: str
    change: Change
    detail: str = ""
    hint: str | None = None
    remove: str | None = None
    put: ScheduleRequest | None = None
    existing: RemoteSchedule | None = None
    caution: str = ""

    @property
    def result(self) -> ScheduleRequest | RemoteSchedule | None:
        """The schedule after the change, if any."""
        return self.put or (self.existing if self.change is Change.LEFT else None)

    @property
    def next_run(self) -> datetime | None:
        """When the schedule is due next; None where it is inactive."""
        return self.existing.next_run if self.result and self.existing and self.existing.active else None


@dataclass(frozen=True, slots=True)
class ExistingSchedules:
    """The schedules of an environment.

    Attributes:
        by_key: those that jobctl made, by deduplication key.
        declared: tasks whose schedule is in the worker's code.
        foreign: the number of other schedules.
        active: the number that counts against the account's plan.
    """

    by_key: Mapping[str, RemoteSchedule]
    declared: frozenset[str]
    foreign: int
    active: int


def keys_of(job: Job, prefix: str) -> list[str]:
    """The deduplication keys of a job's schedules, one for each of its cron expressions."""
    number = len(job.schedule.members) if job.schedule is not None else 0
    return [prefix + job.id + (f"{_NUMBER}{each}" if each > 1 else "") for each in range(1, number + 1)]


def job_of_key(key: str, prefix: str) -> str:
    """The id of the job that has the schedule of this key."""
    return key.removeprefix(prefix).partition(_NUMBER)[0]


def fetch_schedules(api: "TriggerDevClient", jobs: Iterable[Job]) -> ExistingSchedules:
    """Fetch all schedules of the environment.

    The list is empty while no worker is deployed, so each job's schedule that is not in it is fetched by its key.
    """
    listed = api.schedules()
    prefix = api.account.prefix
    by_key = {found.key: found for found in listed if found.key.startswith(prefix) and not found.declared}
    for key in (key for job in jobs for key in keys_of(job, prefix)):
        if key not in by_key and (found := api.schedule(key)) is not None:
            by_key[key] = found
    return ExistingSchedules(
        by_key,
        declared=frozenset(found.task for found in listed if found.declared),
        foreign=sum(not found.declared and found.key not in by_key for found in listed),
        active=len({found.id for found in [*listed, *by_key.values()] if found.active}),
    )


def plan_sync(
    jobs: Sequence[Job],
    existing: ExistingSchedules,
    account: Account,
    zones: frozenset[str],
    now: datetime,
    *,
    prune: bool = True,
    kept_ids: Collection[str] = (),
) -> list[ScheduleStep]:
    """A step for each schedule of each job, one at least, and one for each schedule whose job has left the catalogue.

    Args:
        zones: the time zones that Trigger.dev knows; may be empty if the jobs need none but UTC.
        prune: remove schedules of jobs that are not among ``jobs``.
        kept_ids: ids of jobs whose schedules are not removed.
    """
    ids, prefix = {*(job.id for job in jobs), *kept_ids}, account.prefix
    steps = [step for job in jobs for step in _plan(job, existing, prefix, zones, now)]
    gone = []
    if prune:
        gone = [found for key, found in existing.by_key.items() if job_of_key(key, prefix) not in ids]
    return [
        *steps,
        *(
            ScheduleStep(found.task, Change.REMOVED, "no such job any more", remove=found.id, existing=found)
            for found in gone
        ),
    ]


def plan_warning(steps: Iterable[ScheduleStep], existing: ExistingSchedules, account: Account) -> str | None:
    """A warning where the steps need a larger plan of the account; None in development, which has no limit."""
    new = sum(step.change is Change.CREATED for step in steps)
    gone = sum(bool(step.remove and step.existing and step.existing.active) for step in steps)
    wanted = existing.active + new - gone
    if not new or account.environment == DEVELOPMENT or wanted <= SMALLEST_PLAN:
        return None
    return (
        f"this makes {wanted} schedules in {account.environment}; a project may have, in all environments"
        f" together: {PLANS}"
    )


def apply_steps(api: "TriggerDevClient", steps: Iterable[ScheduleStep]) -> Iterator[ScheduleStep]:
    """Make the changes; yields each step as it came out.

    A request that is refused for one job fails that job only. After any other failure, such as a wrong key or no
    response, the remaining steps are not tried, and it is raised at the end.
    """
    failure: ServiceError | None = None
    for step in steps:
        if step.remove is None and step.put is None:
            yield step
        elif failure is not None:
            yield replace(step, change=Change.FAILED, detail="not tried")
        else:
            try:
                yield _apply(api, step)
            except ServiceError as error:
                if not (isinstance(error, RefusedError) and error.status in _ONE_JOB_ONLY):
                    failure = error
                yield _failed(step, error, api.account)
    if failure is not None:
        raise failure


def lacks_task(error: ServiceError) -> bool:
    """Whether Trigger.dev refused because no deployed worker has the task."""
    text = error.explanation.lower() if isinstance(error, RefusedError) else ""
    return "task" in text and ("not found" in text or "not a scheduled" in text)


def unknown_task(task: str, account: Account) -> tuple[str, str]:
    """The sentence and the hint for a task that no deployed worker has."""
    return (
        f'Trigger.dev knows no scheduled task "{task}" in {account.environment}: no worker with it is deployed',
        "jobctl export trigger-dev DIR writes the worker; its README says how to deploy it",
    )


def _apply(api: "TriggerDevClient", step: ScheduleStep) -> ScheduleStep:
    if step.remove is not None:
        api.delete_schedule(step.remove)
    if step.put is None:
        return step
    made = api.put_schedule(step.put)
    if step.existing is not None and made.active and not step.existing.active:  # made again: it stays stopped
        made = api.set_active(made.id, active=False)
    return replace(step, existing=made)


def _failed(step: ScheduleStep, error: ServiceError, account: Account) -> ScheduleStep:
    detail, hint = str(error), error.hint
    explanation = error.explanation if isinstance(error, RefusedError) else ""
    if lacks_task(error):
        detail, hint = unknown_task(step.job_id, account)
    elif "free plan" in explanation.lower():
        hint = "give it a schedule of once an hour or less, or take a larger plan"
    elif "schedules" in explanation and "/" in explanation:
        hint = f"remove schedules, or take a larger plan: {PLANS} a project"
    return replace(step, change=Change.FAILED, detail=detail, hint=hint)


def _plan(
    job: Job, existing: ExistingSchedules, prefix: str, zones: frozenset[str], now: datetime
) -> list[ScheduleStep]:
    own = {key: found for key, found in existing.by_key.items() if job_of_key(key, prefix) == job.id}
    declared = "declared in the worker's code" if job.id in existing.declared else None
    off = not_enabled(job) or declared
    if job.after and off is None:
        return _without_schedule(job.id, own.values(), Change.REFUSED, AFTER_IS_LOCAL, AFTER_HINT)
    if job.schedule is None or off is not None:
        return _without_schedule(job.id, own.values(), Change.LEFT, off or MANUAL_ONLY)
    zone = known_zone(job.schedule.timezone, zones)
    if zone is None:
        detail = f'Trigger.dev does not know the time zone "{job.schedule.timezone}"'
        return _without_schedule(job.id, own.values(), Change.REFUSED, detail)
    steps = []
    for key, member in zip(keys_of(job, prefix), job.schedule.members, strict=True):
        steps += _plan_member(job, member, key, own.pop(key, None), (zone, now))
    gone = (
        ScheduleStep(
            job.id, Change.REMOVED, "no such cron expression any more", remove=found.id, existing=found
        )
        for found in own.values()
    )
    return [*steps, *gone]


def _plan_member(
    job: Job, schedule: Schedule, key: str, found: RemoteSchedule | None, zone_and_now: tuple[str, datetime]
) -> list[ScheduleStep]:
    """The step for one of a job's schedules.

    Args:
        found: what has its key.
        zone_and_now: the name of its time zone at Trigger.dev, and the time.
    """
    zone, now = zone_and_now
    try:
        cron = trigger_cron(schedule)
    except ScheduleError as error:
        return _without_schedule(job.id, [found] if found else [], Change.REFUSED, str(error), error.hint)
    window, kept = window_of(job.jitter), None
    if found and found.window and not job.jitter and found.window != window:
        window = found.window
        kept = f"its window of {window}, set at Trigger.dev, is kept: it may begin so much later; 0m there is exact"
    put = ScheduleRequest(job.id, key, cron, zone, window)
    cautions = (kept, caution(job.schedule or schedule, now), not_honoured(job, AT_TRIGGER_DEV, jitter=True))
    step = ScheduleStep(
        job.id, Change.CREATED, put=put, existing=found, caution="; ".join(filter(None, cautions))
    )
    if found is None:
        return [step]
    stopped = "" if found.active else f"stopped; back on with: jobctl start {job.id}"
    if found.task != job.id:  # an update never changes the task
        return [replace(step, change=Change.CHANGED, detail=f"was for task {found.task}", remove=found.id)]
    same_window = not found.has_windows or found.window == window
    if same_window and (found.cron, found.timezone, found.external_id) == (cron, zone, job.id):
        return [replace(step, change=Change.LEFT, detail=stopped, put=None)]
    was = found.cron if found.timezone == zone else f"{found.cron} {found.timezone}"
    if not same_window:
        was += f" with window {found.window}" if found.window else " without a window"
    return [replace(step, change=Change.CHANGED, detail="; ".join(filter(None, (f"was {was}", stopped))))]


def _without_schedule(
    job_id: str, found: Collection[RemoteSchedule], change: Change, detail: str, hint: str | None = None
) -> list[ScheduleStep]:
    """Nothing is scheduled: existing schedules are removed."""
    if not found:
        return [ScheduleStep(job_id, change, detail, hint)]
    removed = Change.REMOVED if change is Change.LEFT else change
    return [ScheduleStep(job_id, removed, detail, hint, remove=each.id, existing=each) for each in found]
