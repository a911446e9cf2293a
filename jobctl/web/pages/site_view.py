"""The page of an Ever Works site: what the analytics jobs found, and the reports that were made."""

import errno
import os
import re
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from starlette.responses import Response

from jobctl.errors import StoreError, UnknownRunError, reason_of
from jobctl.site.analytics.results import (
    ACTIVITY_TRENDS,
    ANALYTICS,
    PERFORMANCE,
    RECENT_ACTIVITY,
    TOP_ITEMS,
    USER_GROWTH,
    Analytic,
)
from jobctl.site.reports.periods import REPORTS
from jobctl.store.records import CachedResult
from jobctl.web.pages.charts import bar_chart, line
from jobctl.web.pages.reader import Reader
from jobctl.web.pages.rendering import HEADERS, in_pieces

FOLDER = "reports"
_MOST_REPORTS = 60
_FILE = re.compile(r"(report-[a-z-]{1,60})-([0-9A-Z-]{4,12})\.(html|csv|json)", re.ASCII)
_TYPES = {"html": "text/html", "csv": "text/csv", "json": "application/json"}
_OF_REPORT = {
    **HEADERS,
    # a report is a document of its own, with its styles in it, as it is mailed: it may load and run nothing
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " frame-ancestors 'none'",
}


class Finding(NamedTuple):
    """What an analytics job found, for one window.

    Attributes:
        window: how much it covers, and how much it could, as numbers of ``analytic.unit``; 0 without windows.
        chart: what the template draws; None where there is nothing.
    """

    analytic: Analytic
    window: int
    windows: tuple[int, ...]
    result: CachedResult | None
    is_old: bool
    chart: Any


class Report(NamedTuple):
    """A report, with its files by their endings."""

    title: str
    job_id: str
    period: str
    made_at: datetime
    files: dict[str, str]


def site_page(reader: Reader, query: Mapping[str, str]) -> dict[str, Any]:
    """What the template shows.

    Args:
        query: the window of an analytic by its name, such as ``user-growth=24``.
    """
    kept = {each.key: each for each in reader.store().cached()}
    now = reader.clock.now()
    return {
        "findings": {each.name: _finding(each, kept, query.get(each.name, ""), now) for each in ANALYTICS},
        "reports": _reports(reader.project.state / FOLDER),
    }


def _finding(analytic: Analytic, kept: Mapping[str, CachedResult], chosen: str, now: datetime) -> Finding:
    windows = analytic.windows
    is_list = analytic in {TOP_ITEMS, RECENT_ACTIVITY}  # a long one pushes the others away
    window = windows[0 if is_list else (len(windows) - 1) // 2] if windows else 0
    if chosen.isascii() and chosen.isdecimal() and len(chosen) < 4 and int(chosen) in windows:
        window = int(chosen)
    result = kept.get(analytic.key(window) if windows else analytic.prefix)
    chart = _CHARTS[analytic](result.value) if result is not None and result.value else None
    return Finding(analytic, window, windows, result, result is not None and result.expires_at <= now, chart)


def _growth(value: Any) -> Any:
    return {
        "chart": bar_chart([(each["month"], each["users"]) for each in value], "new users"),
        "new": value[-1]["users"],
        "all": value[-1]["active"],
    }


def _trends(value: Any) -> Any:
    return [
        line(kind, [(each["day"], each[kind]) for each in value]) for kind in ("views", "votes", "comments")
    ]


def _top(value: Any) -> Any:
    most = max(each["votes"] for each in value) or 1
    return [{**each, "share": each["votes"] / most} for each in value]


def _recent(value: Any) -> Any:
    return [{**each, "at": datetime.fromisoformat(each["timestamp"])} for each in value]


def _performance(value: Any) -> Any:
    def ms(number: float | None) -> str:
        return "–" if number is None else f"{number:,.1f} ms"

    rate = value["cacheHitRate"]
    return {
        "answered by the cache": "–" if rate is None else f"{rate:.1%}",
        "queries": f"{value['totalQueries']:,}",
        "mean time of a query": ms(value["averageQueryTime"]),
        "database round trip": ms(value["databaseRoundTrip"]),
    }


_CHARTS = {
    USER_GROWTH: _growth,
    ACTIVITY_TRENDS: _trends,
    TOP_ITEMS: _top,
    RECENT_ACTIVITY: _recent,
    PERFORMANCE: _performance,
}


def _reports(folder: Path) -> list[Report]:
    """The newest reports, newest first."""
    titles = {each.job_id: each.title for each in REPORTS.values()}
    found: dict[tuple[str, str], Report] = {}
    try:
        entries = [(entry.name, entry.stat(follow_symlinks=False)) for entry in os.scandir(folder)]
    except OSError:
        return []
    for file_name, state in entries:
        name = _FILE.fullmatch(file_name)
        if name is None or not stat.S_ISREG(state.st_mode):
            continue
        job_id, period, ending = name.groups()
        made = datetime.fromtimestamp(state.st_mtime, UTC)
        report = found.setdefault(
            (job_id, period), Report(titles.get(job_id, job_id), job_id, period, made, {})
        )
        report.files[ending] = file_name
    newest = sorted(found.values(), key=lambda report: report.made_at, reverse=True)
    return newest[:_MOST_REPORTS]


def report_file(reader: Reader, name: str) -> Response:
    """A file of a report.

    Raises:
        UnknownRunError: there is no such file.
        StoreError: it cannot be read.
    """
    matched = _FILE.fullmatch(name)
    try:
        if matched is None:
            raise FileNotFoundError
        descriptor = os.open(
            reader.project.state / FOLDER / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        )
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotFoundError
        file = os.fdopen(descriptor, "rb")
    except OSError as error:
        if error.errno in {None, errno.ENOENT, errno.ELOOP}:  # ELOOP: it is a link
            raise UnknownRunError("there is no such report", hint="see the page of the site") from None
        raise StoreError(f"the report cannot be read: {reason_of(error)}") from None
    ending = matched[3]
    headers = {**_OF_REPORT, "Content-Type": f"{_TYPES[ending]}; charset=utf-8"}
    if ending != "html":
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return in_pieces(file, headers)
