"""What a plan shows that its author may not expect: each kind with a stable code."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import NamedTuple

from jobctl.clock import local
from jobctl.durations import format_duration
from jobctl.planning.plan import LONG_WAIT, Outcome, PlannedRun, RunPlan, is_run
from jobctl.schedules.advice import advice
from jobctl.schedules.zones import zone
from jobctl.text import counted

_NOTICED = timedelta(seconds=1)


class PlanWarning(NamedTuple):
    """``text``: a clause. ``jobs``: the ids of the jobs that it is about."""

    code: str
    jobs: tuple[str, ...]
    text: str


def warnings(plan: RunPlan, ignored: Collection[str] = ()) -> list[PlanWarning]:
    """All warnings, by their codes; without those that are about jobs that ignore them.

    Args:
        ignored: codes that the project file ignores for all jobs.
    """
    ignoring = {(job.id, code) for job in plan.jobs for code in job.ignore_warnings}
    found = [
        *_crowded(plan),
        *_skipped(plan),
        *_late(plan),
        *_missed(plan),
        *_clock_changes(plan),
        *_timed_out(plan),
        *_never_after(plan),
        *_doubtful(plan),
    ]
    return sorted(
        warning
        for warning in found
        if warning.code not in ignored and not all((job, warning.code) in ignoring for job in warning.jobs)
    )


def _crowded(plan: RunPlan) -> Iterator[PlanWarning]:
    """The worst minute."""
    minutes: dict[object, list[PlannedRun]] = defaultdict(list)
    for run in plan.runs:
        if run.slot is not None and is_run(run):
            minutes[run.slot.replace(second=0, microsecond=0)].append(run)
    worst: list[PlannedRun] = []
    for runs in minutes.values():
        waits = any(run.waited >= _NOTICED for run in runs)
        if waits and len({run.job_id for run in runs}) > max(plan.workers, len(worst)):
            worst = runs
    if worst:
        jobs = tuple(sorted({run.job_id for run in worst}))
        longest = max(run.waited for run in worst)
        slot = min(run.slot for run in worst if run.slot is not None)
        yield PlanWarning(
            "JC101",
            jobs,
            f"{counted(len(jobs), 'job')} are due at {local(slot)}, and {counted(plan.workers, 'worker')}"
            f" can run at the same time: the last begins {format_duration(longest)} late",
        )


def _skipped(plan: RunPlan) -> Iterator[PlanWarning]:
    counts = Counter(run.job_id for run in plan.runs if run.outcome is Outcome.SKIPPED)
    groups = {job.id: job.group for job in plan.jobs}
    for job_id, count in counts.items():
        group = groups.get(job_id)
        takes = format_duration(plan.durations[job_id])
        why = f"a run takes {takes}" if group is None else f"a run of the group {group} goes on"
        yield PlanWarning(
            "JC102",
            (job_id,),
            f"{job_id}: {counted(count, 'slot')} skipped, since {why}",
        )


def _late(plan: RunPlan) -> Iterator[PlanWarning]:
    waits: dict[str, list[PlannedRun]] = defaultdict(list)
    for run in plan.waiting_long():
        waits[run.job_id].append(run)
    for job_id, runs in waits.items():
        longest = max(runs, key=lambda run: run.waited)
        yield PlanWarning(
            "JC103",
            (job_id,),
            f"{job_id}: {counted(len(runs), 'slot')} more than {format_duration(LONG_WAIT)} late,"
            f" at most {format_duration(longest.waited)}",
        )


def _missed(plan: RunPlan) -> Iterator[PlanWarning]:
    counts: Counter[tuple[str, str]] = Counter()
    for missed in plan.missed:
        when = " before, since no scheduler was running" if missed.last < plan.begin else ""
        counts[missed.job_id, when] += missed.count
    for (job_id, when), count in counts.items():
        yield PlanWarning("JC104", (job_id,), f"{job_id}: {counted(count, 'slot')} missed{when}")


def _clock_changes(plan: RunPlan) -> Iterator[PlanWarning]:
    for change in plan.clock_changes():
        due = f"{change.at.astimezone(zone(change.timezone)):%a %Y-%m-%d %H:%M %Z}"
        yield PlanWarning("JC105", (change.job_id,), f"{change.job_id} is due on {due}: {change.note}")


def _timed_out(plan: RunPlan) -> Iterator[PlanWarning]:
    timeouts = {job.id: job.timeout for job in plan.jobs}
    for job_id in dict.fromkeys(run.job_id for run in plan.runs if run.outcome is Outcome.TIMES_OUT):
        yield PlanWarning(
            "JC106",
            (job_id,),
            f"{job_id} takes {format_duration(plan.durations[job_id])},"
            f" and its timeout is {format_duration(timeouts[job_id])}",
        )


def _never_after(plan: RunPlan) -> Iterator[PlanWarning]:
    completed = {run.job_id for run in plan.runs if run.outcome is Outcome.RUNS}
    begun = {run.job_id for run in plan.runs if is_run(run)}
    for job in plan.jobs:
        missing = [other for other in job.after if other not in completed]
        if missing and job.id not in begun:
            yield PlanWarning(
                "JC107",
                (job.id, *missing),
                f"{job.id} does not begin, since {' and '.join(missing)} "
                f"{'does' if len(missing) == 1 else 'do'} not complete in this time",
            )


def _doubtful(plan: RunPlan) -> Iterator[PlanWarning]:
    for job in plan.jobs:
        for line in advice(job.schedule) if job.schedule is not None else ():
            yield PlanWarning("JC108", (job.id,), f"{job.id}: {line}")
