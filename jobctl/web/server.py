"""Which connections of a server stay open. uvicorn itself keeps each for ever, and as many as there are."""

import asyncio
import resource

from uvicorn.protocols.http.h11_impl import H11Protocol

_KEPT_FILES = 64
"""Left for the run store, the workers and the logs."""
_MOST = 1000


def backlog() -> int:
    """How many connections may wait to be accepted: all of them are accepted at once, before one can be closed."""
    return min(128, _limit() // 8)


def most_connections() -> int:
    """How many connections may be open, within the limit of open files."""
    return max(8, min(_MOST, _limit() - _KEPT_FILES - backlog()))


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 65536


class BoundedProtocol(H11Protocol):
    """A connection that must say what it wants.

    It is closed when it has had no whole request for two looks in a row, ``LOOK_S`` seconds apart; and at
    once where ``most`` others are open and it has waited longest: whoever comes next always finds room.
    """

    LOOK_S = 10.0
    most = _MOST
    _open: "dict[BoundedProtocol, None]" = {}  # noqa: RUF012 - of all connections of the process, oldest first

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look, and make room."""
        super().connection_made(transport)
        self._waited = False
        self._next_look = self.loop.call_later(self.LOOK_S, self._look)
        self._open[self] = None
        if len(self._open) > self.most:
            longest = next((one for one in self._open if one.waits and one is not self), None)
            if longest is not None:
                longest.give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """End it."""
        self._next_look.cancel()
        self._open.pop(self, None)
        super().connection_lost(exc)

    @property
    def waits(self) -> bool:
        """Whether no request of it is being answered."""
        under_way = getattr(self, "cycle", None)  # typed there as if it were never None
        return under_way is None or bool(under_way.response_complete)

    def give_up(self) -> None:
        """Close it without waiting for the client, and make room at once."""
        self._open.pop(self, None)
        self.transport.abort()

    def _look(self) -> None:
        if self.waits and self._waited:
            self.give_up()
            return
        self._waited = self.waits
        self._next_look = self.loop.call_later(self.LOOK_S, self._look)
