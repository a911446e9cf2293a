"""Server-sent events: that something has changed, and what a run prints. Bounded, and free when a page is gone."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from jobctl.errors import JobctlError, StoreError
from jobctl.model import Run, RunStatus
from jobctl.store.kept_log import ARRIVES_WITHIN_S
from jobctl.web.pages.log_text import LogPart, lines_from
from jobctl.web.pages.reader import Reader
from jobctl.web.pages.rendering import HEADERS

if TYPE_CHECKING:
    from jobctl.scheduler.liveness import Presence

MOST_STREAMS = 300
LONGEST_S = 60.0
"""The age at which a stream ends. The browser asks again: a server that stops need not wait for longer than that."""
_LOOK_S = 1.0
_LOG_S = 0.5
_QUIET_S = 15.0
_PER_STREAM_S = 0.02
"""Seconds that each open page adds between two changes: all of them ask for the page then."""
T = TypeVar("T")


class Live:
    """The streams of all open pages. One thread reads the run store for them."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._reads = ThreadPoolExecutor(1, "jobctl-page")
        self._streams = 0
        self._closing = False
        self._version = 0
        self._changed: asyncio.Event | None = None
        self._watch: asyncio.Task[None] | None = None
        self._token: object = None
        self._digest: tuple[int, Presence] | None = None
        self._runs: dict[str, tuple[float, Run | None]] = {}

    def close(self) -> None:
        """End every stream. In the loop's thread."""
        self._closing = True
        if self._changed is not None:
            self._changed.set()
        self._reads.shutdown(wait=False, cancel_futures=True)

    def changes(self) -> Response:
        """A stream of events ``changed``, whenever a job or a run has."""
        return self._response(self._changes)

    def of_run(self, run: Run, position: int) -> Response:
        """A stream of what a run prints from a position on, of its changes, and of its end."""
        return self._response(lambda: self._of_run(run, position))

    def _response(self, stream: Callable[[], AsyncIterator[str]]) -> Response:
        if self._closing or self._streams >= MOST_STREAMS:
            return PlainTextResponse("too many open pages: ask again later\n", 503, headers=HEADERS)
        return _Stream(self._counted(stream))

    async def _counted(self, stream: Callable[[], AsyncIterator[str]]) -> AsyncGenerator[str]:
        self._streams += 1
        try:
            async for event in stream():
                yield event
        finally:
            self._streams -= 1
            if not self._streams and self._watch is not None:
                self._watch.cancel()
                self._watch = None

    async def _changes(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        if self._watch is None or self._watch.done():
            self._changed = asyncio.Event()
            self._watch = loop.create_task(self._look_for_changes())
        seen, end = self._version, loop.time() + LONGEST_S
        yield "retry: 2000\n\n"
        while not self._closing and loop.time() < end:
            changed = self._changed
            if changed is None:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), min(_QUIET_S, max(0.1, end - loop.time())))
            if self._version == seen:
                yield ": nothing new\n\n"
                continue
            seen = self._version
            yield f"event: changed\ndata: {seen}\n\n"

    async def _look_for_changes(self) -> None:
        """Count up the version while streams are open."""
        while not self._closing:
            with suppress(JobctlError):  # a store that does not answer now may later
                if await self._read(self._has_changed):
                    self._version += 1
                    changed, self._changed = self._changed, asyncio.Event()
                    if changed is not None:
                        changed.set()
            await asyncio.sleep(_LOOK_S + self._streams * _PER_STREAM_S)

    def _has_changed(self) -> bool:
        """Whether a page would show something else than at the last call."""
        store = self._reader.store()
        token = store.change_token()
        presence = self._reader.presence
        if self._digest is not None and token == self._token and self._digest[1] == presence:
            return False
        going = tuple((run.id, run.progress, run.attempt, run.retry_at) for run, _ in store.unfinished())
        digest = (hash((tuple(self._reader.job_glances()), going)), presence)
        is_new = self._digest is not None and digest != self._digest
        self._token, self._digest = token, digest
        return is_new

    async def _of_run(self, run: Run, position: int) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        end, quiet_since, shown = loop.time() + LONGEST_S, loop.time(), _key(run)
        ended_at: float | None = None
        yield "retry: 1000\n\n"
        while not self._closing and loop.time() < end:
            now = await self._run(run.id)
            has_ended = now is not None and now.status is not RunStatus.RUNNING
            try:
                is_whole, part = await self._read(
                    partial(_log_part, self._reader, now or run, position, has_ended=has_ended)
                )
            except OSError:
                return
            except StoreError:  # it may answer later
                await asyncio.sleep(_LOOK_S)
                continue
            if part.lines:
                position = part.position
                data = json.dumps({"html": "".join(part.lines), "position": position})
                yield f"id: {position}\nevent: log\ndata: {data}\n\n"
                quiet_since = loop.time()
                continue
            if now is not None and _key(now) != shown:
                shown = _key(now)
                yield f"event: changed\ndata: {now.status.value}\n\n"
            if now is not None and has_ended:
                ended_at = loop.time() if ended_at is None else ended_at
                is_whole = is_whole or loop.time() - ended_at > ARRIVES_WITHIN_S
            if now is not None and has_ended and is_whole:
                yield f"event: ended\ndata: {now.status.value}\n\n"
                return
            if loop.time() - quiet_since > _QUIET_S:
                quiet_since = loop.time()
                yield ": nothing new\n\n"
            await asyncio.sleep(_LOG_S)

    async def _run(self, run_id: str) -> Run | None:
        """The run as it is now; read once for all its pages."""
        loop = asyncio.get_running_loop()
        at, found = self._runs.get(run_id, (0.0, None))
        if loop.time() - at < _LOG_S:
            return found
        with suppress(JobctlError):
            found = await self._read(lambda: self._reader.store().run(run_id))
        if len(self._runs) > MOST_STREAMS:
            self._runs.clear()
        self._runs[run_id] = (loop.time(), found)
        return found

    def _read(self, read: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._reads, read)


class _Stream(StreamingResponse):
    """Events. Whoever does not read them loses the connection, and the place: another page may want it."""

    def __init__(self, events: AsyncGenerator[str]) -> None:
        super().__init__(
            events, headers={**HEADERS, "X-Accel-Buffering": "no"}, media_type="text/event-stream"
        )
        self.events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        try:
            async with asyncio.timeout(LONGEST_S + _QUIET_S):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            pass
        finally:
            await self.events.aclose()  # else it is free only when its memory is


def _log_part(reader: Reader, run: Run, position: int, *, has_ended: bool) -> tuple[bool, LogPart]:
    """The lines behind a position, and whether they are the last of a run that has ended."""
    log = reader.log(run)
    is_whole = has_ended and log.is_whole(run.attempt)
    return is_whole, lines_from(log, position, reader.project.environment.mask)


def _key(run: Run) -> object:
    """What the page of a run shows besides its log."""
    return run.status, run.attempt, run.retry_at, run.progress
