"""The page as a function of Vercel: mounted in an application, on a shared store, without streams."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jobctl.model import RunStatus
from jobctl.project import ProjectContext
from tests.pages.conftest import CODE, JOBS, SECRET, Records, project_of
from tests.pages.test_run_and_job import keep_log
from tests.support.browser import Browser, Tab
from tests.support.postgres import Postgres
from tests.support.project import Site

pytestmark = pytest.mark.slow

ENTRY = """
from starlette.applications import Starlette
from starlette.routing import Mount
from jobctl.web import page

app = Starlette(routes=[Mount("/control", page)])
"""


@pytest.fixture
def project(
    site: Site, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ProjectContext]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where a function keeps its files
    site.jobs(JOBS, CODE)
    site.environment |= {
        "VERCEL": "1", "CRON_SECRET": SECRET, "JOBCTL_STATE": postgres.schema(), "TMPDIR": str(tmp_path)
    }  # fmt: skip
    with closing(project_of(site)) as context:
        yield context


@pytest.fixture
def records(project: ProjectContext) -> Records:
    return Records(project.open_store())


@pytest.fixture
def tab(site: Site, records: Records, browser: Browser) -> Iterator[Tab]:
    """The overview, after the login."""
    entry = site.write("index.py", ENTRY)
    function = subprocess.Popen(
        [sys.executable, "-m", "tests.support.vercel_runtime", str(entry)],
        cwd=site.folder,
        env={**site.environment, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    site.started.append(function)
    assert function.stdout is not None
    address = function.stdout.readline().strip()
    with closing(browser.open(f"{address}/control/", width=1280)) as opened:
        opened.evaluate(f"document.querySelector('[name=secret]').value = '{SECRET}'")
        opened.evaluate("document.querySelector('main form').requestSubmit()")
        opened.wait_until(
            "location.pathname === '/control/' && document.querySelector('[data-row]') !== null"
        )
        yield opened


def test_what_ends_is_shown_by_polling(tab: Tab, records: Records) -> None:
    tab.evaluate("window.mark = 1")
    row = "Array.from(document.querySelectorAll('tbody a.job')).find((a) => a.pathname === '/control/jobs/quick').closest('tr')"
    assert tab.evaluate(f"{row}.querySelectorAll('.strip a').length") == 0

    records.run("quick", RunStatus.FAILED, error="ValueError: no title")
    tab.wait_until(f"{row}.querySelector('.strip rect.failed') !== null")

    assert tab.evaluate("window.mark") == 1  # the page was not loaded again
    assert [url for url in tab.requests if url.endswith("/events")] == []
    assert tab.complaints == []


def test_the_page_of_a_run_polls_until_it_has_ended(
    tab: Tab, project: ProjectContext, records: Records
) -> None:
    run = records.run("quick", RunStatus.RUNNING)
    tab.evaluate(f"location.assign('/control/runs/{run.id}')")
    tab.wait_until("document.querySelector('.state.running') !== null && document.readyState === 'complete'")
    tab.evaluate("window.mark = 1")

    keep_log(project.state, "quick", run.id, "half of it is done")
    tab.wait_until("document.querySelector('.log pre').textContent.includes('half of it is done')")
    records.end(run)
    tab.wait_until("document.querySelector('.state.completed') !== null")

    assert tab.evaluate("window.mark") == 1
    assert tab.evaluate("document.body.dataset.events") == ""  # and asks no more
    assert tab.complaints == []
