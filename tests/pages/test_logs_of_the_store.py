"""The log of a run of another machine, out of the run store: on its page, to download, and as it grows."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from jobctl.clock import SystemClock
from jobctl.model import RunStatus
from jobctl.store.stored_logs import LogPiece, StoredLogs
from jobctl.web.pages.live import Live
from jobctl.web.pages.reader import Reader
from tests.pages.conftest import CODE, JOBS, Open, Records, project_of
from tests.pages.test_run_and_job import AT
from tests.pages.test_streams import next_event, stream_of
from tests.support.postgres import Postgres
from tests.support.project import Site

SECRET = "a-secret-to-come"


@pytest.fixture
def project(site: Site, postgres: Postgres) -> Site:
    site.jobs(JOBS, CODE)
    site.environment["JOBCTL_STATE"] = postgres.schema()
    return site


@pytest.fixture
def logs(records: Records) -> StoredLogs:
    assert records.store.stored_logs is not None
    return records.store.stored_logs


@pytest.fixture
def reader(project: Site, records: Records) -> Iterator[Reader]:
    with closing(project_of(project)) as context, closing(Reader(context, SystemClock())) as made:
        yield made


def lines(*texts: str) -> bytes:
    return "".join(f"{AT}{text}\n" for text in texts).encode()


def test_it_is_on_the_page_and_to_download(open_page: Open, records: Records, logs: StoredLogs) -> None:
    run = records.run("quick")
    data = lines("\\x1b[32mgreen\\x1b[0m", *map(str, range(1500)), f"secret {SECRET}")
    for at in range(0, len(data), 10_000):
        logs.append([LogPiece(run.id, at, data[at : at + 10_000], 1)])
    page = open_page(API_TOKEN=SECRET)

    text = page.get(f"/runs/{run.id}").text
    assert "secret ••••" in text
    assert "502 older lines: show all" in text
    assert '<span class="green">green</span>' in page.get(f"/runs/{run.id}?log=whole").text
    kept = page.get(f"/runs/{run.id}/log")
    assert kept.content == data.replace(SECRET.encode(), "••••".encode())


def test_where_none_is_kept_the_machine_is_named(open_page: Open, records: Records) -> None:
    run = records.run("quick")
    text = open_page().get(f"/runs/{run.id}").text
    assert "It is a run of far-away, and none of its output is on this machine or in the run store." in text


def test_it_grows_until_the_last_of_it_has_arrived(
    reader: Reader, records: Records, logs: StoredLogs
) -> None:
    run = records.run("quick", RunStatus.RUNNING)

    def piece(position: int, data: bytes, attempt: int | None = None) -> None:
        logs.append([LogPiece(run.id, position, data, attempt)])

    async def watch() -> list[str]:
        streams = Live(reader)
        stream = stream_of(streams.of_run(run, 0))
        first, second = lines("one"), lines("two")
        await asyncio.to_thread(piece, 0, first)
        seen = [await next_event(stream)]
        await asyncio.to_thread(records.end, run)
        await asyncio.to_thread(piece, len(first), second, 1)  # sent after the end was recorded
        while not seen[-1].startswith("event: ended"):
            seen.append(await next_event(stream))
        streams.close()
        return seen

    events = asyncio.run(watch())
    html = [json.loads(event.partition("data: ")[2])["html"] for event in events if event.startswith("id: ")]
    assert ["one" in html[0], "two" in html[1], len(html)] == [True, True, 2]
