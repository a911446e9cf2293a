"""What holds for every route of the page, asked of the table of routes: a new one is covered by itself."""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from jobctl.model import RunStatus
from jobctl.web.pages.application import ControlPage
from tests.pages.conftest import (
    OWN,
    READ_SECRET,
    SECRET,
    Open,
    Records,
    log_in,
    project_of,
    token_of,
)
from tests.support.project import Site

OPEN = {"/login", "/static/{name}"}
STREAMS = {"/events", "/runs/{id}/events"}
NONE = {"POST": "/logout", "PUT": "/", "DELETE": "/jobs/quick", "PATCH": "/events", "OPTIONS": "/login"}


@pytest.fixture
def project(site: Site) -> Site:
    """On SQLite alone: no rule of access depends on the store."""
    return site


@pytest.fixture
def routes(project: Site) -> Iterator[list[Route]]:
    with closing(project_of(project)) as context:
        yield ControlPage(context).routes()


def paths(routes: list[Route], method: str, run_id: str) -> list[str]:
    """The paths of all routes with a method, of a job and a run that there are."""
    found = [route.path for route in routes if method in (route.methods or ())]
    ids = {"jobs": "quick", "runs": run_id, "reports": "report-x-2026-W47.csv", "static": "page.js"}
    return [re.sub("{.*?}", ids.get(path.split("/")[1], ""), path) for path in found]


def state_of(records: Records) -> list[object]:
    """All that a visitor could have changed."""
    job = records.store.job("quick")
    return [
        job and job.stopped,
        records.store.actions(),
        records.store.waiting(),
        [run.id for run in records.store.runs()],
        records.store.cancellations("a" * 32),
    ]


def test_without_a_session_no_route_shows_or_changes_anything(
    routes: list[Route], open_page: Open, records: Records
) -> None:
    run = records.run("quick", RunStatus.RUNNING)
    before = state_of(records)
    client = open_page(CRON_SECRET=SECRET)
    streams = paths([route for route in routes if route.path in STREAMS], "GET", run.id)
    free = paths([route for route in routes if route.path in OPEN], "GET", run.id)

    for path in paths(routes, "GET", run.id):
        answer = client.get(path)
        expected = 200 if path in free else 401 if path in streams else 303
        assert (answer.status_code, "quick" in answer.text) == (expected, False), path
    for path in paths(routes, "POST", run.id):
        assert client.post(path, data={"token": "x"}, headers=OWN).status_code == 401, path
        assert "set-cookie" not in client.post(path, json={}, headers=OWN).headers, path
    assert state_of(records) == before


def test_the_reading_secret_changes_nothing_by_any_route(
    routes: list[Route], open_page: Open, records: Records
) -> None:
    run = records.run("quick", RunStatus.RUNNING)
    before = state_of(records)
    client = open_page(JOBCTL_PAGE_READONLY_SECRET=READ_SECRET, CRON_SECRET=SECRET)
    log_in(client, READ_SECRET)
    token = token_of(client, "/")

    for path in paths(routes, "POST", run.id):
        if path not in {"/login", "/logout"}:
            fields = {"token": token, "reason": "to try", "until": "1d", "now": "1"}
            assert client.post(path, data=fields, headers=OWN).status_code == 403, path
    for method in ("GET", "HEAD"):
        for path in paths(routes, method, run.id):
            if not path.endswith("/events"):
                client.request(method, path)
    assert state_of(records) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1:8321@evil.test"},
        {"Origin": "http://["},
    ],
)
def test_no_route_is_changed_by_a_form_of_another_site(
    headers: dict[str, str], routes: list[Route], open_page: Open, records: Records
) -> None:
    run = records.run("quick", RunStatus.RUNNING)
    before = state_of(records)
    client = open_page(CRON_SECRET=SECRET)
    log_in(client)
    token = token_of(client, "/")

    for path in paths(routes, "POST", run.id):
        fields = {"token": token, "secret": SECRET}
        answer = client.post(path, data=fields, headers=headers)
        assert answer.status_code in {401, 403}, path
        assert "set-cookie" not in answer.headers, path
    assert state_of(records) == before
    assert client.get("/").status_code == 200


def test_every_answer_has_the_headers_of_the_page(
    routes: list[Route], open_page: Open, records: Records
) -> None:
    run = records.run("quick")
    client = open_page()
    streams = paths([route for route in routes if route.path in STREAMS], "GET", run.id)
    asked = [("GET", path) for path in paths(routes, "GET", run.id) if path not in streams]
    asked += [("POST", path) for path in paths(routes, "POST", run.id)]
    asked += [("HEAD", path) for path in streams]
    asked += [("GET", "/none"), ("GET", "/jobs/quick/"), ("GET", "/static/..%2faccess.py"), *NONE.items()]

    for method, path in asked:
        headers = client.request(method, path).headers
        assert "frame-ancestors 'none'" in headers.get("content-security-policy", ""), (method, path)
        assert headers["x-content-type-options"] == "nosniff", (method, path)
        if not path.startswith("/static/"):
            assert headers["cache-control"] == "no-store", (method, path)
        assert "//" not in headers.get("location", ""), (method, path)


def test_a_bug_outside_of_the_views_is_said_without_its_text(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        del given
        raise ValueError("what nobody may read")

    client = open_page()
    page = client.app.state.page  # type: ignore[attr-defined]
    monkeypatch.setattr(page.access, "visitor", fail)
    assert isinstance(client.app, Starlette)
    answer = TestClient(client.app, raise_server_exceptions=False).get("/")

    assert (answer.status_code, answer.text) == (500, "internal error of jobctl\n")
    assert "content-security-policy" in answer.headers


def test_a_broken_project_file_is_said_on_the_page(open_page: Open, project: Site) -> None:
    project.write("jobctl.toml", "[jobs.quick\n")
    client = open_page()

    for path in ("/", "/jobs/quick", "/jobs/quick/run", "/timeline"):
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert "table declaration" in answer.text, path
    assert client.get("/mode").status_code == 200


def test_on_vercel_the_page_asks_again_and_no_stream_holds_a_function(
    routes: list[Route], open_page: Open, records: Records
) -> None:
    run = records.run("quick")
    client = open_page(VERCEL="1", CRON_SECRET=SECRET)
    log_in(client)

    assert 'data-live="poll"' in client.get("/").text
    for path in paths([route for route in routes if route.path in STREAMS], "GET", run.id):
        assert client.get(path).status_code == 404, path
