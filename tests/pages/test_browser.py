"""The page in a real Chromium: with and without JavaScript, and by the keyboard."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from jobctl.model import RunStatus
from tests.pages.conftest import CODE, JOBS, Records
from tests.support.browser import Browser, Tab
from tests.support.project import Site

pytestmark = pytest.mark.slow


@pytest.fixture
def records(site: Site) -> Iterator[Records]:
    """Runs of the jobs, before a scheduler starts."""
    from contextlib import closing

    from tests.pages.conftest import project_of

    site.jobs(JOBS, CODE)
    with closing(project_of(site)) as context:
        made = Records(context.open_store())
        for n in range(25):
            made.run(
                "quick",
                RunStatus.FAILED if n % 7 == 3 else RunStatus.COMPLETED,
                error="ValueError: no title" if n % 7 == 3 else None,
            )
        made.run("greet", RunStatus.FAILED, error="ValueError: no name")
        made.store.sign_off("a" * 32, made.now)
        yield made


@pytest.fixture
def address(site: Site, records: Records) -> str:
    process = site.run("--web", "--port", "0")
    found = re.search(r"page: (http://127.0.0.1:\d+)/", site.log(process))
    assert found
    return found[1]


@pytest.fixture
def open_tab(browser: Browser, address: str) -> Iterator[Any]:
    tabs: list[Tab] = []

    def open_it(path: str, width: int = 1280, **options: Any) -> Tab:
        close()  # its stream would take one of the browser's few connections
        tabs.append(browser.open(f"{address}{path}", width=width, **options))
        return tabs[-1]

    def close() -> None:
        while tabs:
            tabs.pop().close()

    yield open_it
    close()


def test_a_run_is_asked_for_by_a_form_without_javascript(open_tab: Any, site: Site) -> None:
    tab = open_tab("/jobs/greet/run", scripts=False)
    tab.evaluate("document.getElementById('argument.name').value = 'Ada'")
    place = tab.evaluate(
        "(() => { const button = document.querySelector('main button.primary'); button.scrollIntoView();"
        " const at = button.getBoundingClientRect();"
        " return [at.x + at.width / 2, at.y + at.height / 2]; })()"
    )
    tab.click(*place)
    tab.wait_until("location.pathname.startsWith('/runs/') && document.querySelector('.notice') !== null")

    assert "A run of greet was started" in tab.evaluate("document.querySelector('.notice').textContent")


def test_the_page_of_a_run_goes_on_by_itself(open_tab: Any, site: Site) -> None:
    tab = open_tab("/jobs/greet/run")
    tab.evaluate("document.getElementById('argument.name').value = 'Ada'")
    tab.evaluate("document.querySelector('main form').requestSubmit()")
    tab.wait_until(
        "location.pathname.startsWith('/runs/') && document.querySelector('.state.completed') !== null"
    )
    tab.wait_until(
        "document.querySelector('h1') !== null && document.body.textContent.includes('greeted Ada')"
    )

    assert tab.complaints == []


def test_the_overview_shows_a_new_run_by_itself(open_tab: Any, site: Site) -> None:
    tab = open_tab("/")
    tab.evaluate("window.mark = 1")
    row = "Array.from(document.querySelectorAll('tbody a.job')).find((a) => a.pathname === '/jobs/greet').closest('tr')"
    before = tab.evaluate(f"{row}.querySelectorAll('.strip a').length")
    site.call("trigger", "greet", "name=Ada")
    tab.wait_until(f"{row}.querySelectorAll('.strip a').length > {before}")

    assert tab.evaluate("window.mark") == 1  # the page was not loaded again


def test_the_keyboard_searches_chooses_and_opens(open_tab: Any) -> None:
    tab = open_tab("/?sort=name")
    tab.press("/")
    tab.wait_until("document.activeElement.matches('input[type=search]')")
    for letter in "gree":
        tab.press(letter)
    tab.wait_until("document.querySelectorAll('[data-row]').length === 1")
    tab.evaluate("document.activeElement.blur()")
    tab.press("j")
    tab.wait_until("document.querySelectorAll('.chosen').length === 1")
    tab.press("Enter")
    tab.wait_until("location.pathname === '/jobs/greet'")


def test_a_login_leads_to_the_page_that_was_asked_for(browser: Browser, site: Site) -> None:
    site.jobs(JOBS, CODE)
    site.environment["CRON_SECRET"] = "a-secret-of-the-site"
    found = re.search(r"page: (http://127.0.0.1:\d+)/", site.log(site.run("--web", "--port", "0")))
    assert found
    tab = browser.open(f"{found[1]}/jobs/quick", width=390)
    try:
        assert tab.evaluate("location.pathname") == "/login"
        assert tab.complaints == []
        tab.evaluate("document.querySelector('[name=secret]').value = 'a-secret-of-the-site'")
        tab.evaluate("document.querySelector('form').requestSubmit()")
        tab.wait_until("location.pathname === '/jobs/quick'")
        assert tab.evaluate("document.cookie") == ""  # no script can read it
    finally:
        tab.close()


def test_the_script_is_small() -> None:
    from jobctl.web.pages.rendering import asset

    assert len(asset("page.js")[0]) <= 15 * 1024
