"""The ASGI application: the endpoints, who may use them, and the headers of their responses; and the page."""

import asyncio
import contextlib
import json
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from jobctl.clock import SystemClock
from jobctl.errors import JobctlError, NotRunError, StoreError, UsageError
from jobctl.json_documents import job_document, metrics_document, waiting_document
from jobctl.managers.status import all_statuses
from jobctl.model import Reason, Run, RunStatus
from jobctl.modes import resolve
from jobctl.project import ProjectContext
from jobctl.web.access import Access
from jobctl.web.endpoints import ENDPOINTS, JOBS_PATH, EndpointFormat, Reply, pending, status_of
from jobctl.web.pages.application import ControlPage
from jobctl.web.request_runner import Runner, store_timeout
from jobctl.web.vercel_call import HEADER

NO_STORE = {"Cache-Control": "no-cache, no-store, must-revalidate", "X-Content-Type-Options": "nosniff"}
BEARER = {"WWW-Authenticate": "Bearer"}
_LARGEST_BODY = 128 * 1024
_BODY = '{"arguments": {"name": value}, "at": "2027-03-29T03:00:00Z"}, or one of both'
INTERNAL_ERROR = "internal error of jobctl"

_LOG = logging.getLogger("jobctl")
"""Without a handler, as on Vercel, its errors are written to standard error."""

Handler = Callable[[Request], Awaitable[Response]]


def create_app(
    start: Path | None = None, project: ProjectContext | None = None, timeout: timedelta | None = None
) -> Starlette:
    """The application for a project.

    Args:
        start: where the search for the project begins; None as for the command line.
        project: the project, if it is read already: an ``.env`` file may be a pipe, which can be read once.
        timeout: the longest time for a response; None is 60 seconds, on Vercel 290.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    project = project or ProjectContext.find(start)
    project.environment.require()
    runner = Runner(project, timeout)
    endpoints = Endpoints(runner, Access.read(project.environment))
    page = ControlPage(project, runner)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        runner.watch()
        try:
            yield
        finally:
            page.close()
            await run_in_threadpool(runner.close)

    both = ["GET", "POST"]
    app = Starlette(
        routes=[
            *(
                Route(path, endpoints.run_handler(*target), methods=both)
                for path, target in ENDPOINTS.items()
            ),
            Route(f"{JOBS_PATH}{{id}}", endpoints.run_job, methods=both),
            Route("/api/runs/{id}/cancel", endpoints.cancel, methods=["POST"]),
            Route("/api/runs/{id}/rerun", endpoints.rerun, methods=["POST"]),
            Route("/api/jobs", endpoints.read_handler(_jobs)),
            Route("/api/metrics", endpoints.read_handler(_metrics)),
            Route("/metrics", endpoints.read_handler(_prometheus)),
            Route("/healthz", _health),
            *page.routes(),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error, Exception: endpoints.internal_error},
    )
    app.state.page = page
    app.router.redirect_slashes = False  # a caller that does not follow redirects would run nothing
    return app


class Endpoints:
    """The handlers: they check who calls, and decide how much of an error is shown."""

    def __init__(self, runner: Runner, access: Access) -> None:
        self._runner = runner
        self._access = access
        self._detail = access.development

    def run_handler(self, job_id: str, reply_format: EndpointFormat) -> Handler:
        """A handler that runs one job."""

        async def handle(request: Request) -> Response:
            return await self._run(request, job_id, reply_format)

        return handle

    async def run_job(self, request: Request) -> Response:
        """Run the job that the path names, with the arguments of the body."""
        return await self._run(request, request.path_params["id"], EndpointFormat(), takes_arguments=True)

    async def rerun(self, request: Request) -> Response:
        """Run a job again as in the run that the path names."""
        if not self._is_allowed(request):
            return _json(Reply(401, {"success": False, "error": EndpointFormat.unauthorized}), BEARER)
        run_id = request.path_params["id"]
        actor = _actor(request)
        return await self._response(
            f"run {run_id}", lambda: self._runner.rerun(run_id, actor), EndpointFormat()
        )

    async def cancel(self, request: Request) -> Response:
        """Ask the run that the path names to end, with the reason of the body."""
        if not self._is_allowed(request):
            return _json(Reply(401, {"success": False, "error": EndpointFormat.unauthorized}), BEARER)
        run_id = request.path_params["id"]
        try:
            body = await _body(request, {"reason": str}, '{"reason": "why"}')
            reason = body.get("reason")
            run, is_asked = await run_in_threadpool(self._runner.cancel, run_id, _actor(request), reason)
        except JobctlError as error:
            return _json(Reply(status_of(error), {"success": False, "error": self._message(error)}))
        if not is_asked:
            error_text = f"run {run.id} has ended: {run.status.value}"
            return _json(Reply(409, {"success": False, "error": error_text, "run_id": run.id}))
        return _json(Reply(202, {"success": True, "run_id": run.id, "job_id": run.job_id}))

    def read_handler(self, read: Callable[[Runner], Response]) -> Handler:
        """A handler that reads the run store."""

        async def handle(request: Request) -> Response:
            if not self._is_allowed(request):
                return _json(Reply(401, {"error": EndpointFormat.unauthorized}), BEARER)
            try:
                return await run_in_threadpool(read, self._runner)
            except StoreError as error:
                _LOG.error("%s: %s", request.url.path, self._message(error))
                message = self._message(error) if self._detail else "the run store cannot be read"
                return _json(Reply(status_of(error), {"error": message}))

        return handle

    async def _run(
        self, request: Request, job_id: str, reply_format: EndpointFormat, *, takes_arguments: bool = False
    ) -> Response:
        now = SystemClock().now()
        if request.method == "HEAD":  # the router allows it with GET, but it must run nothing
            raise HTTPException(405, headers={"Allow": "GET, POST"})
        if not self._is_allowed(request, allow_without_bearer=reply_format.allows_bare_secret):
            return _json(reply_format.refused(401, reply_format.unauthorized, now), BEARER)
        if self._detail and self._runner.is_disabled and (skipped := reply_format.skipped(now)):
            return _json(skipped)
        try:
            body = await _body(request, {"arguments": dict, "at": str}, _BODY) if takes_arguments else {}
            arguments, actor = body.get("arguments"), _actor(request)
            if "at" in body:
                at = _time(body["at"])
                kept = await run_in_threadpool(self._runner.run_later, job_id, at, arguments, actor)
                return _json(Reply(202, {"success": True, **waiting_document(kept)}))
        except JobctlError as error:
            return _json(reply_format.refused(status_of(error), self._message(error), now))

        def run() -> Run:
            return self._runner.run(
                job_id,
                arguments,
                actor=actor,
                if_disabled=reply_format.runs_if_disabled,
                expression=request.headers.get(HEADER) if self._runner.on_vercel else None,
            )

        return await self._response(job_id, run, reply_format)

    async def _response(self, name: str, call: Callable[[], Run], reply_format: EndpointFormat) -> Response:
        """The response to a request for a run.

        Args:
            name: of what is to be run, for the log if it cannot start.
        """
        now = SystemClock().now()
        try:
            run = await self._within_timeout(call)
        except JobctlError as error:
            status = reply_format.not_run if isinstance(error, NotRunError) else status_of(error)
            public = status != 500 and not isinstance(error, StoreError)
            message = self._message(error) if self._detail or public else "the job could not be started"
            if status >= 500:
                _LOG.error("%s: %s", name, self._message(error), extra={"kind": name})
            return _json(reply_format.refused(status, message, now))
        if run.status is RunStatus.RUNNING:
            return _json(pending(reply_format, run, SystemClock().now(), detail=self._detail))
        if run.reason is Reason.EXCLUDED:
            return _json(reply_format.excluded(run))
        if run.status is RunStatus.FAILED:  # in a function's log nothing else shows it
            why = self._masked(run.error or "")
            job = run.job_id
            _LOG.error("%s: run %s failed (%s): %s", job, run.id, run.reason, why, extra={"kind": job})
        return _json(reply_format.ended(run, detail=self._detail))

    async def _within_timeout(self, call: Callable[[], Run]) -> Run:
        """Call in a thread. The call observes the timeout itself; if it hangs nevertheless, it is abandoned.

        Raises:
            StoreError: it hangs.
        """
        calling = asyncio.ensure_future(run_in_threadpool(call))
        done, _ = await asyncio.wait({calling}, timeout=self._runner.longest_s)
        if done:
            return calling.result()
        calling.add_done_callback(lambda abandoned: abandoned.cancelled() or abandoned.exception())
        raise store_timeout()

    async def internal_error(self, request: Request, error: Exception) -> Response:
        """The response to a bug: the error's text may hold anything, so only the log has it, masked."""
        trace = self._masked("".join(traceback.format_exception(error)))
        _LOG.error("%s: %s\n%s", request.url.path, INTERNAL_ERROR, trace, extra={"kind": "internal"})
        return _json(Reply(500, {"success": False, "error": INTERNAL_ERROR}))

    def _message(self, error: JobctlError) -> str:
        return self._masked(str(error))

    def _masked(self, text: str) -> str:
        return self._runner.project.environment.mask(text)

    def _is_allowed(self, request: Request, *, allow_without_bearer: bool = False) -> bool:
        client = request.client.host if request.client else None
        return self._access.allows(request.headers, client, allow_without_bearer=allow_without_bearer)


async def _body(request: Request, kinds: Mapping[str, type], example: str) -> dict[str, Any]:
    """The fields of the body, a JSON object; none where the body is empty.

    Args:
        kinds: the type of each field that it may have.

    Raises:
        UsageError: it is something else, or too large.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_BODY:
            raise UsageError("the body is larger than 128 KiB")
    if not body.strip():
        return {}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not (
        isinstance(document, dict)
        and document
        and all(name in kinds and isinstance(value, kinds[name]) for name, value in document.items())
    ):
        raise UsageError(f"the body must be a JSON object: {example}")
    return document


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsageError('"at" must be a time with its offset, such as 2027-03-29T03:00:00Z')
    return found.astimezone(UTC)


def _actor(request: Request) -> str:
    """Who asks, for the list of actions."""
    return f"HTTP from {request.client.host if request.client else 'an unknown address'}"


def _jobs(runner: Runner) -> Response:
    mode = resolve(runner.project.environment)
    statuses = all_statuses(
        runner.project.catalogue.jobs, runner.read_store().jobs(), SystemClock().now(), mode
    )
    return _json(Reply(200, {"jobs": [job_document(status) for status in statuses]}))


def _metrics(runner: Runner) -> Response:
    return _json(Reply(200, metrics_document(runner.read_store().metrics())))


def _prometheus(runner: Runner) -> Response:
    from jobctl.subscribers.prometheus import CONTENT_TYPE, current, exposition

    store = runner.read_store()
    jobs = current(store.jobs().values(), runner.project.catalogue.jobs, SystemClock().now())
    text = "\n".join(exposition(store.metrics(), jobs)) + "\n"
    return Response(text, headers={**NO_STORE, "Content-Type": CONTENT_TYPE})


async def _health(request: Request) -> Response:
    """Whether this process answers; no secret is needed."""
    del request
    return PlainTextResponse("ok\n", headers=NO_STORE)


def _json(reply: Reply, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(reply.body, reply.status, {**NO_STORE, **(headers or {})})


async def _http_error(request: Request, error: Exception) -> Response:
    """The response to the router's 404 and 405."""
    del request
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = {404: "Not found", 405: "Method not allowed"}.get(status, "Bad request")
    return _json(Reply(status, {"error": text}), dict(getattr(error, "headers", None) or {}))
