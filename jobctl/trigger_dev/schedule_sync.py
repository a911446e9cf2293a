"""What must change at Trigger.dev so that its schedules are the catalogue's: decided first, then done."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from jobctl.errors import ScheduleError, ServiceError
from jobctl.managers.status import BY_HAND, not_enabled
from jobctl.model import Job
from jobctl.platforms import AT_TRIGGER_DEV, not_kept
from jobctl.trigger_dev.account import DEVELOPMENT, Account
from jobctl.trigger_dev.cron import caution, known_zone, trigger_cron, window_of
from jobctl.trigger_dev.wire import RefusedError, RemoteSchedule, Wanted

if TYPE_CHECKING:
    from jobctl.trigger_dev.client import TriggerDev

SMALLEST_PLAN = 10
PLANS = f"Free {SMALLEST_PLAN}, Hobby 100, Pro 1,000"
"""Schedules a project, outside development: https://trigger.dev/docs/limits."""
_ONE_JOB_ONLY = {400, 404, 422}


class Change(StrEnum):
    """What becomes of a job's schedule there."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"
    LEFT = "left"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """One job and its schedule: what is wanted, what is there, and why.

    Attributes:
        detail: one clause; empty where the change says it all.
        remove: the id of the schedule that must go first.
        put: the schedule to create or to bring up to date.
        caution: where Trigger.dev keeps another rule than jobctl, in clauses.
    """

    job_id: str
    change: Change
    detail: str = ""
    hint: str | None = None
    remove: str | None = None
    put: Wanted | None = None
    there: RemoteSchedule | None = None
    caution: str = ""

    @property
    def stays(self) -> Wanted | RemoteSchedule | None:
        """The schedule that will be there, if any will."""
        return self.put or (self.there if self.change is Change.LEFT else None)

    @property
    def next_run(self) -> datetime | None:
        """When it is due next, where it is in force."""
        return self.there.next_run if self.stays and self.there and self.there.active else None


@dataclass(frozen=True, slots=True)
class Found:
    """What is there: our schedules by key, tasks whose schedule stands in the worker's code, and the count
    of everything that counts against the plan."""

    ours: Mapping[str, RemoteSchedule]
    declared: frozenset[str]
    foreign: int
    active: int


def look(api: "TriggerDev", jobs: Iterable[Job]) -> Found:
    """Find all schedules of the environment. A key that is not listed is asked for by itself: the list is
    empty while no worker is deployed."""
    listed = api.schedules()
    prefix = api.account.prefix
    ours = {one.key: one for one in listed if one.key.startswith(prefix) and not one.declared}
    declared = frozenset(one.task for one in listed if one.declared)
    for job in jobs:
        key = prefix + job.id
        if key not in ours and job.schedule is not None and (one := api.schedule(key)) is not None:
            ours[key] = one
    active = {one.id for one in [*listed, *ours.values()] if one.active}
    foreign = sum(1 for one in listed if not one.declared and one.key not in ours)
    return Found(ours, declared, foreign, len(active))


def decide(
    jobs: Sequence[Job],
    found: Found,
    account: Account,
    zones: frozenset[str],
    now: datetime,
    *,
    prune: bool = True,
    spare: Collection[str] = (),
) -> list[Step]:
    """One step a job, and one for each schedule of ours whose job has left the catalogue.

    Args:
        zones: the time zones that Trigger.dev knows; empty where none but UTC is wanted.
        prune: whether the jobs are all there are.
        spare: ids of jobs whose schedules stay all the same.
    """
    keys = {account.prefix + job_id for job_id in (*(job.id for job in jobs), *spare)}
    steps = [_decide(job, found, account.prefix, zones, now) for job in jobs]
    gone = [one for key, one in found.ours.items() if key not in keys] if prune else []
    return [
        *steps,
        *(Step(one.task, Change.REMOVED, "no such job any more", remove=one.id, there=one) for one in gone),
    ]


def over_plan(steps: Iterable[Step], found: Found, account: Account) -> str | None:
    """A warning where creating what is wanted needs a larger plan; None in development, which is free."""
    new = sum(1 for step in steps if step.change is Change.CREATED)
    gone = sum(1 for step in steps if step.remove and step.there and step.there.active)
    wanted = found.active + new - gone
    if not new or account.environment == DEVELOPMENT or wanted <= SMALLEST_PLAN:
        return None
    return (
        f"this makes {wanted} schedules in {account.environment}; a project may have, all environments"
        f" together: {PLANS}"
    )


def apply(api: "TriggerDev", steps: Iterable[Step]) -> Iterator[Step]:
    """Do it, each step told as it came out. What concerns one job fails that job alone.

    After a failure that concerns them all, a wrong key or no answer, the rest is not tried.
    """
    trouble: ServiceError | None = None
    for step in steps:
        if step.remove is None and step.put is None:
            yield step
        elif trouble is not None:
            yield replace(step, change=Change.FAILED, detail="not tried")
        else:
            try:
                yield _do(api, step)
            except ServiceError as error:
                if not (isinstance(error, RefusedError) and error.status in _ONE_JOB_ONLY):
                    trouble = error
                yield _failed(step, error, api.account)
    if trouble is not None:
        raise trouble


def lacks_task(error: ServiceError) -> bool:
    """Whether Trigger.dev refused because no deployed worker has the task."""
    said = error.said.lower() if isinstance(error, RefusedError) else ""
    return "task" in said and ("not found" in said or "not a scheduled" in said)


def unknown_task(task: str, account: Account) -> tuple[str, str]:
    """The sentence and the hint for a task that no deployed worker has."""
    return (
        f'Trigger.dev knows no scheduled task "{task}" in {account.environment}: no worker with it is deployed',
        "jobctl export trigger-dev DIR writes the worker; its README says how to deploy it",
    )


def _do(api: "TriggerDev", step: Step) -> Step:
    if step.remove is not None:
        api.delete_schedule(step.remove)
    if step.put is None:
        return step
    made = api.put_schedule(step.put)
    if step.there is not None and made.active and not step.there.active:  # made anew: it stays stopped
        made = api.set_active(made.id, active=False)
    return replace(step, there=made)


def _failed(step: Step, error: ServiceError, account: Account) -> Step:
    detail, hint = str(error), error.hint
    said = error.said if isinstance(error, RefusedError) else ""
    if lacks_task(error):
        detail, hint = unknown_task(step.job_id, account)
    elif "free plan" in said.lower():
        hint = "give it a schedule of once an hour or less, or take a larger plan"
    elif "schedules" in said and "/" in said:
        hint = f"remove schedules, or take a larger plan: {PLANS} a project"
    return replace(step, change=Change.FAILED, detail=detail, hint=hint)


def _decide(job: Job, found: Found, prefix: str, zones: frozenset[str], now: datetime) -> Step:
    there = found.ours.get(prefix + job.id)
    declared = "declared in the worker's code" if job.id in found.declared else None
    off = not_enabled(job) or declared
    if job.schedule is None or off is not None:
        return _without(job.id, there, Change.LEFT, off or BY_HAND)
    try:
        cron = trigger_cron(job.schedule)
    except ScheduleError as error:
        return _without(job.id, there, Change.REFUSED, str(error), error.hint)
    zone = known_zone(job.schedule.timezone, zones)
    if zone is None:
        detail = f'Trigger.dev does not know the time zone "{job.schedule.timezone}"'
        return _without(job.id, there, Change.REFUSED, detail)
    window, kept = window_of(job.jitter), None
    if there and there.window and not job.jitter and there.window != window:
        window = there.window
        kept = f"its window of {window}, set at Trigger.dev, is kept: it may begin so much later; 0m there is exact"
    wanted = Wanted(job.id, prefix + job.id, cron, zone, window)
    cautions = (kept, caution(job.schedule, now), not_kept(job, AT_TRIGGER_DEV, jitter=True))
    step = Step(job.id, Change.CREATED, put=wanted, there=there, caution="; ".join(filter(None, cautions)))
    if there is None:
        return step
    stopped = "" if there.active else f"stopped; back on with: jobctl start {job.id}"
    if there.task != job.id:  # an update never changes the task
        return replace(step, change=Change.CHANGED, detail=f"was for task {there.task}", remove=there.id)
    same_window = not there.has_windows or there.window == window
    if same_window and (there.cron, there.timezone, there.external_id) == (cron, zone, job.id):
        return replace(step, change=Change.LEFT, detail=stopped, put=None)
    was = there.cron if there.timezone == zone else f"{there.cron} {there.timezone}"
    if not same_window:
        was += f" with window {there.window}" if there.window else " without a window"
    return replace(step, change=Change.CHANGED, detail="; ".join(filter(None, (f"was {was}", stopped))))


def _without(
    job_id: str, there: RemoteSchedule | None, change: Change, detail: str, hint: str | None = None
) -> Step:
    """No schedule is wanted: one that is there goes."""
    if there is None:
        return Step(job_id, change, detail, hint)
    removed = Change.REMOVED if change is Change.LEFT else change
    return Step(job_id, removed, detail, hint, remove=there.id, there=there)
