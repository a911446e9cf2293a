"""The page as an ASGI application: its routes, and what each request must prove."""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qsl, quote

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from jobctl.catalogue.discovery import Functions
from jobctl.clock import Clock, SystemClock
from jobctl.errors import (
    AlreadyRunningError,
    ConfigurationError,
    JobctlError,
    NotRunError,
    NotRunningError,
    ServiceError,
    StoreError,
    UnknownJobError,
    UnknownRunError,
)
from jobctl.modes import Mode
from jobctl.project import ProjectContext
from jobctl.web.pages import action_views, views
from jobctl.web.pages.access import (
    SESSION_AGE,
    PageAccess,
    TooManyAttemptsError,
    Visitor,
    cookie_name,
    is_same_origin,
)
from jobctl.web.pages.asking import Starter, StartsHere, StartsThere
from jobctl.web.pages.live import Live
from jobctl.web.pages.reader import Reader
from jobctl.web.pages.rendering import HEADERS, STATIC, asset, render
from jobctl.web.pages.visit import Visit, client_of, local_path, root_of
from jobctl.web.request_runner import Runner

_LARGEST_FORM = 128 * 1024
_MOST_FIELDS = 500
_FORM_S = 10.0
_NOTICE_S = 60
_AGAIN_S = 5
_YEAR_S = 365 * 24 * 3600
_LOG = logging.getLogger("jobctl")
_STATUSES = (
    (UnknownJobError, 404),
    (UnknownRunError, 404),
    (AlreadyRunningError, 409),
    (NotRunningError, 409),
    (NotRunError, 503),
    (StoreError, 503),
    (ConfigurationError, 503),
    (ServiceError, 503),
)

View = Callable[[Visit], Response]
Handler = Callable[[Request], Awaitable[Response]]


class ControlPage:
    """The page of a project.

    Args:
        starter: what starts runs; None: this process does.
    """

    def __init__(
        self,
        project: ProjectContext,
        runner: Runner | None = None,
        starter: Callable[[Reader], Starter] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.reader = Reader(project, clock or SystemClock())
        if self.reader.mode is Mode.TRIGGER_DEV:
            starter = StartsThere
        self.starter = starter(self.reader) if starter else StartsHere(runner or Runner(project))
        self.access = PageAccess(project.environment, self.reader.clock)
        self.live = Live(self.reader)
        environment = project.environment
        self.functions = Functions(project.folder, environment.merged(), environment.mask)
        self.polls = project.environment.on_vercel or self.reader.mode is Mode.TRIGGER_DEV
        self.notices = URLSafeTimedSerializer(self.access.process_key, salt="notice")

    def close(self) -> None:
        """End the streams, and close what was opened. In the loop's thread."""
        self.live.close()
        self.reader.close()

    def routes(self) -> list[Route]:
        """All paths of the page."""
        return [
            Route("/", self._handler(views.overview)),
            Route("/mode", self._handler(views.mode)),
            Route("/runs", self._handler(views.runs)),
            Route("/actions", self._handler(views.actions)),
            Route("/timeline", self._handler(views.timeline)),
            Route("/site", self._handler(views.site)),
            Route("/reports/{name}", self._handler(views.report)),
            Route("/events", self._stream(self._changes)),
            Route("/jobs/{id}", self._handler(views.job)),
            Route("/jobs/{id}/run", self._handler(action_views.run_form), methods=["GET"]),
            Route("/jobs/{id}/run", self._handler(action_views.run_now, changes=True), methods=["POST"]),
            Route("/jobs/{id}/pause", self._handler(action_views.pause, changes=True), methods=["POST"]),
            Route("/jobs/{id}/resume", self._handler(action_views.resume, changes=True), methods=["POST"]),
            Route(
                "/jobs/{id}/cancel", self._handler(action_views.cancel_of_job, changes=True), methods=["POST"]
            ),
            Route("/runs/{id}", self._handler(views.run)),
            Route("/runs/{id}/log", self._handler(views.log)),
            Route("/runs/{id}/events", self._stream(self._run_events)),
            Route("/runs/{id}/rerun", self._handler(action_views.rerun, changes=True), methods=["POST"]),
            Route("/runs/{id}/cancel", self._handler(action_views.cancel, changes=True), methods=["POST"]),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/static/{name}", _static),
        ]

    def read_notice(self, signed: str) -> str | None:
        """What was done just before; None where the text is not from here, or older than a minute."""
        try:
            return str(self.notices.loads(signed, max_age=_NOTICE_S)) if signed else None
        except BadSignature:
            return None

    def _handler(self, view: View, *, changes: bool = False) -> Handler:
        """A handler for those who may see the page, or for ``changes`` may change something."""

        async def handle(request: Request) -> Response:
            visitor = self._visitor(request)
            if visitor is None:
                return self._refused(request)
            form: tuple[tuple[str, str], ...] = ()
            if changes:
                if not visitor.may_change:
                    text = "You are logged in with a secret that only lets you read."
                    return Visit(self, request, visitor).message("Not allowed", text, status=403)
                read = await _form(request)
                token = next((value for name, value in read or () if name == "token"), "")
                if read is None or not self.access.is_own_form(visitor, token, request.headers):
                    text = "This form is out of date, or was not sent from this page. Nothing was done."
                    hint = "Go back, reload the page, and send the form again."
                    return Visit(self, request, visitor).message(
                        "Nothing was done", text, hint=hint, status=403
                    )
                form = tuple(read)
            return await run_in_threadpool(self._answer, view, Visit(self, request, visitor, form))

        return handle

    def _answer(self, view: View, visit: Visit) -> Response:
        try:
            return view(visit)
        except JobctlError as error:
            status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 400)
            mask = self.reader.project.environment.mask
            if status == 503:
                _LOG.warning("page: %s", mask(str(error)), extra={"kind": "page"})
            title = {404: "Not found", 503: "Not available"}.get(status, "Nothing was done")
            hint = mask(error.hint) if error.hint else None
            answer = visit.message(
                title, mask(_sentence(str(error))), hint=hint and _sentence(hint), status=status
            )
            if status == 503:
                answer.headers["Retry-After"] = str(_AGAIN_S)
                if visit.request.method == "GET":  # the page comes back by itself
                    answer.headers["Refresh"] = str(_AGAIN_S)
            return answer
        except Exception as error:  # a bug: its text may hold anything
            self._log_bug(visit.request, error)
            return visit.message("Internal error", "This is a bug of jobctl. Its log says more.", status=500)

    async def internal_error(self, request: Request, error: Exception) -> Response:
        """The answer to a bug outside of the views."""
        self._log_bug(request, error)
        return PlainTextResponse("internal error of jobctl\n", 500, headers=HEADERS)

    def _log_bug(self, request: Request, error: Exception) -> None:
        trace = self.reader.project.environment.mask("".join(traceback.format_exception(error)))
        path = quote(request.url.path)  # it may hold anything, also lines of a log
        _LOG.error("page %s: internal error of jobctl\n%s", path, trace, extra={"kind": "page"})

    def _stream(self, stream: Handler) -> Handler:
        """A handler of server-sent events, for those who may see the page."""

        async def handle(request: Request) -> Response:
            if request.method == "HEAD":
                return PlainTextResponse("", 405, headers={**HEADERS, "Allow": "GET"})
            if self._visitor(request) is None:
                return PlainTextResponse("log in first\n", 401, headers=HEADERS)
            if self.polls:  # a function of Vercel would be held, and paid for, as long as a stream
                return PlainTextResponse("no events here: load the page again\n", 404, headers=HEADERS)
            return await stream(request)

        return handle

    async def _changes(self, request: Request) -> Response:
        del request
        return self.live.changes()

    async def _run_events(self, request: Request) -> Response:
        position = request.headers.get("last-event-id") or request.query_params.get("from", "")
        is_number = position.isascii() and position.isdecimal() and len(position) < 16
        try:
            run = await run_in_threadpool(lambda: self.reader.run(request.path_params["id"]))
        except JobctlError:
            run = None
        if run is None:
            return PlainTextResponse("no such run\n", 404, headers=HEADERS)
        return self.live.of_run(run, int(position) if is_number else 0)

    def _visitor(self, request: Request) -> Visitor | None:
        client = request.client.host if request.client else None
        return self.access.visitor(request.headers, client, request.cookies)

    def _refused(self, request: Request) -> Response:
        root = root_of(request)
        if not self.access.has_login:
            return self._login_page(request, status=403)
        if request.method != "GET":
            return PlainTextResponse("log in first\n", 401, headers=HEADERS)
        path = request.url.path.removeprefix(root)
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{root}/login?next={quote(path + query)}", 303, headers=HEADERS)

    # Login

    async def _login(self, request: Request) -> Response:
        if request.method != "POST":
            return self._login_page(request, status=200 if self.access.has_login else 403)
        if not is_same_origin(request.headers):
            return self._login_page(request, "This form was not sent from this page.", status=403)
        read = dict(await _form(request) or ())
        try:
            cookie = await run_in_threadpool(self.access.log_in, read.get("secret", ""), client_of(request))
        except TooManyAttemptsError as error:
            text = f"Too many attempts. Wait {error.wait_s} s, then try again."
            page = self._login_page(request, text, status=429)
            page.headers["Retry-After"] = str(error.wait_s)
            return page
        if cookie is None:
            return self._login_page(request, "This is not the secret.", status=401)
        root = root_of(request)
        response = RedirectResponse(f"{root}{local_path(read.get('next', '/'))}", 303, headers=HEADERS)
        response.set_cookie(
            cookie_name(request.headers),
            cookie,
            max_age=int(SESSION_AGE.total_seconds()),
            path=root or "/",
            secure=_is_https(request),
            httponly=True,
            samesite="strict",
        )
        return response

    async def _logout(self, request: Request) -> Response:
        visitor = self._visitor(request)
        if visitor is None:
            return self._refused(request)
        token = dict(await _form(request) or ()).get("token", "")
        if not self.access.is_own_form(visitor, token, request.headers):
            return self._refused(request)
        root = root_of(request)
        response = RedirectResponse(f"{root}/login", 303, headers=HEADERS)
        response.delete_cookie(
            cookie_name(request.headers), path=root or "/", httponly=True, samesite="strict"
        )
        return response

    def _login_page(self, request: Request, error: str | None = None, *, status: int) -> Response:
        shown = {
            "root": root_of(request),
            "mask": self.reader.project.environment.mask,
            "error": error,
            "next": local_path(request.query_params.get("next", "/")),
            "has_login": self.access.has_login,
            "site_name": self.reader.project.folder.name,
            "live": "off",
        }
        return render("login.html", shown, status=status)


def create_page(start: Path | None = None, project: ProjectContext | None = None) -> Starlette:
    """The page alone, to mount in another application.

    Args:
        start: where the search for the project begins; None as for the command line.
        project: the project, if it is read already.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    project = project or ProjectContext.find(start)
    project.environment.require()
    runner = Runner(project)
    return page_alone(ControlPage(project, runner), runner.close)


def page_alone(page: ControlPage, close: Callable[[], None] | None = None) -> Starlette:
    """An application of nothing but the page.

    Args:
        close: what else to end with it, in a thread.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        try:
            yield
        finally:
            page.close()
            if close is not None:
                await run_in_threadpool(close)

    handlers = {HTTPException: _http_error, Exception: page.internal_error}
    app = Starlette(routes=page.routes(), lifespan=lifespan, exception_handlers=handlers)
    app.state.page = page
    # it would send visitors to the host that the request names, and without TLS
    app.router.redirect_slashes = False
    return app


async def _http_error(request: Request, error: Exception) -> Response:
    """The answer to a path that there is not, or a method that it has not."""
    del request
    status = error.status_code if isinstance(error, HTTPException) else 500
    more = dict(getattr(error, "headers", None) or {})
    text = {404: "not found", 405: "method not allowed"}.get(status, "bad request")
    return PlainTextResponse(f"{text}\n", status, headers={**HEADERS, **more})


async def _form(request: Request) -> list[tuple[str, str]] | None:
    """The fields of a form; None where the body is none, too large, or not here in time."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        return None
    body = b""
    try:
        async with asyncio.timeout(_FORM_S):  # a visitor without a login could hold a connection
            async for part in request.stream():
                body += part
                if len(body) > _LARGEST_FORM:
                    return None
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except (ClientDisconnect, TimeoutError, ValueError):
        return None


def _is_https(request: Request) -> bool:
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return request.url.scheme == "https" or forwarded == "https"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text and not text.endswith(".") else text


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        return PlainTextResponse("not found\n", 404, headers=HEADERS)
    data, version = asset(name)
    is_current = request.query_params.get("v") == version
    cache = f"public, max-age={_YEAR_S}, immutable" if is_current else "no-cache"
    return Response(data, headers={**HEADERS, "Cache-Control": cache, "Content-Type": STATIC[name]})
