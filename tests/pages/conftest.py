"""The page in this process, of a project whose run store is filled by hand: no scheduler is needed to read."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from jobctl.clock import SystemClock
from jobctl.model import Reason, Run, RunStatus, Trigger
from jobctl.project import ProjectContext
from jobctl.store.base import RunStore
from jobctl.store.records import Claim, Claimed, Ending, Owner, Registration, new_run_id
from jobctl.web.pages.application import create_page
from tests.support.project import Site

SECRET = "a-secret-of-the-page"
READ_SECRET = "a-secret-to-read-with"
OWN = {"Origin": "http://127.0.0.1:8321", "Sec-Fetch-Site": "same-origin"}
CODE = """
from typing import Literal

def quick():
    print("quick ran")

def greet(name: str, times: int = 1, tone: Literal["kind", "short"] = "kind", loud: bool = False, dry_run: bool = False):
    print(f"hello {name}")
    return {"message": f"greeted {name}", "processed": times}
"""
JOBS = """
[jobs.quick]
every = "1h"
call = "work:quick"
[jobs.greet]
name = "Greets <people>"
call = "work:greet"
[jobs.nightly]
cron = "30 2 * * *"
timezone = "Europe/Berlin"
call = "work:quick"
[jobs.offsite]
every = "1h"
call = "work:quick"
needs = ["BACKUP_BUCKET"]
"""

Open = Callable[..., TestClient]


class Records:
    """Writes runs into the store of a project, as a scheduler does."""

    def __init__(self, store: RunStore) -> None:
        self.store = store
        self.now = SystemClock().now()
        self._owner = Owner("a" * 32, "scheduler", "far-away", 7, "1", "", self.now, leased=True)
        store.register_process(self._owner)

    def register(self, *ids: str, schedule: str = "every 1h") -> None:
        self.store.register([Registration(job_id, job_id, schedule, "UTC") for job_id in ids], self.now)

    def run(
        self,
        job_id: str,
        status: RunStatus = RunStatus.COMPLETED,
        *,
        ago: timedelta = timedelta(minutes=5),
        error: str | None = None,
        result: object = None,
    ) -> Run:
        self.register(job_id)
        began = self.now - ago
        claim = Claim(new_run_id(), job_id, Trigger.MANUAL, began, force=True)
        (claimed,) = self.store.claim(self._owner, [claim])
        assert isinstance(claimed, Claimed)
        if status is RunStatus.RUNNING:
            return claimed.run
        return self.end(claimed.run, status, error=error, result=result)

    def skip(self, job_id: str, *, ago: timedelta) -> None:
        """Claim a slot while a run of the job is in its way."""
        at = self.now - ago
        self.store.claim(self._owner, [Claim(new_run_id(), job_id, Trigger.SCHEDULE, at, at)])

    def end(
        self,
        run: Run,
        status: RunStatus = RunStatus.COMPLETED,
        *,
        error: str | None = None,
        result: object = None,
    ) -> Run:
        reason = Reason.ERROR if status is RunStatus.FAILED else None
        took, began = timedelta(seconds=2), run.started_at
        self.store.finish(
            [Ending(run.id, run.job_id, status, began, began + took, took, reason, error, result)]
        )
        found = self.store.run(run.id)
        assert found is not None
        return found


@pytest.fixture
def project(site_on_either_store: Site) -> Site:
    """On SQLite and on Postgres."""
    site_on_either_store.jobs(JOBS, CODE)
    return site_on_either_store


def project_of(site: Site, **environment: str) -> ProjectContext:
    process = {**site.environment, "NODE_ENV": "development", **environment}
    return ProjectContext.find(site.folder, process)


def client_of(app: Starlette, **options: object) -> TestClient:
    return TestClient(
        app, base_url="http://127.0.0.1:8321", client=("127.0.0.1", 5000), follow_redirects=False
    )


@pytest.fixture
def open_page(project: Site) -> Iterator[Open]:
    """A client of the page, with these variables."""
    with ExitStack() as stack:

        def open_it(**environment: str) -> TestClient:
            context = stack.enter_context(closing(project_of(project, **environment)))
            app = create_page(project=context)
            stack.enter_context(closing(app.state.page.reader))
            return client_of(app)

        yield open_it


@pytest.fixture
def records(project: Site) -> Iterator[Records]:
    context = project_of(project)
    with closing(context):
        yield Records(context.open_store())


def log_in(client: TestClient, secret: str = SECRET) -> httpx2.Response:
    return client.post("/login", data={"secret": secret}, headers=OWN)


def token_of(client: TestClient, path: str = "/jobs/quick") -> str:
    """The token that the forms of a page carry."""
    found = re.search(r'name="token" value="([^"]+)"', client.get(path).text)
    assert found, path
    return found[1]
