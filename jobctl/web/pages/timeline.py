"""The timeline: the last and the next 24 hours, a lane a job, with runs, planned slots, and what went wrong with them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from jobctl.durations import format_duration
from jobctl.managers.board import Board, who_schedules
from jobctl.model import Job, RunStatus
from jobctl.schedules.excluding import Excluding, why_excluded
from jobctl.store.glances import RunGlance, SkippedGlance
from jobctl.store.records import JobRecord, is_scheduled
from jobctl.web.pages.overview import Part, Query, found_lines
from jobctl.web.pages.reader import Reader
from jobctl.web.pages.rendering import dated

SPAN = timedelta(hours=24)
PER_PAGE = 30
WIDTH = 960
"""Of the 48 hours, in units of the drawing."""
_MOST_RUNS = 200
_MOST_SLOTS = 96
_LEAST_WIDTH = 2.0
_TICK = timedelta(hours=6)


class RunMark(NamedTuple):
    """A run in a lane."""

    run_id: str
    status: str
    x: float
    width: float
    title: str


class SlotMark(NamedTuple):
    """A due time in a lane."""

    x: float
    title: str


class Lane(NamedTuple):
    """A job over time.

    Attributes:
        band: where the slots are too many to be drawn: from there on, and in words.
        skipped: slots that were not run, since a run was in their way or their date is excluded.
        excluded: slots to come that will not be run, the first on each excluded date.
        late: a slot that has not begun.
    """

    job_id: str
    state: str
    runs: list[RunMark]
    slots: list[SlotMark]
    band: SlotMark | None
    skipped: list[RunMark]
    excluded: list[SlotMark]
    late: SlotMark | None


def timeline(reader: Reader, query: Query) -> dict[str, Any]:
    """What the template shows."""
    store = reader.store()
    now, presence = reader.clock.now(), reader.presence
    _, found = found_lines(reader, query)
    part = Part.of(found, query.page, PER_PAGE)
    ids = [line.id for line in part.lines]
    records = store.jobs(ids)
    latest = store.latest_runs(ids, _MOST_RUNS)
    skipped = store.skipped_runs(ids, now - SPAN)
    board = Board(reader.mode, presence, (), now)
    lanes = []
    for line in part.lines:
        known, record = reader.jobs.get(line.id), records.get(line.id)
        slots, band = _slots(known.job if known else None, record, now) if board.is_scheduled else ([], None)
        late = None
        if line.state == "late" and record is not None and record.next_run is not None:
            late = SlotMark(
                max(0.0, _x(record.next_run, now)), f"due {dated(record.next_run)}, and not begun"
            )
        runs = _runs(latest.get(line.id, ()), now)
        excluded = _excluded(known.job if known else None, record, now) if board.is_scheduled else []
        marks = [_skipped(run, now) for run in skipped[line.id]]
        lanes.append(Lane(line.id, line.state, runs, slots, band, marks, excluded, late))
    jobs = [known.job for job_id in ids if (known := reader.jobs.get(job_id))]
    return {
        "now": now,
        "query": query,
        "who": who_schedules(board),
        "is_scheduled": board.is_scheduled,
        "lanes": lanes,
        "part": part,
        "width": WIDTH,
        "ticks": [_tick(now + number * _TICK, now) for number in range(-4, 5)],
        "changes": clock_changes({job.schedule.timezone for job in jobs if job.schedule}, now),
    }


def _skipped(run: SkippedGlance, now: datetime) -> RunMark:
    title = f"skipped at {dated(run.at)}: {run.error or 'it was not run'}"
    return RunMark(run.id, RunStatus.SKIPPED.value, _x(run.at, now), 0, title)


def _x(instant: datetime, now: datetime) -> float:
    return round(WIDTH * ((instant - now) / (2 * SPAN) + 0.5), 1)


def _tick(instant: datetime, now: datetime) -> str:
    return "now" if instant == now else f"{instant.astimezone():%a %H:%M}"


def _runs(runs: Sequence[RunGlance], now: datetime) -> list[RunMark]:
    """Bars, oldest first; runs that would overlap at the least width are one bar, with the worst outcome."""
    found: list[RunMark] = []
    for run in runs:
        end = run.started_at + run.duration if run.duration is not None else now
        if end < now - SPAN:
            continue
        x = max(0.0, _x(run.started_at, now))
        width = max(_LEAST_WIDTH, round(_x(end, now) - x, 1))
        took = f", {format_duration(run.duration)}" if run.duration is not None else ""
        mark = RunMark(
            run.id, run.status.value, x, width, f"{run.status.value}, {dated(run.started_at)}{took}"
        )
        before = found[-1] if found else None
        if before is not None and x < before.x + before.width and max(before.width, width) <= _LEAST_WIDTH:
            if run.status is RunStatus.COMPLETED:
                continue
            found.pop()
        found.append(mark)
    return found


def _slots(
    job: Job | None, record: JobRecord | None, now: datetime
) -> tuple[list[SlotMark], SlotMark | None]:
    """The planned slots of the next 24 hours; a band instead where they are very many."""
    if job is None or job.schedule is None or not is_scheduled(job, record):
        return [], None
    at = record.next_run if record and record.next_run and record.next_run > now else None
    anchor = at or now
    if at is None:
        at = job.schedule.next_after(now, anchor)
    found: list[SlotMark] = []
    while at <= now + SPAN:
        if len(found) >= _MOST_SLOTS:
            return [], SlotMark(found[0].x, f"{job.schedule_text}, from {found[0].title} on")
        found.append(SlotMark(_x(at, now), dated(at)))
        at = job.schedule.next_after(at, anchor)
    return found, None


def _excluded(job: Job | None, record: JobRecord | None, now: datetime) -> list[SlotMark]:
    """Slots of the next 24 hours that are on an excluded date."""
    if job is None or not isinstance(job.schedule, Excluding) or not is_scheduled(job, record):
        return []
    times = job.schedule.left_out(now, now + SPAN, record.anchor if record else now)
    return [SlotMark(_x(time, now), f"{dated(time)}: {why_excluded(job.schedule, time)}") for time in times]


def clock_changes(zones: Iterable[str], now: datetime) -> list[SlotMark]:
    """Where the clocks of a zone are changed within the 48 hours."""
    found = []
    for name in sorted(zones):
        zone = ZoneInfo(name)
        hours = [now - SPAN + timedelta(hours=number) for number in range(49)]
        for before, after in pairwise(hours):
            if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
                at = after.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
                found.append(SlotMark(_x(at, now), f"the clocks change in {name} at about {dated(at)}"))
    return found
