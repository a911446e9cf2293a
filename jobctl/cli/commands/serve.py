"""``jobctl serve``: the cron HTTP endpoints, in the foreground, until it is asked to stop."""

import logging
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from jobctl.cli.context import Context
from jobctl.cli.times import read_span
from jobctl.errors import ExitCode, NotRunError, install_hint
from jobctl.settings.masking import cron_secret_weakness
from jobctl.text import printable

if TYPE_CHECKING:
    import uvicorn

    from jobctl.clock import Clock

MINUTE_S = 60.0


def run(
    context: Context,
    *,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port, 0 for any free one.")
    ] = 8000,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout",
            metavar="DURATION",
            help="Respond within this time; the run continues.",
            show_default="60s, on Vercel 290s",
        ),
    ] = None,
) -> int:
    """Serve the cron HTTP endpoints in the foreground.

    Examples:
        jobctl serve
        jobctl serve --host 0.0.0.0 --port 8080
    """
    try:
        from jobctl.web.app import create_app
        from jobctl.web.server import config_of, listen_on
    except ModuleNotFoundError as error:
        raise NotRunError(
            f"serve needs the package {error.name}, which is not installed",
            hint=install_hint("web"),
        ) from error
    out = context.output
    limit = read_span(timeout, "--timeout") if timeout else None
    app = create_app(project=context.project, timeout=limit)
    listening = listen_on(host, port)
    with listening:
        address, port = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        _log_to(context)
        config = config_of(app, access_log=True)
        server = _server(config, f"http://{shown}:{port}", context)
        for number in (signal.SIGINT, signal.SIGTERM, *_hang_up()):
            # until uvicorn has its own handler; after a graceful end it raises the signal again
            signal.signal(number, lambda *_: setattr(server, "should_exit", True))
        out.note(f"serving http://{shown}:{port}, Ctrl-C ends it")
        if weak := cron_secret_weakness(context.environment.secret("CRON_SECRET")):
            out.warn(weak)
        if context.environment.secret("CRON_SECRET") is None:
            out.warn(
                "CRON_SECRET is not set: only this machine may call, and only in development"
                if context.environment.text("NODE_ENV") == "development"
                else "CRON_SECRET is not set, so every request is refused"
            )
        server.run(sockets=[listening])
    return ExitCode.DONE if server.started else ExitCode.INTERNAL


def _hang_up() -> list[signal.Signals]:
    """SIGHUP, unless it is ignored: the server should then outlive its terminal."""
    return [] if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [signal.SIGHUP]


def _server(config: "uvicorn.Config", address: str, context: Context) -> "uvicorn.Server":
    import asyncio

    from jobctl.systemd.sd_notify import ServiceManager
    from jobctl.web.server import PageServer

    service_manager = (
        ServiceManager.of(context.process, context.clock) if context.process.get("NOTIFY_SOCKET") else None
    )

    class Server(PageServer):
        """Notifies the service manager when it is up, while its loop turns, and when it stops."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            asyncio.get_running_loop().set_exception_handler(_report)
            await super().startup(sockets)
            if self.started and service_manager:
                service_manager.notify("READY=1", f"STATUS=serving {address}")

        async def on_tick(self, counter: int) -> bool:
            if service_manager:
                service_manager.ping_watchdog()
            return await super().on_tick(counter)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            if service_manager:
                service_manager.notify("STOPPING=1", "STATUS=stopping")
            await super().shutdown(sockets)

    return Server(config)


def _report(_: object, fault: dict[str, object]) -> None:
    """Log an error of the event loop, such as a connection that cannot be accepted."""
    message = fault["message"]
    logging.getLogger("jobctl").warning(
        "%s: %s", message, fault.get("exception") or "no details", extra={"kind": message}
    )


class _RateLimit:
    """Counts messages of each kind within a minute, so that requests of others cannot fill the disk."""

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._since: dict[str, tuple[float, int]] = {}

    def allows(self, kind: str, limit: int, warn: Callable[[str], None]) -> bool:
        """Whether fewer than ``limit`` messages of a kind came in this minute; warns of those left out before."""
        now = self._clock.monotonic()
        began, count = self._since.get(kind, (now, 0))
        if now - began >= MINUTE_S:
            if count > limit:
                warn(f"{count - limit} more within a minute: {kind}")
            began, count = now, 0
        self._since[kind] = began, count + 1
        return count < limit


def _log_to(context: Context) -> None:
    """Log each request on standard error: address, method, path and status; no header, and no query.

    Messages of the application are warnings, once a minute for each kind. Refused requests have 60 lines a minute.
    """
    rate = _RateLimit(context.clock)

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "jobctl":
                if rate.allows(str(getattr(record, "kind", record.msg)), 1, context.output.warn):
                    context.output.warn(record.getMessage())
            elif record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == 5:
                client, method, path, _, status = record.args
                if status not in {401, 404, 405} or rate.allows(
                    f"requests answered {status}", 60, context.output.warn
                ):
                    place = str(path).partition("?")[0]
                    context.output.note(printable(f"{client} {method} {place} {status}"))

    for name in ("uvicorn.access", "jobctl"):
        logger = logging.getLogger(name)
        logger.handlers = [Lines()]
        logger.setLevel(logging.INFO)
        logger.propagate = False
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = [logging.NullHandler()]
        logging.getLogger(name).propagate = False
