"""The views that only read."""

from starlette.responses import Response

from jobctl.errors import StoreError, reason_of
from jobctl.managers.rerun import unknown_run
from jobctl.model import Run
from jobctl.modes import explain
from jobctl.web.pages import job_view, run_view, site_view
from jobctl.web.pages import overview as jobs
from jobctl.web.pages import timeline as lanes
from jobctl.web.pages.rendering import HEADERS, in_pieces
from jobctl.web.pages.visit import Visit

_MOST_ACTIONS = 200


def overview(visit: Visit) -> Response:
    """Who schedules, what needs attention, and all jobs."""
    query = jobs.Query.read(visit.query)
    context = jobs.overview(visit.page.reader, query)
    return visit.show("overview.html", {**context, "schedule_words": jobs.schedule_words})


def job(visit: Visit) -> Response:
    """One job."""
    query = job_view.HistoryQuery.read(visit.query)
    context = job_view.job_page(visit.page.reader, visit.request.path_params["id"], query)
    return visit.show("job.html", {**context, "why": job_view.of_run, "one_job": True})


def runs(visit: Visit) -> Response:
    """The newest runs of all jobs."""
    context = job_view.history(visit.page.reader, None, job_view.HistoryQuery.read(visit.query))
    return visit.show("runs.html", {**context, "why": job_view.of_run, "one_job": False})


def run(visit: Visit) -> Response:
    """One run."""
    is_whole = visit.query.get("log") == "whole"
    found = run_view.run_page(visit.page.reader, visit.request.path_params["id"], whole_log=is_whole)
    return visit.show("run.html", found)


def log(visit: Visit) -> Response:
    """The log of a run, to keep."""
    reader = visit.page.reader
    found = run_view.find(reader, visit.request.path_params["id"])
    if not isinstance(found, Run):
        raise unknown_run(found.id)
    try:
        file = reader.log(found).open()
    except OSError as error:
        raise StoreError(f"the log cannot be read: {reason_of(error)}") from None
    name = f'attachment; filename="{found.job_id}-{found.short_id}.log"'
    headers = {**HEADERS, "Content-Type": "text/plain; charset=utf-8", "Content-Disposition": name}
    mask = reader.project.environment.mask
    return Response(headers=headers) if file is None else in_pieces(file, headers, mask)


def timeline(visit: Visit) -> Response:
    """The last and the next 24 hours."""
    query = jobs.Query.read(visit.query)
    return visit.show("timeline.html", lanes.timeline(visit.page.reader, query))


def actions(visit: Visit) -> Response:
    """Who did what."""
    return visit.show("actions.html", {"actions": visit.page.reader.store().actions(limit=_MOST_ACTIONS)})


def site(visit: Visit) -> Response:
    """What the analytics jobs of the site found, and its reports."""
    return visit.show("site.html", site_view.site_page(visit.page.reader, visit.query))


def report(visit: Visit) -> Response:
    """A file of a report."""
    return site_view.report_file(visit.page.reader, visit.request.path_params["name"])


def mode(visit: Visit) -> Response:
    """Which scheduler is in charge, and why."""
    return visit.show("mode.html", {"explanation": explain(visit.page.reader.project.environment)})
