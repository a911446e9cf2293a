"""What ``plan`` shows: a timeline with a lane for each job, totals and warnings; or a row for each run."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobctl.cli.terminal import Terminal, rows
from jobctl.cli.times import ms, zone_names, zulu
from jobctl.clock import iso
from jobctl.durations import format_duration, milliseconds
from jobctl.planning.plan import LONG_WAIT, MissedSlots, Outcome, PlannedRun, RunPlan, is_run
from jobctl.text import counted

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from jobctl.planning.plan_warnings import PlanWarning

_TITLES = ("BEGINS", "ENDS", "JOB", "OUTCOME", "SLOT", "WAITED_MS")
_WIDEST_ID = 32
_LEAST_ID = 12
_LABEL = 6
_STEPS = [timedelta(minutes=m) for m in (1, 5, 10, 30)] + [timedelta(hours=h) for h in (1, 2, 3, 6, 12, 24)]
_MOST_LABELS = 1000
_SIGNS = {
    "": ("·", ".", "dim"),
    "run": ("━", "=", "green"),
    "late": ("≈", "~", "yellow"),
    "skipped": ("×", "x", "red"),
}
"""What a cell of a lane shows, its ASCII form and its style; a later entry is shown before an earlier one."""
_ORDER = list(_SIGNS)


def piped(plan: RunPlan, *, header: bool) -> Iterable[str]:
    """A line per run and skipped slot, separated by tabs; missed slots have a row for all between two runs."""
    return rows(_TITLES, map(_record, plan.runs), header=header)


def _record(run: PlannedRun) -> tuple[str, ...]:
    return (
        zulu(run.begins_at),
        zulu(run.ends_at),
        run.job_id,
        run.outcome.value,
        zulu(run.slot),
        ms(run.waited),
    )


def document(plan: RunPlan, warnings: "Sequence[PlanWarning]") -> dict[str, Any]:
    """The plan as ``--json`` shows it."""
    of_job = _by_job(plan.runs)
    missed = _by_job(plan.missed)
    busiest = plan.busiest
    return {
        "from": iso(plan.begin),
        "to": iso(plan.end),
        "workers": plan.workers,
        "jobs": [
            {
                "id": job.id,
                "runs": sum(map(is_run, of_job[job.id])),
                "skipped": sum(not is_run(run) for run in of_job[job.id]),
                "missed": sum(slots.count for slots in missed[job.id]),
                "assumed_ms": milliseconds(plan.durations[job.id]),
                "longest_wait_ms": milliseconds(max((run.waited for run in of_job[job.id]), default=None)),
            }
            for job in plan.jobs
        ],
        "left_out": [{"id": job_id, "reason": reason} for job_id, reason in plan.left_out.items()],
        "most_at_once": plan.most_at_once,
        "busiest_minute": {"at": iso(busiest.at), "runs": busiest.count} if busiest else None,
        "clock_changes": [
            {
                "job_id": change.job_id,
                "at": iso(change.at),
                "timezone": change.timezone,
                "note": change.note,
            }
            for change in plan.clock_changes()
        ],
        "warnings": list(map(warning_document, warnings)),
        "missed": [
            {
                "job_id": slots.job_id,
                "count": slots.count,
                "first": iso(slots.first),
                "last": iso(slots.last),
            }
            for slots in plan.missed
        ],
        "runs": [
            {
                "job_id": run.job_id,
                "slot": iso(run.slot) if run.slot else None,
                "begins_at": iso(run.begins_at),
                "ends_at": iso(run.ends_at),
                "outcome": run.outcome.value,
                "waited_ms": milliseconds(run.waited),
            }
            for run in plan.runs
        ],
    }


def warning_document(warning: "PlanWarning") -> dict[str, Any]:
    """A warning as ``--json`` shows it."""
    return {"code": warning.code, "jobs": list(warning.jobs), "text": warning.text}


def _by_job(found: Iterable[Any]) -> dict[str, list[Any]]:
    by_job: dict[str, list[Any]] = defaultdict(list)
    for entry in found:
        by_job[entry.job_id].append(entry)
    return by_job


def screen(
    plan: RunPlan, warnings: "Sequence[PlanWarning]", terminal: Terminal
) -> "Iterator[RenderableType]":
    """The timeline, totals and warnings."""
    yield terminal.heading(span(plan))
    if plan.jobs:
        yield from _timeline(plan, terminal)
        yield _legend(terminal)
    yield from _totals(plan)
    for warning in warnings:
        yield terminal.hanging(f"{warning.code}: ", warning.text, "yellow")
    by_reason: dict[str, list[str]] = defaultdict(list)
    for job_id, why in plan.left_out.items():
        by_reason[why].append(job_id)
    for why, job_ids in by_reason.items():
        yield terminal.text(f"off schedule, since {why}: {', '.join(job_ids)}", "dim")


def span(plan: RunPlan) -> str:
    """``Sun 2027-03-28 00:00 to Mon 2027-03-29 00:00, CET/CEST``."""
    begin, end = (f"{time.astimezone():%a %Y-%m-%d %H:%M}" for time in (plan.begin, plan.end))
    return f"{begin} to {end}, {zone_names((plan.begin, plan.end))}"


def _timeline(plan: RunPlan, terminal: Terminal) -> "Iterator[Text]":
    runs, missed = _by_job(plan.runs), _by_job(plan.missed)
    longest = max(len(job.id) for job in plan.jobs)
    head = min(longest, _WIDEST_ID, max(_LEAST_ID, terminal.width // 3))
    tail = max(len(f"{max(map(len, runs.values()), default=0):,}"), 4)
    width = terminal.width - head - tail - 4
    scale = _Scale(plan.begin, plan.end, width)
    labels = "".join(scale.labels())
    yield terminal.text(f"{'':{head}}  {labels:{width}}  {'RUNS':>{tail}}", "bold")
    for job in plan.jobs:
        name = job.id if len(job.id) <= head else job.id[: head - 1] + ("…" if terminal.unicode else ">")
        line = terminal.text(f"{name:{head}}  ")
        for sign in scale.lane(runs[job.id], missed[job.id]):
            unicode, plain, style = _SIGNS[sign]
            line.append(unicode if terminal.unicode else plain, style)
        line.append(f"  {sum(map(is_run, runs[job.id])):>{tail},}")
        yield line


def _legend(terminal: Terminal) -> "Text":
    line = terminal.text("")
    for sign, meaning in (
        ("run", "runs"),
        ("late", "begins over a minute late"),
        ("skipped", "skipped, missed"),
    ):
        unicode, plain, style = _SIGNS[sign]
        line.append("  " if line.plain else "").append(unicode if terminal.unicode else plain, style)
        line.append(f" {meaning}", "dim")
    return line


class _Scale:
    """Time on ``width`` cells."""

    def __init__(self, begin: datetime, end: datetime, width: int) -> None:
        self._begin = begin
        self._end = end
        self._width = width
        self._cell = (end - begin) / width

    def _at(self, instant: datetime) -> int:
        return min(self._width - 1, max(0, int((instant - self._begin) / self._cell)))

    def labels(self) -> list[str]:
        """The characters of a line with the hours of this machine's zone."""
        line = [" "] * self._width
        step = next((step for step in _STEPS if step / self._cell >= _LABEL), _STEPS[-1])
        by_day = (self._end - self._begin) / self._width * _LABEL > _STEPS[-1]
        local = self._begin.astimezone()
        time = local.replace(hour=0, minute=0, second=0, microsecond=0)
        free_from = 0
        for _ in range(_MOST_LABELS):
            instant = time.astimezone()
            if instant >= self._end:
                break
            text = f"{instant:%d}" if by_day else f"{instant:%H:%M}"
            place = int((instant - self._begin) / self._cell)
            if free_from <= place <= self._width - len(text):
                line[place : place + len(text)] = text
                free_from = place + _LABEL
            time = instant + step
        return line

    def lane(self, runs: Sequence[PlannedRun], missed: Sequence[MissedSlots]) -> list[str]:
        """What each cell shows."""
        lane = [""] * self._width

        def mark(sign: str, first: datetime, last: datetime) -> None:
            for at in range(self._at(first), self._at(last) + 1):
                lane[at] = max(lane[at], sign, key=_ORDER.index)

        for run in runs:
            if run.outcome is Outcome.SKIPPED:
                mark("skipped", run.begins_at, run.begins_at)
            elif is_run(run):
                late = run.waited > LONG_WAIT
                mark("late" if late else "run", run.begins_at, run.ends_at)
        for slots in missed:
            mark("skipped", slots.first, slots.last)
        return lane


def _totals(plan: RunPlan) -> Iterator[str]:
    begun = sum(map(is_run, plan.runs))
    jobs = counted(len(plan.jobs), "job")
    if not begun:
        yield f"{jobs}, no run"
        return
    yield f"{jobs}, {counted(begun, 'run')}, at most {plan.most_at_once:,} at once on {counted(plan.workers, 'worker')}"
    if busiest := plan.busiest:
        begins = "begins" if busiest.count == 1 else "begin"
        minute = f"{busiest.at.astimezone():%a %Y-%m-%d %H:%M}"
        yield f"busiest minute: {minute}, {counted(busiest.count, 'run')} {begins}"
    skipped = sum(run.outcome is Outcome.SKIPPED for run in plan.runs)
    late = plan.waiting_long()
    missed = sum(slots.count for slots in plan.missed)
    troubles = [
        f"{counted(skipped, 'slot')} skipped" if skipped else "",
        f"{counted(missed, 'slot')} missed" if missed else "",
        f"{counted(len(late), 'slot')} more than a minute late, at most"
        f" {format_duration(max(run.waited for run in late))}"
        if late
        else "",
    ]
    yield ", ".join(filter(None, troubles)) or "no slot is skipped, missed or late"
