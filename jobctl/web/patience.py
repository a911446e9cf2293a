"""How long a client may take to say what it wants. uvicorn itself waits for ever."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class PatientProtocol(H11Protocol):
    """Closes a connection that has had no whole request for two looks in a row, ``LOOK_S`` seconds apart."""

    LOOK_S = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look."""
        super().connection_made(transport)
        self._waited = False
        self._next_look = self.loop.call_later(self.LOOK_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """End it."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        under_way = getattr(self, "cycle", None)  # typed there as if it were never None
        waits = under_way is None or under_way.response_complete
        if waits and self._waited:
            self.transport.close()
            return
        self._waited = waits
        self._next_look = self.loop.call_later(self.LOOK_S, self._look)
