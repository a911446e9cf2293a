"""The timeline, by what it draws of a run store."""

import re
from datetime import UTC, datetime, timedelta

from jobctl.model import RunStatus
from jobctl.web.pages.timeline import clock_changes
from tests.pages.conftest import Open, Records
from tests.support.project import Site


def lane(text: str, job_id: str) -> str:
    return text.partition(f'href="/jobs/{job_id}"')[2].partition("</svg>")[0]


def test_a_lane_has_the_runs_of_the_last_day_each_with_a_link(open_page: Open, records: Records) -> None:
    old = records.run("quick", ago=timedelta(hours=30))
    done = records.run("quick", ago=timedelta(hours=12))
    failed = records.run("quick", RunStatus.FAILED, ago=timedelta(hours=2))
    text = lane(open_page().get("/timeline").text, "quick")

    assert old.id not in text
    assert re.search(rf'/runs/{done.id}".*?class="bar completed" x="240', text)
    assert re.search(rf'/runs/{failed.id}".*?class="bar failed" x="440', text)


def test_planned_slots_are_drawn_while_a_scheduler_runs(open_page: Open, records: Records) -> None:
    records.register("quick", "nightly")
    records.store.save_next_runs({"quick": records.now + timedelta(hours=1)})
    text = open_page().get("/timeline").text

    assert lane(text, "quick").count('class="planned"') == 24
    assert lane(text, "nightly").count('class="planned"') == 1
    assert lane(text, "offsite").count('class="planned"') == 0
    assert lane(text, "greet").count('class="planned"') == 0


def test_very_many_slots_are_a_band(open_page: Open, records: Records, project: Site) -> None:
    project.jobs('[jobs.quick]\nevery = "10s"\ncall = "work:quick"\n')
    text = lane(open_page().get("/timeline").text, "quick")

    assert 'class="planned"' not in text
    assert "every 10s, from " in text


def test_a_skipped_slot_is_a_mark_with_a_link(open_page: Open, records: Records) -> None:
    running = records.run("quick", RunStatus.RUNNING)
    records.skip("quick", ago=timedelta(hours=6))
    records.end(running)
    (run,) = records.store.runs("quick", statuses=[RunStatus.SKIPPED])

    text = lane(open_page().get("/timeline").text, "quick")

    assert re.search(
        rf'/runs/{run.id}" tabindex="-1"><title>skipped at .*?class="bar skipped" x="358.5"', text
    )


def test_a_late_slot_is_marked(open_page: Open, records: Records) -> None:
    records.register("quick")
    records.store.save_next_runs({"quick": records.now - timedelta(hours=3)})

    assert "and not begun" in lane(open_page().get("/timeline").text, "quick")


def test_nights_on_which_the_clocks_change_are_said(open_page: Open) -> None:
    before = datetime(2026, 10, 24, 20, tzinfo=UTC)
    (change,) = clock_changes({"Europe/Berlin", "UTC"}, before)

    assert "Europe/Berlin" in change.title
    assert 480 < change.x < 600
    assert clock_changes({"Europe/Berlin"}, datetime(2026, 7, 1, tzinfo=UTC)) == []


def test_excluded_slots_are_marked(open_page: Open, records: Records, project: Site) -> None:
    today = records.now.date()
    days = f"{today - timedelta(days=2)}..{today + timedelta(days=3)}"
    project.jobs(f'[jobs.quick]\nevery = "1h"\ncall = "work:quick"\nexclude = ["{days}"]\n')
    text = lane(open_page().get("/timeline").text, "quick")

    assert 'class="planned"' not in text
    assert text.count('class="excluded"') in {1, 2}
    assert re.search(r"<title>[^<]*: \d{4}-\d\d-\d\d is excluded</title>", text)
