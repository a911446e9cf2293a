"""Server-sent events: what they say, and that they are bounded and free when a page is gone."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import pytest
from starlette.responses import StreamingResponse
from starlette.types import Message

from jobctl.clock import SystemClock
from jobctl.model import RunStatus
from jobctl.web.pages import live
from jobctl.web.pages.live import Live
from jobctl.web.pages.reader import Reader
from tests.pages.conftest import Records, project_of
from tests.support.project import SOON, Site


@pytest.fixture
def reader(project: Site, records: Records) -> Iterator[Reader]:
    records.register("quick")
    with closing(project_of(project)) as context, closing(Reader(context, SystemClock())) as made:
        yield made


def stream_of(response: object) -> AsyncIterator[str]:
    assert isinstance(response, StreamingResponse)
    return response.body_iterator  # type: ignore[return-value]


async def next_event(stream: AsyncIterator[str]) -> str:
    async with asyncio.timeout(SOON):
        while (event := await anext(stream)).startswith((":", "retry")):
            continue
    return event


def test_a_change_is_said_once_to_every_open_page(reader: Reader, records: Records) -> None:
    async def watch() -> None:
        streams = Live(reader)
        first, second = stream_of(streams.changes()), stream_of(streams.changes())
        assert (await anext(first)).startswith("retry")
        assert (await anext(second)).startswith("retry")
        waiting = [asyncio.ensure_future(next_event(stream)) for stream in (first, second)]
        await streams._read(streams._has_changed)  # as it is before the run
        await asyncio.to_thread(records.run, "quick", RunStatus.COMPLETED)
        events = await asyncio.gather(*waiting)
        streams.close()

        assert all(event.startswith("event: changed") for event in events)

    asyncio.run(watch())


def test_a_page_that_is_gone_frees_its_stream(reader: Reader) -> None:
    async def leave() -> None:
        streams = Live(reader)
        stream = stream_of(streams.changes())
        await anext(stream)
        assert streams._streams == 1
        await stream.aclose()  # type: ignore[attr-defined]
        assert streams._streams == 0
        assert streams._watch is None
        streams.close()

    asyncio.run(leave())


def test_streams_are_bounded_and_end_with_the_server(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_STREAMS", 1)

    async def fill() -> None:
        streams = Live(reader)
        stream = stream_of(streams.changes())
        await anext(stream)
        assert streams.changes().status_code == 503
        streams.close()
        async with asyncio.timeout(SOON):
            async for _ in stream:
                continue
        assert streams.changes().status_code == 503

    asyncio.run(fill())


def test_a_reader_that_does_not_read_frees_its_stream(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LONGEST_S", 0.05)
    monkeypatch.setattr(live, "_QUIET_S", 0.05)

    async def stall() -> None:
        streams, never = Live(reader), asyncio.Event()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                await never.wait()

        async def receive() -> Message:
            await never.wait()
            return {"type": "http.disconnect"}

        scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
        async with asyncio.timeout(SOON):
            await streams.changes()(scope, receive, send)
        assert streams._streams == 0
        streams.close()

    asyncio.run(stall())
