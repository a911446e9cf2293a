"""The pages of a run and of a job, by what they show of a run store."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from jobctl.model import RunStatus, SentNotification
from jobctl.store.logs import append
from tests.pages.conftest import Open, Records
from tests.support.project import Site

AT = "2026-11-23T09:10:00.123Z [quick] "


def keep_log(state: Path, job_id: str, run_id: str, *lines: str) -> None:
    import os

    file = append(state / "logs", job_id, run_id)
    os.write(file, "".join(f"{AT}{line}\n" for line in lines).encode())
    os.close(file)


def test_a_run_shows_its_error_its_traceback_and_its_log(
    open_page: Open, records: Records, project: Site
) -> None:
    run = records.run("quick", RunStatus.FAILED, error="ValueError: <b>no title</b>")
    keep_log(
        project.folder / ".jobctl",
        "quick",
        run.id,
        "\\x1b[32mgreen\\x1b[0m \\x1b]0;title\\x07\\x1b[2Jplain <script>alert(1)</script>",
        "Traceback (most recent call last):",
        '  File "work.py", line 3, in quick',
        "ValueError: no title",
    )
    text = open_page().get(f"/runs/{run.id}").text

    assert "ValueError: &lt;b&gt;no title&lt;/b&gt;" in text
    assert '<span class="green">green</span> plain &lt;script&gt;alert(1)&lt;/script&gt;' in text
    assert "<script>alert" not in text
    assert "x1b" not in text
    assert "File &#34;work.py&#34;, line 3, in quick\nValueError: no title</pre>" in text


def test_a_result_is_a_table_not_json(open_page: Open, records: Records) -> None:
    result = {
        "message": "index is up to date",
        "processed": 12,
        "details": {"parts": [{"name": "a", "size": 1200}]},
    }
    run = records.run("quick", result=result)
    text = open_page().get(f"/runs/{run.id}").text

    assert "index is up to date" in text
    assert '<th scope="col">name</th>' in text
    assert "1,200" in text
    assert "{&#34;" not in text


def test_a_log_is_downloaded_as_it_is_kept(open_page: Open, records: Records, project: Site) -> None:
    run = records.run("quick")
    keep_log(project.folder / ".jobctl", "quick", run.id, "one", "two")
    answer = open_page().get(f"/runs/{run.id}/log")

    assert answer.text == f"{AT}one\n{AT}two\n"
    assert answer.headers["content-disposition"] == f'attachment; filename="quick-{run.short_id}.log"'
    assert answer.headers["content-type"].startswith("text/plain")


def test_what_became_a_secret_later_is_masked_too(open_page: Open, records: Records, project: Site) -> None:
    run = records.run("quick")
    keep_log(project.folder / ".jobctl", "quick", run.id, "found hunter2-in-the-log here")
    page = open_page(MAIL_PASSWORD="hunter2-in-the-log")

    assert "found •••• here" in page.get(f"/runs/{run.id}").text
    assert "found •••• here" in page.get(f"/runs/{run.id}/log").text
    with page.stream("GET", f"/runs/{run.id}/events?from=0") as answer:
        event = next(line for line in answer.iter_lines() if line.startswith("data:") and "found" in line)
        assert "found •••• here" in json.loads(event.removeprefix("data:"))["html"]


def test_a_long_log_shows_its_newest_lines_first(open_page: Open, records: Records, project: Site) -> None:
    run = records.run("quick")
    keep_log(project.folder / ".jobctl", "quick", run.id, *(f"line {n}" for n in range(1500)))
    client = open_page()
    newest, whole = client.get(f"/runs/{run.id}").text, client.get(f"/runs/{run.id}?log=whole").text

    assert "500 older lines: show all" in newest
    assert ("line 499<" in newest or "line 499\n" in newest) is False
    assert whole.count('class="line"') == 1500


def test_a_huge_log_is_shown_in_part_and_downloaded_whole(
    open_page: Open, records: Records, project: Site
) -> None:
    run = records.run("quick")
    keep_log(project.folder / ".jobctl", "quick", run.id, *(f"{n} {'x' * 1000}" for n in range(5000)))
    client = open_page()

    for query in ("", "?log=whole"):
        page = client.get(f"/runs/{run.id}{query}").text
        shown = page.count('class="line"')
        assert len(page) < 3 * 1024 * 1024
        assert f"{5000 - shown:,} older lines" in page
        assert "4999 xxx" in page
        (position,) = re.findall(r'data-position="(\d+)"', page)
        assert int(position) == len(client.get(f"/runs/{run.id}/log").content)
        assert ("older lines are in the download" in page) == bool(query)
    assert client.get(f"/runs/{run.id}/log").text.count("\n") == 5000


def test_what_is_no_run_is_not_found(open_page: Open) -> None:
    client = open_page()

    for path in ("/runs/dead", "/runs/x", "/runs/dead/log", "/jobs/none", "/jobs/none/run", "/jobs/%3Cb%3E"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "<b>" not in answer.text.replace("<b>0</b>", "")


def test_a_run_in_progress_is_followed_and_its_stream_ends_with_it(
    open_page: Open, records: Records, project: Site
) -> None:
    run = records.run("quick")
    keep_log(project.folder / ".jobctl", "quick", run.id, "first", "\\x1b[31msecond\\x1b[0m")
    with open_page().stream("GET", f"/runs/{run.id}/events?from=0") as answer:
        text = "".join(answer.iter_text())

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: log" in text
    assert "first" in text
    assert 'class=\\"red\\"' in text
    assert text.rstrip().endswith("event: ended\ndata: completed")


def test_a_stream_goes_on_from_where_the_page_was(open_page: Open, records: Records, project: Site) -> None:
    run = records.run("quick")
    keep_log(project.folder / ".jobctl", "quick", run.id, "first", "second")
    position = len(f"{AT}first\n")
    with open_page().stream(
        "GET", f"/runs/{run.id}/events", headers={"last-event-id": str(position)}
    ) as answer:
        text = "".join(answer.iter_text())

    assert "second" in text
    assert "first" not in text


def test_a_job_shows_its_definition_its_figures_and_its_history(open_page: Open, records: Records) -> None:
    for n in range(5):
        records.run("quick", ago=timedelta(minutes=30 - n))
    failed = records.run("quick", RunStatus.FAILED, error="ValueError: no title")
    text = open_page().get("/jobs/quick").text

    assert "work:quick" in text
    assert re.search(r"jobctl\.toml:\d+", text)
    assert "83.3 %" in text
    assert "Half take up to" in text
    assert f"/runs/{failed.id}" in text
    assert "ValueError: no title" in text


def test_a_history_is_filtered_by_outcome(open_page: Open, records: Records) -> None:
    done = records.run("quick", ago=timedelta(minutes=9))
    failed = records.run("quick", RunStatus.FAILED)
    client = open_page()

    for path in ("/jobs/quick", "/runs"):
        history = client.get(f"{path}?status=failed").text.partition('<table class="history">')[2]
        assert failed.id in history
        assert done.id not in history


def test_secrets_of_a_definition_are_masked(project: Site, open_page: Open) -> None:
    project.jobs(
        '[jobs.quick]\nevery = "1h"\ncommand = ["curl", "https://ada:hunter2-hunter2@example.com/"]\n'
        'environment = { API_TOKEN = "tk-4711-0815-4242" }\n'
    )
    text = open_page(DB_PASSWORD="swordfish-swordfish").get("/jobs/quick").text

    assert "API_TOKEN" in text
    for secret in ("hunter2", "4711", "swordfish"):
        assert secret not in text


def test_no_page_shows_a_secret_or_characters_that_turn_text_around(
    open_page: Open, records: Records, project: Site
) -> None:
    secret, spoof = "s3cr3t-0f-the-mail", "paid\u202eton\u2066\x1b[31m"
    project.write(
        "jobctl.toml",
        f'[jobs.quick]\nevery = "1h"\nname = "Mails with {secret}"\ngroup = "{secret}"\ncall = "work:quick"\n',
    )
    run = records.run(
        "quick",
        RunStatus.FAILED,
        error=f"{secret}: {spoof}\n  in line 2",
        result={"message": secret, "rows": [{spoof: spoof, "key": secret}]},
    )
    records.store.stop(["quick"], records.now, f"{secret} {spoof}", None, f"{spoof} {secret}")
    client = open_page(SMTP_PASSWORD=secret)

    for path in (
        "/", "/?group=x", "/runs", "/actions", "/timeline", "/mode", "/jobs/quick", "/jobs/quick/run",
        f"/runs/{run.id}", f"/?q={secret}",
    ):  # fmt: skip
        text = client.get(path).text
        assert not {"\u202e", "\u2066", "\x1b"} & set(text), path
        assert secret not in text, path
    shown = client.get(f"/runs/{run.id}").text
    assert "••••: paid\\u202eton\\u2066\\x1b[31m\n  in line 2" in shown


def test_a_job_shows_the_notifications_that_were_sent(open_page: Open, records: Records) -> None:
    run = records.run("quick", RunStatus.FAILED, error="ValueError: no title")
    sent = SentNotification(records.now, "quick", "failure", "slack", "hooks.example.com", run.id)
    lost = replace(sent, channel="mail", receiver="ops@example.com", error="Bearer a-secret-in-an-error")
    records.store.keep_notifications([sent, lost])

    text = open_page(MAIL_TOKEN="a-secret-in-an-error").get("/jobs/quick").text
    shown = " ".join(re.sub(r"<[^>]+>", " ", text.partition("Notifications</h2>")[2]).split())

    first, second = (
        f"failure by mail to ops@example.com , run {run.short_id}",
        "failure by slack to hooks.example.com",
    )
    assert shown.startswith(first)
    assert "not delivered: Bearer •••• " in shown
    assert second in shown
    assert "delivered" in shown.partition(second)[2]
    assert "a-secret-in" not in text


def test_a_job_shows_where_each_setting_comes_from(open_page: Open, project: Site) -> None:
    text = open_page().get("/jobs/nightly").text.partition("Definition</h2>")[2].partition("</table>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in text.split("<tr>")[2:]]

    line = (project.folder / "jobctl.toml").read_text().splitlines().index('cron = "30 2 * * *"') + 1
    assert ["cron", "30 2 * * *", f"jobctl.toml:{line}"] in rows
    assert ["timezone", "Europe/Berlin", f"jobctl.toml:{line + 1}"] in rows
    assert ["timeout", "1h", "default"] in rows
