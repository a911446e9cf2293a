"""A run store that is locked or not there: the page answers in time, says so, and comes back by itself."""

import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from jobctl.clock import SystemClock
from jobctl.model import Trigger
from jobctl.scheduler.process_identity import this_process
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Registration, new_run_id
from jobctl.web.pages import reader
from tests.pages.conftest import CODE, JOBS, OWN, Open, token_of
from tests.support.browser import Browser
from tests.support.postgres import Postgres
from tests.support.project import Site, until
from tests.web.conftest import serving

VISITORS = 20


@pytest.fixture
def project(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """On SQLite; the page waits for half a second only."""
    monkeypatch.setattr(reader, "STORE_TIMEOUT", timedelta(seconds=0.5))
    site.jobs(JOBS, CODE)
    open_store(site.folder / ".jobctl").close()
    return site


@contextmanager
def held(project: Site, *, for_readers: bool = False) -> Iterator[None]:
    """Another process writes and does not end; ``for_readers``: it lets no other read either."""
    file = project.folder / ".jobctl" / "jobctl.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA locking_mode = {'EXCLUSIVE' if for_readers else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        yield


def answered(page: TestClient, path: str, status: int) -> Response:
    """The answer, once it has this status: the page looks for the store once a second."""
    return until(lambda: [each for each in [page.get(path)] if each.status_code == status])[0]


def shown(page: TestClient, path: str = "/") -> str:
    return answered(page, path, 200).text


def said(page: TestClient, path: str = "/") -> str:
    answer = answered(page, path, 503)
    assert answer.headers["Refresh"] == "5"
    found = re.search(r"<h1>Not available</h1>\s*<p>(.*?)</p>", answer.text)
    assert found
    return found[1]


def test_a_store_that_nobody_else_may_read_is_said_and_waited_for(project: Site, open_page: Open) -> None:
    page = open_page()
    with held(project, for_readers=True):
        for path in ("/", "/jobs/quick", "/runs", "/timeline", "/actions"):
            assert "is locked by another process" in said(page, path), path
        assert page.get("/mode").status_code == 200

    assert "quick" in shown(page)


def test_each_of_many_visitors_is_answered_in_time(project: Site, open_page: Open) -> None:
    page = open_page()

    def visit(_: int) -> tuple[int, float]:
        began = time.monotonic()
        return page.get("/").status_code, time.monotonic() - began

    with held(project, for_readers=True), ThreadPoolExecutor(VISITORS) as pool:
        answers = list(pool.map(visit, range(VISITORS)))

    assert {status for status, _ in answers} == {503}
    assert max(took for _, took in answers) < VISITORS * reader.STORE_TIMEOUT.total_seconds() / 2


def test_a_store_that_is_only_written_is_shown_and_changed_later(project: Site, open_page: Open) -> None:
    store, now = open_store(project.folder / ".jobctl"), SystemClock().now()
    with closing(store):
        store.register([Registration("quick", "quick", "every 1h", "UTC")], now)
        gone = replace(this_process("trigger", now), start="of an earlier process with this pid")
        store.register_process(gone)
        store.claim(gone, [Claim(new_run_id(), "quick", Trigger.MANUAL, now, force=True)])
    page = open_page()
    with held(project):
        assert "running" in shown(page, "/jobs/quick")
        token = token_of(page)
        answer = page.post("/jobs/quick/pause", data={"token": token}, headers=OWN)

    assert (answer.status_code, "Refresh" in answer.headers) == (503, False)
    assert "is locked by another process" in answer.text
    assert page.post("/jobs/quick/pause", data={"token": token}, headers=OWN).status_code == 303
    until(lambda: "(lost)" in shown(page, "/jobs/quick"))  # its process has died


def test_a_store_that_is_moved_away_is_missed_until_it_is_back(project: Site, open_page: Open) -> None:
    page, state, elsewhere = open_page(), project.folder / ".jobctl", project.folder / "elsewhere"
    assert "quick" in shown(page)
    state.rename(elsewhere)
    until(lambda: "was moved while it was in use" in said(page))
    elsewhere.rename(state)
    assert "quick" in shown(page)


def test_a_store_that_is_deleted_is_made_again(project: Site, open_page: Open) -> None:
    page = open_page()
    shown(page)
    shutil.rmtree(project.folder / ".jobctl")
    until(lambda: "was deleted or replaced" in shown(page))
    assert (project.folder / ".jobctl" / "jobctl.db").exists()


@pytest.mark.slow
def test_a_server_that_is_away_is_missed_until_it_is_back(project: Site, open_page: Open) -> None:
    with closing(Postgres()) as server:
        page = open_page(JOBCTL_STATE=server.schema())
        shown(page)
        server.stop("fast")
        assert "the run store" in said(page).lower()
        server.start()
        assert "quick" in shown(page)


@pytest.mark.slow
def test_an_open_page_comes_back_by_itself(project: Site, browser: Browser) -> None:
    state, elsewhere = project.folder / ".jobctl", project.folder / "elsewhere"
    with serving(project, NODE_ENV="development") as client:
        assert client.get("/").status_code == 200
        state.rename(elsewhere)
        until(lambda: client.get("/").status_code == 503)
        with closing(browser.open(str(client.base_url), width=1280)) as tab:
            assert tab.evaluate("document.querySelector('h1').textContent") == "Not available"
            elsewhere.rename(state)
            tab.wait_until("document.querySelector('[data-row]') !== null")
