"""The page of an Ever Works site: charts of the cached results, and the reports."""

import os
import re
from datetime import timedelta

import pytest

from tests.pages.conftest import SECRET, Open, Records
from tests.support.project import Site

GROWTH = [{"month": f"M{n}", "users": n * 10, "active": n * 100} for n in range(1, 13)]
TRENDS = [{"day": f"Nov {n}", "views": n, "votes": 2 * n, "comments": 0} for n in range(1, 15)]
TOP = [{"name": "Rowan <b>", "views": 9, "votes": 4, "category": "Databases"}]
RECENT = [
    {
        "user": "Ada & co",
        "description": "Voted for <i>",
        "timestamp": "2026-11-29T13:46:21.503+00:00",
        "type": "vote",
    }
]


@pytest.fixture
def site_page(open_page: Open) -> Open:
    """Of a project that is an Ever Works site."""
    return lambda **more: open_page(DATABASE_URL="postgresql://db.example/site", **more)


def keep(records: Records, *, lives: timedelta = timedelta(minutes=5), **results: object) -> None:
    records.store.cache_put(results, records.now - timedelta(minutes=1), records.now + lives)


def test_charts_and_lists_of_what_was_found(site_page: Open, records: Records) -> None:
    keep(
        records, user_growth_12=GROWTH, activity_trends_14=TRENDS, top_items_10=TOP, recent_activity_10=RECENT
    )

    text = site_page().get("/site").text

    assert "<b>120</b> new in M12, <b>1,200</b> in all" in text
    growth = text.partition('<svg class="chart"')[2].partition("</svg>")[0]
    heights = [float(height) for height in re.findall(r'height="([\d.]+)"', growth)]
    assert len(heights) == 12
    assert heights == sorted(heights)
    assert "M3: 30 new users" in growth
    assert "<b>105</b> views" in text
    assert 'aria-label="votes from Nov 1 to Nov 14: 2 to 28 a day"' in text
    assert "Rowan &lt;b&gt;" in text
    assert "<b>Ada &amp; co</b> voted for &lt;i&gt;" in text
    assert "Not computed yet" in text  # the performance metrics


def test_another_window_is_chosen_by_the_address(site_page: Open, records: Records) -> None:
    keep(records, user_growth_12=GROWTH, user_growth_6=GROWTH[-6:])
    page = site_page()
    assert page.get("/site?user-growth=6").text.count("new users</title>") == 6
    for wrong in ("7", "x", "99999999999999999999", "%00"):
        assert page.get(f"/site?user-growth={wrong}").text.count("new users</title>") == 12


def test_results_that_have_expired_are_marked(site_page: Open, records: Records) -> None:
    keep(records, lives=timedelta(seconds=-30), user_growth_12=GROWTH)
    assert "expired since" in site_page().get("/site").text


def test_reports_are_listed_and_opened(site_page: Open, project: Site) -> None:
    page = site_page()
    folder = project.folder / ".jobctl" / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    for ending, text in (("html", "<h1>Weekly</h1>"), ("csv", "a,b"), ("json", "{}")):
        (folder / f"report-weekly-user-growth-2026-W47.{ending}").write_text(text)
    (folder / "notes.html").write_text("secret")
    (folder / "report-weekly-user-growth-2026-W46.html").symlink_to("notes.html")

    os.mkfifo(folder / "report-weekly-user-growth-2026-W45.html")
    (folder / "report-weekly-user-growth-2026-W44.html").mkdir()

    listed = page.get("/site").text
    assert "Weekly User Growth" in listed
    assert "notes.html" not in listed
    assert not any(period in listed for period in ("2026-W44", "2026-W45", "2026-W46"))
    opened = page.get("/reports/report-weekly-user-growth-2026-W47.html")
    assert (opened.status_code, opened.text) == (200, "<h1>Weekly</h1>")
    policy = opened.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    kept = page.get("/reports/report-weekly-user-growth-2026-W47.csv")
    assert kept.headers["content-disposition"].startswith("attachment")
    for name in (
        "notes.html",
        "report-weekly-user-growth-2026-W46.html",
        "report-weekly-user-growth-2026-W45.html",
        "report-weekly-user-growth-2026-W44.html",
        "..%2Fjobctl.db",
        "report-x-2026.html",
    ):
        assert page.get(f"/reports/{name}").status_code == 404


def test_who_may_not_see_the_page_sees_no_report(site_page: Open) -> None:
    page = site_page(NODE_ENV="production", CRON_SECRET=SECRET)
    for path in ("/site", "/reports/report-weekly-user-growth-2026-W47.html"):
        assert page.get(path).status_code == 303


def test_other_projects_have_no_such_page_in_their_navigation(
    project: Site, open_page: Open, site_page: Open
) -> None:
    assert 'href="/site"' in site_page().get("/").text
    project.write("jobctl.toml", 'builtin = false\n[jobs.quick]\nevery = "1h"\ncall = "work:quick"\n')
    assert 'href="/site"' not in open_page().get("/").text
