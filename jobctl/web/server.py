"""The HTTP server of ``serve`` and of the page beside a scheduler: uvicorn, with bounded connections."""

import socket
from typing import TYPE_CHECKING, Any

import uvicorn

from jobctl.errors import UsageError, reason_of
from jobctl.text import quote
from jobctl.web.connection_limits import BoundedProtocol, backlog, max_connections

if TYPE_CHECKING:
    from starlette.applications import Starlette


def config_of(app: "Starlette", **more: Any) -> uvicorn.Config:
    """How the application is served."""
    BoundedProtocol.limit = max_connections()
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        backlog=backlog(),
        log_config=None,
        server_header=False,
        proxy_headers=False,  # the caller is the peer of the connection, whatever a header says
        timeout_graceful_shutdown=10,
        lifespan="on",
        **more,
    )


class PageServer(uvicorn.Server):
    """Ends the streams of the page before it waits for open connections: they would go on."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        page = getattr(getattr(self.config.app, "state", None), "page", None)
        if page is not None:
            page.live.close()
        await super().shutdown(sockets)


def listen_on(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UsageError: that is not possible.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(socket.SOMAXCONN)  # before "serving" is printed: callers may connect at once
    except (OSError, ValueError) as error:  # ValueError: not a host name
        reason = reason_of(error) if isinstance(error, OSError) else "it is not a host"
        raise UsageError(
            f"cannot listen on {quote(host)} port {port}: {reason}",
            hint="choose another --host or --port; --port 0 is any free one",
        ) from error
    return listening
