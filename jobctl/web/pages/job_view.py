"""A job: its definition, how long its runs take, and its history."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from jobctl.catalogue.catalogue import unknown_job
from jobctl.catalogue.definition import definition
from jobctl.durations import format_duration
from jobctl.managers.board import Board
from jobctl.memory_limit import MIB
from jobctl.model import Run, RunStatus, Status
from jobctl.modes import Mode
from jobctl.store.logs import FOLDER, log_usage
from jobctl.web.pages.reader import Reader
from jobctl.web.pages.strip import strip

PER_PAGE = 25
MOST_SHOWN = 1000
MOST_IN_CHART = 100
_STATUSES = ("failed", "completed", "skipped", "cancelled", "running")
_CHART_WIDTH, _CHART_HEIGHT = 800, 150


class HistoryQuery(NamedTuple):
    """Which runs the visitor wants to see."""

    status: str = ""
    limit: int = PER_PAGE

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "HistoryQuery":
        """From the query of the address; what is not valid is left out."""
        status, limit = values.get("status", ""), values.get("limit", "")
        is_number = limit.isascii() and limit.isdecimal() and 0 < len(limit) < 6
        number = min(MOST_SHOWN, max(1, int(limit))) if is_number else PER_PAGE
        return cls(status if status in _STATUSES else "", number)


def history(reader: Reader, job_id: str | None, query: HistoryQuery) -> dict[str, Any]:
    """Runs, newest first, of one job or of all."""
    statuses = [RunStatus(query.status)] if query.status else []
    runs = reader.runs(job_id, statuses, query.limit + 1)
    more = min(MOST_SHOWN, query.limit * 2) if len(runs) > query.limit and query.limit < MOST_SHOWN else 0
    return {"runs": runs[: query.limit], "history": query, "statuses": _STATUSES, "more": more}


def job_page(reader: Reader, job_id: str, query: HistoryQuery) -> dict[str, Any]:
    """What the template shows.

    Raises:
        UnknownJobError: neither the catalogue nor the run store has the job.
    """
    store = reader.store()
    now, presence, mode = reader.clock.now(), reader.presence, reader.mode
    record, known = store.job(job_id), reader.jobs.get(job_id)
    found = reader.status(job_id, record, now)
    if found is None:
        raise unknown_job(job_id, reader.jobs)
    job, status = found
    error = reader.statuses_there()[1] if mode is Mode.TRIGGER_DEV else None
    due = {job_id: record.next_run} if record and record.next_run and record.next_run <= now else {}
    board = Board(mode, presence, (status,), now, error, due=due)
    late = board.late_since(status) if status.status is not Status.FAILED else None
    totals = store.metrics(job_id).jobs
    latest = store.latest_runs([job_id], MOST_IN_CHART)[job_id]
    return {
        "now": now,
        "job": job,
        "status": status,
        "state": "late" if late else "retrying" if status.retry_at else status.status.value,
        "late": late,
        "is_known": known is not None,
        "is_scheduled": board.is_scheduled,
        "missed": record.missed if record else 0,
        "notified": record.failure_notified if record else False,
        "last_success": record.last_success if record else None,
        "waiting": store.waiting(job_id, limit=10),
        "totals": totals[0] if totals else None,
        "chart": chart(latest, totals[0].p50 if totals else None, totals[0].p95 if totals else None, now),
        "settings": definition(job, reader.project.environment.mask) if known else [],
        "actions": store.actions(job_id, limit=10),
        "notifications": store.notifications(job_id),
        "logs": _logs(reader, job_id),
        **history(reader, job_id, query),
    }


class Chart(NamedTuple):
    """The durations of the newest runs as bars, with the lines of the percentiles."""

    width: int
    height: int
    bars: list[Any]
    lines: list[tuple[str, float, str]]
    top: str


def chart(runs: Sequence[Any], p50: timedelta | None, p95: timedelta | None, now: Any) -> Chart | None:
    """The chart; None where fewer than two runs have ended."""
    ended = [run for run in runs if run.duration is not None]
    if len(ended) < 2:
        return None
    longest = max(*(run.duration for run in ended), p95 or timedelta(0)).total_seconds() or 0.001
    step = _CHART_WIDTH / max(len(ended), 20)
    titles = {bar.run_id: bar.title for bar in strip(ended, now).bars}
    bars = []
    for at, run in enumerate(ended):
        height = max(2.0, _CHART_HEIGHT * run.duration.total_seconds() / longest)
        x = _CHART_WIDTH - (len(ended) - at) * step
        bars.append(
            {
                "run_id": run.id,
                "status": run.status.value,
                "x": round(x + step * 0.14, 1),
                "y": round(_CHART_HEIGHT - height, 1),
                "width": round(step * 0.72, 1),
                "height": round(height, 1),
                "title": titles[run.id],
            }
        )
    lines = [
        (name, round(_CHART_HEIGHT * (1 - value.total_seconds() / longest), 1), format_duration(value))
        for name, value in (("p50", p50), ("p95", p95))
        if value is not None
    ]
    return Chart(_CHART_WIDTH, _CHART_HEIGHT, bars, lines, format_duration(timedelta(seconds=longest)))


def _logs(reader: Reader, job_id: str) -> str:
    try:
        size = log_usage(reader.project.state / FOLDER, job_id, 0).size
    except OSError:
        return ""
    return f"{size / MIB:,.1f} MiB on this machine" if size else ""


def of_run(run: Run) -> str:
    """Why a run was skipped, or has failed, in one line."""
    text = run.error or (run.reason.value if run.reason else "")
    return text.partition("\n")[0]
