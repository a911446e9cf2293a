"""The limits of a server's connections: uvicorn itself keeps any number of them open, without a request, for ever."""

import asyncio
import resource

# uvicorn has no timeout for a request's headers and no limit that closes idle connections. Its setting ``http`` takes a
# protocol class, and only a subclass of its own one can know whether a connection waits.
from uvicorn.protocols.http.h11_impl import H11Protocol

_RESERVED_FILES = 64
"""Open files for the run store, the workers and the logs."""
_MAX_CONNECTIONS = 1000


def backlog() -> int:
    """The number of connections that may wait to be accepted: all are accepted before one can be closed."""
    return min(128, _max_open_files() // 8)


def max_connections() -> int:
    """The number of open connections, within the limit of open files."""
    return max(8, min(_MAX_CONNECTIONS, _max_open_files() - _RESERVED_FILES - backlog()))


def _max_open_files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 65536


class BoundedProtocol(H11Protocol):
    """A connection that is closed unless a request arrives.

    It is closed if it has waited for a request at two consecutive checks, ``CHECK_S`` seconds apart; and at once if there
    are more than ``limit`` connections and it has waited longest, for a request or the rest of one, so that a new connection is
    always served.
    """

    CHECK_S = 10.0
    limit = _MAX_CONNECTIONS
    _open: "dict[BoundedProtocol, None]" = {}  # noqa: RUF012 - all connections of the process, oldest first

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the checks, and close another connection if there are too many."""
        super().connection_made(transport)
        self._has_waited = False
        self._next_check = self.loop.call_later(self.CHECK_S, self._check)
        self._open[self] = None
        if len(self._open) > self.limit:
            others = (other for other in self._open if other is not self)
            oldest = next((other for other in others if other.is_waiting or other.is_receiving), None)
            if oldest is not None:
                oldest.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the checks."""
        self._next_check.cancel()
        self._open.pop(self, None)
        super().connection_lost(exc)

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered."""
        cycle = getattr(self, "cycle", None)  # uvicorn's annotation denies that it is None at first
        return cycle is None or bool(cycle.response_complete)

    @property
    def is_receiving(self) -> bool:
        """Whether the body of a request has not arrived in full."""
        cycle = getattr(self, "cycle", None)
        return cycle is not None and bool(cycle.more_body)

    def abort(self) -> None:
        """Close it at once, without waiting for the client."""
        self._open.pop(self, None)
        self.transport.abort()

    def _check(self) -> None:
        if self.is_waiting and self._has_waited:
            self.abort()
            return
        self._has_waited = self.is_waiting
        self._next_check = self.loop.call_later(self.CHECK_S, self._check)
