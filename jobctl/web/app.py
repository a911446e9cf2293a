"""The ASGI application: its routes, who may use them, and the headers that every answer carries."""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from jobctl.clock import SystemClock
from jobctl.documents import job_document, metrics_document
from jobctl.errors import JobctlError, NotRunError, StoreError
from jobctl.managers.status import all_statuses
from jobctl.model import Run, RunStatus
from jobctl.modes import resolve
from jobctl.project import ProjectContext
from jobctl.web.auth import Access
from jobctl.web.responses import (
    JOBS,
    ORIGINAL,
    UNAUTHORIZED,
    Answer,
    Expiration,
    Plain,
    Reminders,
    Shape,
    Sync,
    pending,
    status_of,
)
from jobctl.web.runner import Runner, silent_store

NO_STORE = {"Cache-Control": "no-cache, no-store, must-revalidate", "X-Content-Type-Options": "nosniff"}
BEARER = {"WWW-Authenticate": "Bearer"}
_SHAPES: dict[str, Shape] = {
    "/api/cron/sync": Sync(),
    "/api/cron/subscription-reminders": Reminders(),
    "/api/cron/subscription-expiration": Expiration(),
}
_ORIGINAL = tuple(_SHAPES.values())

_LOG = logging.getLogger("jobctl")
"""Without a handler, as on Vercel, its errors go to standard error."""

Handler = Callable[[Request], Awaitable[Response]]


def create_app(
    start: Path | None = None, project: ProjectContext | None = None, timeout: timedelta | None = None
) -> Starlette:
    """The application for a project: the one at ``start``, else as for the command line.

    Args:
        project: instead of ``start``, where it is read already: an ``.env`` file may be a pipe, which can be read once.
        timeout: within which a call is answered; None is 60 seconds, on Vercel 290.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    project = project or ProjectContext.find(start)
    project.environment.require()
    runner = Runner(project, timeout)
    desk = Desk(runner, Access.read(project.environment))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        try:
            yield
        finally:
            await run_in_threadpool(runner.close)

    both = ["GET", "POST"]
    app = Starlette(
        routes=[
            *(
                Route(path, desk.running(ORIGINAL[path], shape), methods=both)
                for path, shape in _SHAPES.items()
            ),
            Route(f"{JOBS}{{id}}", desk.run_any, methods=both),
            Route("/api/jobs", desk.looking(_jobs)),
            Route("/api/metrics", desk.looking(_metrics)),
            Route("/metrics", desk.looking(_prometheus)),
            Route("/healthz", _health),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error, Exception: desk.fault},
    )
    app.router.redirect_slashes = False  # a caller that follows no redirect would do nothing, and not know
    return app


class Desk:
    """What stands between a request and the jobs: who may call, and how much of an error is told."""

    def __init__(self, runner: Runner, access: Access) -> None:
        self._runner = runner
        self._access = access
        self._detail = access.development

    def running(self, job_id: str, shape: Shape) -> Handler:
        """The handler that runs one job."""

        async def handle(request: Request) -> Response:
            return await self._run(request, job_id, shape)

        return handle

    async def run_any(self, request: Request) -> Response:
        """Run the job that the path names."""
        return await self._run(request, request.path_params["id"], Plain())

    def looking(self, look: Callable[[Runner], Response]) -> Handler:
        """The handler that shows something."""

        async def handle(request: Request) -> Response:
            if not self._may(request):
                return _json(Answer(401, {"error": UNAUTHORIZED}), BEARER)
            try:
                return await run_in_threadpool(look, self._runner)
            except StoreError as error:
                _LOG.error("%s: %s", request.url.path, self._shown(error))
                message = self._shown(error) if self._detail else "the run store cannot be read"
                return _json(Answer(status_of(error), {"error": message}))

        return handle

    async def _run(self, request: Request, job_id: str, shape: Shape) -> Response:
        now = SystemClock().now()
        if request.method == "HEAD":  # the router lets it in beside GET, and it must run nothing
            raise HTTPException(405, headers={"Allow": "GET, POST"})
        if not self._may(request, bare=isinstance(shape, Expiration)):
            return _json(shape.refused(401, shape.unauthorized, now), BEARER)
        if isinstance(shape, Sync) and self._detail and self._runner.is_disabled:
            return _json(shape.skipped(now))
        try:
            run = await self._within(lambda: self._runner.run(job_id, although_disabled=shape in _ORIGINAL))
        except JobctlError as error:
            status = shape.not_run if isinstance(error, NotRunError) else status_of(error)
            public = status != 500 and not isinstance(error, StoreError)
            message = self._shown(error) if self._detail or public else "the job could not be started"
            if status >= 500:
                _LOG.error("%s: %s", job_id, self._shown(error), extra={"kind": job_id})
            return _json(shape.refused(status, message, now))
        if run.status is RunStatus.RUNNING:
            return _json(pending(shape, run, SystemClock().now(), detail=self._detail))
        if run.status is RunStatus.FAILED:  # where nothing else is seen of it, as in a function's log
            why = self._masked(run.error or "")
            _LOG.error("%s: run %s failed (%s): %s", job_id, run.id, run.reason, why, extra={"kind": job_id})
        return _json(shape.ended(run, detail=self._detail))

    async def _within(self, call: Callable[[], Run]) -> Run:
        """What a call in a thread returns, which sees to its time itself; one that hangs all the same is left to it.

        Raises:
            StoreError: it hangs.
        """
        calling = asyncio.ensure_future(run_in_threadpool(call))
        done, _ = await asyncio.wait({calling}, timeout=self._runner.longest_s)
        if done:
            return calling.result()
        calling.add_done_callback(lambda left: left.cancelled() or left.exception())
        raise silent_store()

    async def fault(self, request: Request, error: Exception) -> Response:
        """A fault of ours: its text may hold anything, so none of it goes out; the log has it, masked."""
        trace = self._masked("".join(traceback.format_exception(error)))
        _LOG.error("%s: a fault of jobctl itself\n%s", request.url.path, trace, extra={"kind": "fault"})
        return _json(Answer(500, {"success": False, "error": "a fault of jobctl itself"}))

    def _shown(self, error: JobctlError) -> str:
        return self._masked(str(error))

    def _masked(self, text: str) -> str:
        return self._runner.project.environment.mask(text)

    def _may(self, request: Request, *, bare: bool = False) -> bool:
        client = request.client.host if request.client else None
        return self._access.allows(request.headers, client, bare=bare)


def _jobs(runner: Runner) -> Response:
    mode = resolve(runner.project.environment)
    found = all_statuses(runner.project.catalogue.jobs, runner.read_store().jobs(), SystemClock().now(), mode)
    return _json(Answer(200, {"jobs": [job_document(one) for one in found]}))


def _metrics(runner: Runner) -> Response:
    return _json(Answer(200, metrics_document(runner.read_store().metrics())))


def _prometheus(runner: Runner) -> Response:
    from jobctl.subscribers.prometheus import CONTENT_TYPE, current, exposition

    store = runner.read_store()
    jobs = current(store.jobs().values(), runner.project.catalogue.ids(), SystemClock().now())
    text = "\n".join(exposition(store.metrics(), jobs)) + "\n"
    return Response(text, headers={**NO_STORE, "Content-Type": CONTENT_TYPE})


async def _health(request: Request) -> Response:
    """That this process answers, and nothing else: no secret is needed."""
    del request
    return PlainTextResponse("ok\n", headers=NO_STORE)


def _json(answer: Answer, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(answer.body, answer.status, {**NO_STORE, **(headers or {})})


async def _http_error(request: Request, error: Exception) -> Response:
    """404 and 405 of the router."""
    del request
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "Not found", 405: "Method not allowed"}.get(status, "Bad request")
    return _json(Answer(status, {"error": words}), dict(getattr(error, "headers", None) or {}))
