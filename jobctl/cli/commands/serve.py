"""``jobctl serve``: the cron HTTP endpoints, in the foreground, until it is asked to stop."""

import logging
import signal
import socket
from typing import TYPE_CHECKING, Annotated, NamedTuple

from jobctl.cli.context import Context
from jobctl.cli.options import option
from jobctl.errors import ExitCode, NotRunError, UsageError, reason_of
from jobctl.text import printable, quote

if TYPE_CHECKING:
    import uvicorn


class Options(NamedTuple):
    """Where to listen."""

    host: Annotated[str, option("serve", "--host")] = "127.0.0.1"
    port: Annotated[int, option("serve", "--port", min=0, max=65535)] = 8000


def run(options: Options, context: Context) -> int:
    """Serve until SIGINT or SIGTERM; then answer what is under way, and end what still runs."""
    try:
        import uvicorn

        from jobctl.web.app import create_app
        from jobctl.web.patience import PatientProtocol
    except ModuleNotFoundError as error:
        raise NotRunError(
            f"nothing can be served: the package {error.name} is not installed",
            hint='pip install "jobctl[web]"',
        ) from error
    out = context.output
    app = create_app(context.project.folder)
    listening = _listen(options)
    with listening:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        _log_to(context)
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            log_config=None,
            access_log=True,
            server_header=False,
            proxy_headers=False,  # who calls is decided by the connection, never by what a header says
            timeout_graceful_shutdown=10,
            lifespan="on",
        )
        server = _server(config, f"http://{shown}:{port}", context)
        for number in (signal.SIGINT, signal.SIGTERM, *_hang_up()):
            # for one that comes before uvicorn has its own in place; at its graceful end it raises it once more
            signal.signal(number, lambda *_: setattr(server, "should_exit", True))
        out.note(f"serving http://{shown}:{port}, Ctrl-C ends it")
        if context.environment.secret("CRON_SECRET") is None:
            out.warn(
                "CRON_SECRET is not set: only this machine may call, and only in development"
                if context.environment.text("NODE_ENV") == "development"
                else "CRON_SECRET is not set, so every request is refused"
            )
        server.run(sockets=[listening])
    return ExitCode.DONE if server.started else ExitCode.INTERNAL


def _hang_up() -> list[signal.Signals]:
    """SIGHUP, unless the server is meant to outlive its terminal."""
    return [] if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [signal.SIGHUP]


def _server(config: "uvicorn.Config", address: str, context: Context) -> "uvicorn.Server":
    import uvicorn

    if not context.process.get("NOTIFY_SOCKET"):
        return uvicorn.Server(config)

    from jobctl.cli.service import ServiceManager

    listener = ServiceManager.of(context.process, context.clock)

    class Server(uvicorn.Server):
        """Tells the service manager when it is up, while its loop turns, and when it stops."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                listener.tell("READY=1", f"STATUS=serving {address}")

        async def on_tick(self, counter: int) -> bool:
            listener.feed()
            return await super().on_tick(counter)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            listener.tell("STOPPING=1", "STATUS=stopping")
            await super().shutdown(sockets)

    return Server(config)


def _listen(options: Options) -> socket.socket:
    try:
        found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(socket.SOMAXCONN)  # who reads "serving" may call at once
    except (OSError, ValueError) as error:  # ValueError: what no name of a host can be
        reason = reason_of(error) if isinstance(error, OSError) else "it is no host"
        raise UsageError(
            f"{quote(options.host)} port {options.port} cannot be listened on: {reason}",
            hint="another --port, or --port 0 for any free one",
        ) from error
    return listening


def _log_to(context: Context) -> None:
    """A line a request on standard error: address, method, path, status. No header and no query is in it.
    What the application has to tell beside them is a warning."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "jobctl":
                context.output.warn(record.getMessage())
            elif record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == 5:
                client, method, path, _, status = record.args
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
