"""The page: complete, escaped, and, in a real browser, self-contained and readable on a phone."""

from pathlib import Path
from typing import Any

import pytest

from jobctl.site.reports.page import page
from jobctl.site.reports.plain_text import change, headlines
from tests.support.browser import Browser

_CONTRAST = """
(() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
      .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  let worst = 99;
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest('svg') || element.closest('.hidden')) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    worst = Math.min(worst, (a + 0.05) / (b + 0.05));
  }
  return worst;
})()
"""
_SMALLEST = """
Math.min(...[...document.querySelectorAll('body *')].filter((one) => !one.closest('.hidden'))
  .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
  .filter((one) => one.tagName !== 'title' && getComputedStyle(one).display !== 'none')
  .map((one) => {
    const size = parseFloat(getComputedStyle(one).fontSize);
    const svg = one.closest('svg');
    return svg ? size * svg.getBoundingClientRect().width / 640 : size;
  }))
"""
_FIGURES = """
Object.fromEntries([...document.querySelectorAll('[data-figure]')]
  .map((one) => [one.dataset.figure, one.querySelector('.value').textContent]))
"""


def test_every_figure_is_there(report: dict[str, Any]) -> None:
    text = page(report)

    for label, value, changed in headlines(report):
        assert label in text
        assert value in text
        assert changed in text
    assert "Week 47, November 16 to 22, 2026" in text
    assert "$1,234.00" in text


def test_what_comes_from_outside_is_escaped(report: dict[str, Any]) -> None:
    text = page(report)

    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Acme &lt;b&gt;&amp; Co" in text


def test_an_empty_period_is_a_page_too(report: dict[str, Any]) -> None:
    report |= {"top_items": [], "subscriptions": [], "revenue": []}
    for figure in report["figures"].values():
        figure.update(now=0, before=0)
    for name in ("sign_ups", "votes", "comments", "views"):
        report["series"][name] = [0] * 7

    text = page(report)

    assert "Nothing was voted for in this period." in text
    assert "There are no subscriptions yet." in text
    assert "Nothing was sold" in text


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [(41, 35, "+17 % (35 before)"), (35, 41, "−15 % (41 before)"), (5, 0, "new"), (0, 0, "as before (0)"),
     (0, 3, "−100 % (3 before)"), (10_000, 1, "+999,900 % (1 before)")],
)  # fmt: skip
def test_changes_in_words(now: int, before: int, said: str) -> None:
    assert change(now, before) == said


@pytest.fixture
def file(report: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(page(report), encoding="utf-8")
    return path


@pytest.mark.slow
def test_in_a_browser_it_needs_nothing_else(browser: Browser, file: Path, report: dict[str, Any]) -> None:
    tab = browser.open(file, width=1200)

    assert tab.requests == []
    assert tab.complaints == []
    assert tab.evaluate("document.scripts.length") == 0
    assert tab.evaluate(_FIGURES) == {label: value for label, value, _ in headlines(report)}
    assert tab.evaluate("document.querySelectorAll('svg.chart').length") == 4


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_in_a_browser_it_reads_well_on_a_phone(browser: Browser, file: Path, *, dark: bool) -> None:
    tab = browser.open(file, width=360, dark=dark)

    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    assert tab.evaluate(_SMALLEST) >= 12
    assert tab.evaluate(_CONTRAST) >= 4.5
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(17, 21, 27)") is dark
