"""The overview: who schedules, what needs attention, and a row for each job."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple
from urllib.parse import urlencode

from jobctl.clock import from_ms, to_ms
from jobctl.durations import milliseconds
from jobctl.managers.board import LATE, Board, who_schedules
from jobctl.managers.status import state_of
from jobctl.model import AFTER, Job, JobStatus, RunStatus
from jobctl.modes import Mode
from jobctl.scheduler.liveness import Presence
from jobctl.schedules import parse_schedule
from jobctl.schedules.words import in_words
from jobctl.store.base import RunStore
from jobctl.store.glances import JobGlance
from jobctl.web.pages.reader import Reader
from jobctl.web.pages.strip import MOST, Strip, strip

PER_PAGE = 50
_MOST_TROUBLE = 5
_STATES = ("failed", "late", "running", "completed", "scheduled", "stopped")
_RANKS = {"failed": 0, "late": 1, "running": 2, "completed": 3, "scheduled": 3, "stopped": 4}
_LONGEST_QUERY = 100


class Line(NamedTuple):
    """A job as the list sorts and filters it. Times are in milliseconds."""

    id: str
    name: str
    state: str
    last: int | None
    next: int | None
    spent: int | None
    unmet: str | None


_SORTS: dict[str, tuple[str, Callable[[Line], Any]]] = {
    "urgency": ("urgency", lambda line: _RANKS[line.state]),
    "name": ("name", attrgetter("id")),
    "last": ("newest run", lambda line: -(line.last or 0)),
    "next": ("next run", lambda line: line.next or 1 << 62),
    "duration": ("longest run", lambda line: -(line.spent or 0)),
}


class Query(NamedTuple):
    """What the visitor wants to see."""

    text: str = ""
    state: str = ""
    sort: str = "urgency"
    group: str = ""
    page: int = 1

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Query":
        """From the query of the address; what is not valid is left out."""
        state, sort, page = values.get("state", ""), values.get("sort", ""), values.get("page", "")
        return cls(
            values.get("q", "").strip()[:_LONGEST_QUERY],
            state if state in _STATES else "",
            sort if sort in _SORTS else "urgency",
            values.get("group", "").strip()[:_LONGEST_QUERY],
            int(page) if page.isascii() and page.isdecimal() and 0 < len(page) < 7 and int(page) else 1,
        )

    def address(self, **changes: Any) -> str:
        """The query of the address, with changes; without what is as at first."""
        new = self._replace(**changes)
        names = {"text": "q"}
        values = {
            names.get(name, name): value
            for name, value in new._asdict().items()
            if value != Query._field_defaults[name]
        }
        return f"?{urlencode(values)}" if values else "?"


class Row(NamedTuple):
    """A job in the list.

    Attributes:
        state: of ``_STATES``, or ``retrying``.
        late: since when it is late.
        is_known: whether the catalogue has it; else it can only be shown.
    """

    job: Job
    status: JobStatus
    state: str
    late: datetime | None
    strip: Strip
    is_known: bool


class Trouble(NamedTuple):
    """What needs attention.

    Attributes:
        unmet: reasons why jobs are stopped, with the ids of the jobs.
    """

    failed: list[Row]
    late: list[Row]
    unmet: list[tuple[str, list[str]]]
    counts: Mapping[str, int]

    @property
    def is_any(self) -> bool:
        """Whether there is any."""
        return bool(self.failed or self.late or self.unmet)


class Part(NamedTuple):
    """A part of a list that is too long to be shown at once.

    Attributes:
        number: of this part, from 1.
        first: the place of its first line in the list, from 1.
        total: the length of the list.
    """

    lines: list[Line]
    number: int
    parts: int
    first: int
    total: int

    @classmethod
    def of(cls, lines: list[Line], number: int, size: int) -> "Part":
        """A part of the list; the last where it has fewer.

        Args:
            size: the most lines in each.
        """
        parts = max(1, -(-len(lines) // size))
        number = min(number, parts)
        begin = (number - 1) * size
        return cls(lines[begin : begin + size], number, parts, begin + 1, len(lines))


def found_lines(reader: Reader, query: Query) -> tuple[list[Line], list[Line]]:
    """All jobs, and those that the visitor wants to see, in that order."""
    if reader.mode is Mode.TRIGGER_DEV:
        lines = [_line_there(status) for status in reader.statuses_there()[0].values()]
        return lines, _filtered(lines, query)
    lines = _lines(reader, reader.job_glances(), reader.clock.now(), reader.presence)
    return lines, _filtered(lines, query)


def overview(reader: Reader, query: Query) -> dict[str, Any]:
    """What the template shows."""
    store = reader.store()
    now, presence, mode = reader.clock.now(), reader.presence, reader.mode
    lines, found = found_lines(reader, query)
    counts = Counter([line.state for line in lines])
    groups = _groups(lines)
    part = Part.of(found, query.page, PER_PAGE)
    urgent = {
        state: list(
            islice((line for line in lines if line.state == state), min(counts[state], _MOST_TROUBLE))
        )
        for state in ("failed", "late")
    }
    chosen = {line.id: line for line in (*part.lines, *urgent["failed"], *urgent["late"])}
    rows = _rows(reader, store, chosen, now)
    unmet: dict[str, list[str]] = {}
    for line in lines:
        if line.unmet:
            unmet.setdefault(line.unmet, []).append(line.id)
    error = reader.statuses_there()[1] if mode is Mode.TRIGGER_DEV else None
    board = Board(mode, presence, (), now, error)
    return {
        "now": now,
        "query": query,
        "who": who_schedules(board),
        "is_scheduled": board.is_scheduled,
        "schedules_here": presence.running,
        "rows": [rows[line.id] for line in part.lines if line.id in rows],
        "total": len(lines),
        "part": part,
        "counts": counts,
        "states": [state for state in _STATES if counts[state] or query.state == state],
        "sorts": {name: words for name, (words, _) in _SORTS.items()},
        "groups": groups,
        "trouble": Trouble(
            [rows[line.id] for line in urgent["failed"] if line.id in rows],
            [rows[line.id] for line in urgent["late"] if line.id in rows],
            sorted(unmet.items()),
            counts,
        ),
        "strip_width": MOST * 7,
    }


def _line_there(status: JobStatus) -> Line:
    """A job as Trigger.dev has it."""
    last, planned = (to_ms(time) if time else None for time in (status.last_run, status.next_run))
    return Line(
        status.id, status.name, status.status.value, last, planned, milliseconds(status.duration), None
    )


def _lines(reader: Reader, glances: Sequence[JobGlance], now: datetime, presence: Presence) -> list[Line]:
    """The catalogue's jobs, then those that another program or project schedules. As fast as 10,000 jobs need it."""
    now_ms = to_ms(now)
    late_before = now_ms - int(LATE.total_seconds() * 1000) if presence.running else -1
    recorded = {glance[0]: glance for glance in glances}
    late_ids = reader.late_ids()
    lines: list[Line] = []
    for job_id, known in reader.jobs.items():
        job, is_off, is_manual = known
        glance = recorded.get(job_id)
        if glance is None:
            state = _STATE_TEXTS[None, is_off, is_manual]
            lines.append(Line(job_id, job.name, state, None, None, None, job.unmet))
            continue
        _, _, _, due, stopped, _, status, started, spent = glance
        is_off = is_off or stopped is not None
        state = _STATE_TEXTS[status, is_off, is_manual]
        is_overdue = due is not None and due <= late_before and not is_off and state in _MAY_BE_LATE
        if is_overdue or (job_id in late_ids and state != "failed"):
            state = "late"
        lines.append(Line(job_id, job.name, state, started, None if is_off else due, spent, job.unmet))
    for job_id in recorded.keys() - reader.jobs.keys():
        _, name, schedule, due, stopped, _, status, started, spent = recorded[job_id]
        is_planned = due is not None and due > now_ms
        if status == RunStatus.RUNNING or (schedule and (is_planned or stopped is not None)):
            state = _STATE_TEXTS[status, stopped is not None or not schedule, False]
            lines.append(Line(job_id, name, state, started, due, spent, None))
    return lines


_STATE_TEXTS: dict[tuple[str | None, bool, bool], str] = {
    (status.value if status else None, is_off, is_manual): state_of(
        status, is_off=is_off, is_manual=is_manual
    ).value
    for status in (None, *RunStatus)
    for is_off in (False, True)
    for is_manual in (False, True)
}
"""The state of a job by the status of its last run, whether it is off its schedule, and whether it has none."""
_MAY_BE_LATE = frozenset({"completed", "scheduled"})


def _filtered(lines: Iterable[Line], query: Query) -> list[Line]:
    found = list(lines)
    if query.state:
        found = [line for line in found if line.state == query.state]
    if query.group:
        prefix = f"{query.group}-"
        found = [line for line in found if line.id.startswith(prefix) or line.id == query.group]
    for word in query.text.lower().split():
        found = [line for line in found if word in line.id or word in line.name.lower()]
    found.sort(key=_SORTS[query.sort][1])
    return found


def _groups(lines: Iterable[Line]) -> list[tuple[str, int]]:
    """The first parts of ids that several jobs share, with their numbers; the largest first."""
    counts = Counter([line.id.partition("-")[0] for line in lines])
    return [(name, count) for name, count in counts.most_common(12) if count > 1]


def _rows(reader: Reader, store: RunStore, wanted: Mapping[str, Line], now: datetime) -> dict[str, Row]:
    records = {} if reader.mode is Mode.TRIGGER_DEV else store.jobs(list(wanted))
    runs = store.latest_runs([job_id for job_id in wanted if job_id in records], MOST)
    rows = {}
    for job_id, line in wanted.items():
        found = reader.status(job_id, records.get(job_id), now)
        if found is None:
            continue  # removed meanwhile
        job, status = found
        state = "retrying" if status.retry_at is not None else line.state
        overdue_since = from_ms(line.next) if line.next is not None else None
        late = (status.late_since or overdue_since) if state == "late" else None
        rows[job_id] = Row(job, status, state, late, strip(runs.get(job_id, ()), now), job_id in reader.jobs)
    return rows


def schedule_words(status: JobStatus) -> str:
    """The schedule in words, as it is written, and with its zone, for a title."""
    if status.schedule is None:
        return "no schedule: manual only"
    if status.schedule.startswith(AFTER):
        return status.schedule
    words = in_words(parse_schedule(status.schedule, status.timezone))
    return f"{words}: {status.schedule} ({status.timezone})"
