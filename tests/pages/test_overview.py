"""The overview, by what it shows of a run store."""

import re
from contextlib import closing
from datetime import timedelta

from jobctl.model import RunStatus
from jobctl.web.pages.application import create_page
from tests.pages.conftest import CODE, JOBS, READ_SECRET, SECRET, Open, Records, client_of, log_in, project_of
from tests.support.project import Site


def jobs_of(text: str) -> list[str]:
    table = text.partition("<tbody>")[2].partition("</tbody>")[0]
    return re.findall(r'class="job" href="/jobs/([^"]+)"', table)


def test_it_shows_every_job_before_anything_ran(open_page: Open) -> None:
    text = open_page().get("/").text

    assert set(jobs_of(text)) >= {"quick", "greet", "nightly", "offsite"}
    assert "No scheduler is running" in text
    assert "Greets &lt;people&gt;" in text
    assert 'title="every day at 02:30: 30 2 * * * (Europe/Berlin)"' in text


def test_trouble_comes_first(open_page: Open, records: Records) -> None:
    records.run("quick", RunStatus.FAILED, error="ValueError: <no title>")
    records.run("greet")
    text = open_page().get("/").text
    trouble = text.partition("Needs attention")[2].partition("</section>")[0]

    assert "ValueError: &lt;no title&gt;" in trouble
    assert "BACKUP_BUCKET is not set" in trouble
    assert jobs_of(text)[0] == "quick"


def test_a_late_job_needs_attention(open_page: Open, records: Records) -> None:
    records.register("quick")
    records.store.save_next_runs({"quick": records.now - timedelta(minutes=3)})
    text = open_page().get("/").text

    assert re.search(r"was due <time[^>]*>3m", text)
    assert jobs_of(open_page().get("/?state=late").text) == ["quick"]


def test_the_strip_has_a_link_for_each_of_the_last_twenty_runs(open_page: Open, records: Records) -> None:
    runs = [records.run("quick", ago=timedelta(minutes=60 - n)) for n in range(24)]
    strip = open_page().get("/").text.partition('<svg class="strip"')[2].partition("</svg>")[0]

    assert re.findall(r'href="/runs/([0-9a-f]+)"', strip) == [run.id for run in runs[-20:]]
    assert "the last 20 runs: 20 completed" in strip


def test_jobs_are_searched_filtered_grouped_and_sorted(open_page: Open, records: Records) -> None:
    records.run("quick", RunStatus.FAILED)
    records.run("greet", ago=timedelta(minutes=1))
    client = open_page()

    assert jobs_of(client.get("/?q=GREETS").text) == ["greet"]
    assert jobs_of(client.get("/?state=failed").text) == ["quick"]
    assert jobs_of(client.get("/?sort=last").text)[:2] == ["greet", "quick"]
    by_name = jobs_of(client.get("/?sort=name").text)
    assert by_name == sorted(by_name)
    assert jobs_of(client.get("/?group=nightly").text) == ["nightly"]
    assert "No job matches" in client.get("/?q=none").text


def test_what_is_no_query_is_ignored(open_page: Open) -> None:
    client = open_page()

    for query in ("page=0", "page=-1", "page=99999999999", "page=x", "sort=drop", "state=x", "q=%00%3Cb%3E"):
        assert client.get(f"/?{query}").status_code == 200


def test_many_jobs_are_shown_in_pages(open_page: Open, records: Records) -> None:
    records.register(*(f"many-{n:03}" for n in range(120)))
    records.store.save_next_runs({f"many-{n:03}": records.now + timedelta(hours=1) for n in range(120)})
    client = open_page()
    first, last = client.get("/?sort=name&q=many"), client.get("/?sort=name&q=many&page=3")

    assert jobs_of(first.text) == [f"many-{n:03}" for n in range(50)]
    assert jobs_of(last.text) == [f"many-{n:03}" for n in range(100, 120)]
    assert "101 to 120 of 120" in last.text


def test_a_run_in_progress_shows_how_far_it_is(open_page: Open, records: Records) -> None:
    from jobctl.model import Progress

    run = records.run("quick", RunStatus.RUNNING)
    records.store.update_run(run.id, progress=Progress(42, 100, "images"))
    text = open_page().get("/").text

    assert '<progress value="0.42" max="1">' in text
    assert "42% · images" in text


def test_the_mode_is_one_click_away(open_page: Open) -> None:
    client = open_page(DISABLE_AUTO_SYNC="true")

    assert "Scheduling is disabled" in client.get("/").text
    assert "DISABLE_AUTO_SYNC" in client.get("/mode").text


def test_mounted_below_a_path_every_link_is_below_it(open_page: Open) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from tests.pages.conftest import client_of

    outer = Starlette(routes=[Mount("/jobctl", app=open_page().app)])
    text = client_of(outer).get("/jobctl/").text

    links = re.findall(r'(?:href|src|action)="(/[^"]*)"', text)
    assert links
    assert [link for link in links if not link.startswith("/jobctl/")] == []


def test_each_row_has_the_forms_of_its_job(open_page: Open, records: Records) -> None:
    records.run("quick", RunStatus.RUNNING)
    records.register("greet", "nightly")
    records.store.stop(["nightly"], records.now, until=records.now + timedelta(days=1))
    rows = open_page().get("/").text.partition("<tbody>")[2].split("<tr data-row>")
    forms = {
        job_id: set(re.findall(r'action="/jobs/[^/"]+/([a-z]+)"', row))
        for row in rows
        for job_id in re.findall(r'class="job" href="/jobs/([^"]+)"', row)
    }
    assert forms["quick"] == {"cancel", "pause"}
    assert forms["greet"] == set()  # it has no schedule
    assert forms["nightly"] == {"resume"}


def test_who_may_only_read_gets_no_form_in_a_row(open_page: Open, records: Records) -> None:
    records.run("quick", RunStatus.RUNNING)
    page = open_page(NODE_ENV="production", CRON_SECRET=SECRET, JOBCTL_PAGE_READONLY_SECRET=READ_SECRET)
    page.base_url = "http://127.0.0.1:8321"
    log_in(page, READ_SECRET)
    table = page.get("/").text.partition("<tbody>")[2].partition("</tbody>")[0]
    assert "quick" in table
    assert "<form" not in table


def test_a_damaged_store_that_was_set_aside_is_said(site: Site) -> None:
    site.jobs(JOBS, CODE)
    state = site.folder / ".jobctl"
    state.mkdir(exist_ok=True)
    (state / "jobctl.db").write_bytes(b"no database" * 1000)
    with closing(project_of(site)) as project:
        text = client_of(create_page(project=project)).get("/").text
    assert 'role="alert"' in text
    assert "was set aside as jobctl.db.damaged-" in text
