"""What a visitor can do, and who may not."""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from starlette.testclient import TestClient

from jobctl.model import ActionKind, RunStatus
from jobctl.web.pages.application import ControlPage, page_alone
from jobctl.web.pages.asking import AsksScheduler
from tests.pages.conftest import (
    OWN,
    READ_SECRET,
    SECRET,
    Open,
    Records,
    client_of,
    log_in,
    project_of,
    token_of,
)
from tests.support.project import Site


@pytest.fixture
def asking(project: Site) -> Iterator[TestClient]:
    """The page beside a scheduler, which it asks through the run store."""
    context = project_of(project)
    page = ControlPage(context, starter=AsksScheduler)
    with closing(context), closing(page.reader):
        yield client_of(page_alone(page))


def post(client: TestClient, path: str, **fields: str) -> str:
    """Send a form, and follow to the page that says what was done."""
    answer = client.post(path, data={"token": token_of(client), **fields}, headers=OWN)
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"]).text


def test_a_run_is_asked_for_with_arguments_actor_and_reason(asking: TestClient, records: Records) -> None:
    fields = {"argument.name": "Ada", "argument.times": "3", "reason": "to greet <her>", "dry_run": "1"}
    text = post(asking, "/jobs/greet/run", **fields)
    (run,) = records.store.waiting("greet")
    (action,) = records.store.actions("greet")

    assert run.arguments == {"name": "Ada", "times": 3, "dry_run": True}
    assert run.actor == action.actor == "page from 127.0.0.1"
    assert (action.kind, action.reason) == (ActionKind.TRIGGER, "to greet <her>")
    assert "A dry run of greet was started" in text
    assert "to greet &lt;her&gt;" in text


def test_wrong_arguments_run_nothing_and_keep_what_was_typed(asking: TestClient, records: Records) -> None:
    fields = {"token": token_of(asking), "argument.name": "<Ada>", "argument.times": "many"}
    answer = asking.post("/jobs/greet/run", data=fields, headers=OWN)

    assert answer.status_code == 400
    assert "times" in answer.text.partition('role="alert"')[2][:200]
    assert 'value="&lt;Ada&gt;"' in answer.text
    assert records.store.waiting() == []


def test_the_form_is_made_from_the_function(asking: TestClient) -> None:
    text = asking.get("/jobs/greet/run").text

    assert re.search(r'<input id="argument.name"[^>]* required', text)
    assert re.search(r'<input id="argument.times"[^>]*type="number"', text)
    assert re.findall(r"<option>(\w+)</option>", text) == ["kind", "short", "true", "false"]
    assert 'name="dry_run"' in text
    assert 'name="dry_run"' not in asking.get("/jobs/quick/run").text


def test_a_run_is_repeated(asking: TestClient, records: Records) -> None:
    before = records.run("quick", RunStatus.FAILED)
    text = post(asking, f"/runs/{before.id}/rerun", reason="once more")
    (again,) = records.store.waiting("quick")

    assert again.rerun_of == before.id
    assert records.store.actions("quick")[0].reason == f"as in run {before.short_id}: once more"
    assert f"quick runs again as in run {before.short_id}" in text


def test_a_run_is_cancelled(asking: TestClient, records: Records) -> None:
    run = records.run("quick", RunStatus.RUNNING)
    text = post(asking, f"/runs/{run.id}/cancel", reason="it hangs", now="1")
    (cancellation,) = records.store.cancellations("a" * 32)

    assert (cancellation.by, cancellation.reason, cancellation.now) == (
        "page from 127.0.0.1",
        "it hangs",
        True,
    )
    assert "The run was asked to end." in text


def test_a_run_that_waits_or_has_ended_is_said_so(asking: TestClient, records: Records) -> None:
    ended = records.run("quick")
    assert "Nothing was done: the run has ended, completed." in post(asking, f"/runs/{ended.id}/cancel")
    post(asking, "/jobs/quick/run")
    (waits,) = records.store.waiting("quick")
    text = post(asking, f"/runs/{waits.id}/cancel")

    assert "before it began" in text
    assert records.store.waiting() == []


def test_a_job_is_paused_until_a_time_and_resumed(asking: TestClient, records: Records) -> None:
    text = post(asking, "/jobs/quick/pause", until="2d", reason="host moves")
    record = records.store.job("quick")
    assert record is not None
    assert record.stopped_until is not None
    assert 47 < (record.stopped_until - records.now).total_seconds() / 3600 < 49
    assert record.stop_reason == "host moves"
    assert "quick is off its schedule until" in text
    assert "Resume" in text

    text = post(asking, "/jobs/quick/resume")
    record = records.store.job("quick")
    assert record is not None
    assert record.stopped is None
    assert "back on its schedule" in text
    kinds = [(action.kind, action.actor) for action in records.store.actions("quick")]
    assert kinds == [(ActionKind.START, "page from 127.0.0.1"), (ActionKind.STOP, "page from 127.0.0.1")]


@pytest.mark.parametrize("until", ["yesterday", "2020-01-01", "-1h", "1e999d"])
def test_a_pause_needs_a_time_to_come(until: str, asking: TestClient, records: Records) -> None:
    fields = {"token": token_of(asking), "until": until}

    assert asking.post("/jobs/quick/pause", data=fields, headers=OWN).status_code == 400
    assert records.store.actions() == []


def test_a_change_needs_the_token_and_the_same_origin(asking: TestClient, records: Records) -> None:
    token = token_of(asking)
    wrong: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, OWN),
        ({"token": "x"}, OWN),
        ({"token": token}, {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}),
        ({"token": token}, {"Sec-Fetch-Site": "same-site"}),
        ({"token": token}, {}),
    ]
    for path in ("/jobs/quick/run", "/jobs/quick/pause", "/jobs/quick/resume", "/jobs/quick/cancel"):
        for fields, headers in wrong:
            assert asking.post(path, data=fields, headers=headers).status_code == 403
    assert asking.post("/jobs/quick/run", json={"token": token}, headers=OWN).status_code == 403
    assert asking.get("/jobs/quick/pause").status_code == 405
    assert records.store.actions() == []
    assert records.store.waiting() == []


def test_who_may_only_read_sees_no_button_and_changes_nothing(open_page: Open, records: Records) -> None:
    run = records.run("quick", RunStatus.RUNNING)
    client = open_page(JOBCTL_PAGE_READONLY_SECRET=READ_SECRET, CRON_SECRET=SECRET)
    log_in(client, READ_SECRET)

    for path in ("/", "/jobs/quick", f"/runs/{run.id}", "/jobs/quick/run"):
        text = client.get(path).text
        assert re.findall(r'<form method="post" action="([^"]+)"', text) == ["/logout"]
    token = token_of(client, "/")
    for path in ("/jobs/quick/run", "/jobs/quick/pause", f"/runs/{run.id}/cancel", f"/runs/{run.id}/rerun"):
        answer = client.post(path, data={"token": token}, headers=OWN)
        assert answer.status_code == 403
        assert "only lets you read" in answer.text
    assert records.store.actions() == []


def test_without_a_session_nothing_is_changed_and_no_stream_opens(open_page: Open, records: Records) -> None:
    run = records.run("quick")
    client = open_page(CRON_SECRET=SECRET)

    assert client.post("/jobs/quick/run", headers=OWN).status_code == 401
    assert client.get("/events").status_code == 401
    assert client.get(f"/runs/{run.id}/events").status_code == 401
    assert client.get(f"/runs/{run.id}/log").status_code == 303


def test_where_scheduling_is_disabled_nothing_runs(open_page: Open, records: Records) -> None:
    client = open_page(DISABLE_AUTO_SYNC="1")
    answer = client.post("/jobs/quick/run", data={"token": token_of(client)}, headers=OWN)

    assert answer.status_code == 503
    assert "scheduling is disabled" in answer.text
    assert records.store.runs() == []


@pytest.mark.slow
def test_without_a_scheduler_the_run_is_in_the_process_of_the_page(open_page: Open, records: Records) -> None:
    with open_page() as client:
        answer = client.post(
            "/jobs/quick/run", data={"token": token_of(client), "reason": "to see it"}, headers=OWN
        )
        assert answer.status_code == 303
    (run,) = records.store.runs("quick")
    (action,) = records.store.actions("quick")

    assert run.status is RunStatus.COMPLETED
    assert run.actor == "page from 127.0.0.1"
    assert (action.kind, action.reason) == (ActionKind.TRIGGER, "to see it")


def test_what_was_done_cannot_be_put_into_a_link(open_page: Open) -> None:
    assert "fired" not in open_page().get("/?notice=You+are+fired").text


def test_actions_are_listed(asking: TestClient, records: Records) -> None:
    post(asking, "/jobs/quick/pause", reason="host moves")

    text = asking.get("/actions").text
    assert "page from 127.0.0.1" in text
    assert "host moves" in text
