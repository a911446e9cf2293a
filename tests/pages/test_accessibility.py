"""What each page promises to everybody, checked by script in a real Chromium: at 1280 and 390 wide, light and dark."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from jobctl.model import Run, RunStatus, SentNotification, Trigger, WaitingRun
from jobctl.store.records import new_run_id
from tests.pages.conftest import CODE, JOBS, SECRET, Records, project_of
from tests.pages.test_run_and_job import keep_log
from tests.pages.test_site_page import GROWTH, RECENT, TOP, TRENDS, keep
from tests.support.browser import Browser, Tab
from tests.support.project import Site
from tests.web.conftest import serving

pytestmark = pytest.mark.slow

PAGES = {
    "overview": "/",
    "nothing found": "/?q=there-is-none",
    "failed": "/?state=failed",
    "runs": "/runs",
    "actions": "/actions",
    "timeline": "/timeline",
    "site": "/site",
    "mode": "/mode",
    "job": "/jobs/greet",
    "stopped job": "/jobs/offsite",
    "form": "/jobs/greet/run",
    "failed run": "/runs/{failed}",
    "running run": "/runs/{running}",
    "completed run": "/runs/{completed}",
    "run that waits": "/runs/{waiting}",
    "no such run": "/runs/none",
    "login": "/login",
    "wrong secret": "/login",
}
CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ancestors = (element) => { const all = []; for (let at = element; at; at = at.parentElement) all.push(at); return all; };
  const behind = (element) => ancestors(element).reverse().reduce(
    (below, at) => over(rgba(getComputedStyle(at).backgroundColor), below), [255, 255, 255, 1]);
  const opacity = (element) => ancestors(element).reduce((all, at) => all * Number(getComputedStyle(at).opacity), 1);
  window.ratio = (color, element) => {
    const below = behind(element), [r, g, b, a] = rgba(color);
    const [high, low] = [light(over([r, g, b, a * opacity(element)], below)), light(below)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const found = [];
  const check = (element, style) => {
    const size = parseFloat(style.fontSize), is_large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const actual = window.ratio(element.closest("svg") ? style.fill : style.color, element);
    if (actual < (is_large ? 3 : 4.5)) found.push(`${actual.toFixed(2)} ${element.outerHTML.slice(0, 90)}`);
  };
  document.getAnimations().forEach((each) => each.cancel());
  for (const element of document.querySelectorAll("body *")) {
    const is_field = element.matches("input:not([type=hidden], [type=checkbox], [type=radio]), select, textarea");
    const text = is_field || Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || element.closest(".hidden, .skip, title, option, :disabled") || !element.checkVisibility()) continue;
    check(element, getComputedStyle(element));
    if (element.placeholder) check(element, getComputedStyle(element, "::placeholder"));
  }
  return found;
})()
"""
STRUCTURE = """
(() => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const shown = (list) => list.map((each) => each.outerHTML.slice(0, 90));
  const name = (each) => (each.ariaLabel || each.labels?.[0]?.textContent || each.textContent || each.title || "").trim();
  const navigations = all("nav");
  const levels = all("h1, h2, h3, h4").map((each) => Number(each.tagName[1]));
  const ids = all("[id]").map((each) => each.id);
  return {
    language: document.documentElement.lang,
    title: document.title.trim() !== "",
    mains: all("main").length,
    headings: all("h1").length,
    "levels left out": levels.filter((level, at) => level > (levels[at - 1] || 0) + 1),
    "navigations without a name": navigations.length > 1 ? shown(navigations.filter((each) => !each.ariaLabel)) : [],
    "headers without scope": shown(all("th").filter((each) => !["col", "row"].includes(each.scope))),
    "tables without headers": shown(all("table").filter((each) => !each.querySelector("th"))),
    "controls without a label": shown(all("input:not([type=hidden]), select, textarea").filter(
      (each) => !each.ariaLabel && !each.labels?.length && !each.hidden)),
    "controls without a name": shown(all("a, button, summary").filter((each) => !name(each))),
    "pictures without words": shown(all("svg").filter((each) => !each.ariaLabel && each.ariaHidden !== "true")),
    "ids that occur twice": ids.filter((id, at) => ids.indexOf(id) !== at),
    "names on what has no role": shown(all("div[aria-label], span[aria-label], p[aria-label], pre[aria-label]").filter((each) => !each.role)),
  };
})()
"""
SOUND = {"language": "en", "title": True, "mains": 1, "headings": 1}
STOPS = """
window.stops = Array.from(document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]"))
  .filter((each) => each.tabIndex >= 0 && each.type !== "hidden" && !each.disabled && each.checkVisibility());
window.stops.length
"""
FOCUSED = """
(() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  const shows = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && window.ratio(style.outlineColor, at.parentElement) >= 3;
  const is_in_sight = box.width > 1 && box.height > 1 && box.bottom > 0 && box.top < innerHeight;
  return [window.stops.indexOf(at), shows && is_in_sight, at.outerHTML.slice(0, 90)];
})()
"""


class Served:
    """A server with every kind of page, and the browser that is logged in."""

    def __init__(self, address: str, browser: Browser, runs: dict[str, str]) -> None:
        self._browser = browser
        self._runs = runs
        self.address = address
        with closing(self.open("/login")) as tab:
            log_in(tab, SECRET)
            tab.wait_until("location.pathname === '/'")

    def open(self, path: str) -> Tab:
        return self._browser.open(f"{self.address}{path.format(**self._runs)}", width=1280)


def log_in(tab: Tab, secret: str) -> None:
    tab.evaluate(f"document.querySelector('[name=secret]').value = '{secret}'")
    tab.evaluate("document.querySelector('main form').requestSubmit()")


@pytest.fixture(scope="module")
def served(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("accessibility") / "site"
    folder.mkdir()
    site = Site(folder)
    site.environment |= {"CRON_SECRET": SECRET, "DATABASE_URL": "postgresql://db.example/site", "TZ": "UTC"}
    site.jobs(JOBS, CODE)
    with closing(project_of(site)) as project:
        runs = fill(Records(project.open_store()), site)
    try:
        with serving(site) as client:
            yield Served(str(client.base_url).rstrip("/"), browser, runs)
    finally:
        site.clean_up()


def fill(records: Records, site: Site) -> dict[str, str]:
    """Something of everything that a page may show; the ids of runs by what they are."""
    store = records.store
    failed = records.run("greet", RunStatus.FAILED, error="ValueError: no name")
    records.run("quick", RunStatus.CANCELLED)
    result = {
        "message": "index is up to date",
        "processed": 12,
        "details": {"parts": [{"name": "a", "size": 1200}]},
    }
    completed = records.run("quick", result=result)
    running = records.run("nightly", RunStatus.RUNNING)
    waiting = WaitingRun(
        new_run_id(), "greet", records.now + timedelta(hours=3), Trigger.MANUAL, actor="ada@host"
    )
    store.keep([waiting])
    store.stop(["quick"], records.now, "the host moves", actor="ada@host")
    for error in (None, "no route to host"):
        sent = SentNotification(records.now, "greet", "failure", "mail", "ops@example.com", failed.id, error)
        store.keep_notifications([sent])
    keep(
        records, user_growth_12=GROWTH, activity_trends_14=TRENDS, top_items_10=TOP, recent_activity_10=RECENT
    )
    colors = [f"\\x1b[{code}mcolour {code}\\x1b[0m" for code in (1, 2, *range(30, 38), *range(90, 98))]
    for run in (failed, completed, running):
        keep_log(
            site.folder / ".jobctl",
            run.job_id,
            run.id,
            *colors,
            "Traceback (most recent call last):",
            "ValueError: no name",
        )
    reports = site.folder / ".jobctl" / "reports"
    reports.mkdir()
    for ending in ("html", "csv"):
        (reports / f"report-weekly-user-growth-2026-W47.{ending}").write_text("a")
    made: dict[str, Run | WaitingRun] = {
        "failed": failed, "completed": completed, "running": running, "waiting": waiting
    }  # fmt: skip
    return {name: run.id for name, run in made.items()}


@pytest.fixture(params=PAGES)
def tab(request: pytest.FixtureRequest, served: Served) -> Iterator[Tab]:
    with closing(served.open(PAGES[request.param])) as opened:
        if request.param == "wrong secret":
            log_in(opened, "not-the-secret")
            opened.wait_until("document.querySelector('[role=alert]') !== null")
        yield opened


def test_a_page_can_be_read_and_used_by_all(tab: Tab, served: Served) -> None:
    for width, dark in ((1280, False), (390, True), (390, False), (1280, True)):
        tab.show(width=width, dark=dark)
        are_open = "true" if (width == 1280) is dark else "false"
        tab.evaluate(f"document.querySelectorAll('details').forEach((each) => each.open = {are_open})")
        assert tab.evaluate(CONTRAST) == [], (width, dark)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width  # a phone widens its window
        structure: dict[str, Any] = tab.evaluate(STRUCTURE)
        assert {name: value for name, value in structure.items() if value != []} == SOUND
        assert walk(tab) == list(range(tab.evaluate("window.stops.length"))), (width, dark)

    expected = re.compile(r"the server responded with a status of (401|404)")
    assert [one for one in tab.complaints if not expected.search(one)] == []
    assert all(url.startswith(served.address) for url in tab.requests)


def walk(tab: Tab) -> list[int]:
    """Which stops the Tab key reaches, in order from the first. Each must show that it has the focus."""
    stops, reached = tab.evaluate(STOPS), []
    for _ in range(stops + 10):
        tab.press("Tab")
        at, is_shown, text = tab.evaluate(FOCUSED)
        if at in reached:
            break
        if at >= 0:
            assert is_shown, text
            reached.append(at)
    begin = reached.index(0) if 0 in reached else 0  # it goes on where the focus was
    return [*reached[begin:], *reached[:begin]]
