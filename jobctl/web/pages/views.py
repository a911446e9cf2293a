"""The views that only read."""

from starlette.responses import Response

from jobctl.modes import explain
from jobctl.web.pages import overview as jobs
from jobctl.web.pages.visit import Visit


def overview(visit: Visit) -> Response:
    """Who schedules, what needs attention, and all jobs."""
    query = jobs.Query.read(visit.query)
    context = jobs.overview(visit.page.reader, query)
    return visit.show("overview.html", {**context, "schedule_words": jobs.schedule_words})


def mode(visit: Visit) -> Response:
    """Which scheduler is in charge, and why."""
    return visit.show("mode.html", {"explanation": explain(visit.page.reader.project.environment)})
