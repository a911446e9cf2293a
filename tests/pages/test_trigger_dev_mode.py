"""The page where Trigger.dev is in charge: it shows what its API knows, and asks it."""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from starlette.testclient import TestClient

from jobctl.model import ActionKind
from jobctl.project import ProjectContext
from jobctl.web.pages.application import create_page
from tests.pages.conftest import CODE, OWN, SECRET, client_of, log_in, project_of
from tests.support.project import Site
from tests.support.trigger_dev import KEY, Cloud, Fault, trigger_dev
from tests.support.trigger_dev_settings import in_charge

JOBS = '[jobs.quick]\ncron = "0 9 * * *"\ncall = "work:quick"\n'


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with trigger_dev("quick") as cloud:
        yield cloud


@pytest.fixture
def context(site: Site, cloud: Cloud) -> Iterator[ProjectContext]:
    site.jobs(JOBS, CODE)
    with closing(project_of(site, **in_charge(cloud.url, KEY), CRON_SECRET=SECRET)) as context:
        yield context


@pytest.fixture
def client(context: ProjectContext) -> Iterator[TestClient]:
    with client_of(create_page(project=context)) as client:
        log_in(client)
        yield client


def token_of(client: TestClient) -> str:
    found = re.search(r'name="token" value="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def test_it_shows_the_runs_that_are_there(client: TestClient, cloud: Cloud) -> None:
    run_id = cloud.run("quick")
    text = client.get("/").text

    assert "Scheduled by Trigger.dev; this is what it has" in text
    assert re.search(rf'href="/runs/{run_id}"', text)
    assert run_id in client.get("/runs").text
    assert run_id in client.get("/jobs/quick").text
    assert "completed" in client.get(f"/runs/{run_id}").text


def test_a_run_is_asked_for_there_and_who_asked_is_kept_here(
    client: TestClient, cloud: Cloud, context: ProjectContext
) -> None:
    fields = {"token": token_of(client), "reason": "to see it"}
    answer = client.post("/jobs/quick/run", data=fields, headers=OWN)
    (action,) = context.open_store().actions("quick")

    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"/runs/{action.run_id}?")
    assert (action.kind, action.reason) == (ActionKind.TRIGGER, "to see it")
    assert f"A run of quick was started: {action.run_id}." in client.get(answer.headers["location"]).text
    assert any(method == "POST" and path.endswith("/trigger") for method, path in cloud.writes())


def test_where_it_does_not_answer_the_page_says_so(client: TestClient, cloud: Cloud) -> None:
    cloud.faults.extend([Fault(status=500)] * 50)
    text = client.get("/").text

    assert "Trigger.dev does not answer" in text
    assert 'href="/jobs/quick"' in text
