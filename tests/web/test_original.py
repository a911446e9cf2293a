"""The three endpoints of the original: their bodies to the key and type, on a real server and a real database."""

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from jobctl.clock import SystemClock
from tests.support.project import Site, until
from tests.support.site_database import OnSQLite
from tests.support.smtp_server import Mails, smtp_server
from tests.web.conftest import SECRET, Serve

NOW = SystemClock().now()
SYNC, REMINDERS, EXPIRATION = (
    f"/api/cron/{name}" for name in ("sync", "subscription-reminders", "subscription-expiration")
)


@pytest.fixture
def database(site: Site) -> Iterator[OnSQLite]:
    found = OnSQLite(site.folder / "site.db")
    found.tenant()
    site.environment["DATABASE_URL"] = found.url
    yield found
    found.close()


@pytest.fixture
def mails(site: Site) -> Iterator[Mails]:
    with smtp_server() as server:
        site.environment |= {
            "EMAIL_PROVIDER": "smtp",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(server.port),
        }
        yield server


def types(body: dict[str, Any]) -> dict[str, Any]:
    return {key: types(value) if isinstance(value, dict) else type(value) for key, value in body.items()}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_sync(method: str, serve: Serve) -> None:
    done = serve().request(method, SYNC)

    assert done.status_code == 200
    assert types(done.json()) == {
        "success": bool,
        "timestamp": str,
        "duration": int,
        "message": str,
        "details": str,
    }
    assert done.json()["message"] == "Repository synchronized successfully"
    assert "minimal" in done.json()["details"]
    assert done.headers["cache-control"] == "no-cache, no-store, must-revalidate"


@pytest.mark.slow
def test_sync_that_fails(serve: Serve, site: Site) -> None:
    site.write("jobctl.toml", "[jobs.repository-sync]\nretries = 0\n")
    site.environment["DATA_REPOSITORY"] = str(site.folder / "nowhere.git")

    production, development = serve().get(SYNC), serve(NODE_ENV="development").get(SYNC)

    assert (production.status_code, development.status_code) == (500, 500)
    for one in (production, development):
        assert types(one.json()) == {
            "success": bool,
            "timestamp": str,
            "duration": int,
            "message": str,
            "details": str,
        }
        assert one.json()["message"] == "Repository synchronization failed"
        assert one.headers["cache-control"] == "no-cache, no-store, must-revalidate"
    assert production.json()["details"] == "the job failed"
    assert "there is no repository at" in development.json()["details"]


@pytest.mark.slow
def test_reminders(serve: Serve, database: OnSQLite, mails: Mails) -> None:
    """A refused mail is counted, and fails nothing."""
    database.subscription(database.user(email="good@example.com"), NOW + timedelta(days=1))
    database.subscription(database.user(email="gone@example.com"), NOW + timedelta(days=2))
    none = database.subscription(database.user(email=None), NOW + timedelta(days=3))
    mails.refuse["gone@example.com"] = "550 no such user"

    production, development = serve().get(REMINDERS), serve(NODE_ENV="development").post(REMINDERS)

    assert (production.status_code, development.status_code) == (200, 200)
    body = production.json()
    assert types(body) == {
        "message": str, "success": bool, "processed": int, "successful": int, "failed": int, "errors": list, "duration": str,
    }  # fmt: skip
    assert (body["success"], body["processed"], body["successful"], body["failed"]) == (True, 3, 1, 2)
    assert body["message"] == "Subscription reminder job completed"
    assert body["duration"].removesuffix("ms").isdecimal()
    assert sorted(body["errors"]) == ["no mail address", "the mail was refused"]
    assert any(
        one.startswith(f"{none}: the user has no mail address") for one in development.json()["errors"]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "error"),
    [
        ({}, "RESEND_API_KEY is not set"),
        ({"RESEND_API_KEY": "re_1", "DATABASE_URL": ""}, "DATABASE_URL is not set"),
    ],
)
def test_reminders_without_provider_or_database(
    environment: dict[str, str], error: str, serve: Serve, database: OnSQLite
) -> None:
    response = serve(**environment).get(REMINDERS)

    assert response.status_code == 207
    assert types(response.json()) == {
        "error": str, "success": bool, "processed": int, "successful": int, "failed": int, "errors": list, "duration": str,
    }  # fmt: skip
    assert response.json()["error"] == "Job completed with errors"
    assert error in response.json()["errors"][0]


@pytest.mark.slow
def test_reminders_whose_job_fails(serve: Serve, site: Site, database: OnSQLite, mails: Mails) -> None:
    site.write("jobctl.toml", "[jobs.subscription-renewal-reminder]\nretries = 0\n")
    database.execute("DROP TABLE votes")
    database.execute('ALTER TABLE subscriptions RENAME TO "elsewhere"')

    production, development = serve().get(REMINDERS), serve(NODE_ENV="development").get(REMINDERS)

    assert (production.status_code, development.status_code) == (207, 207)
    assert production.json()["errors"] == ["the job failed"]
    assert "subscriptions" in development.json()["errors"][0]


@pytest.mark.slow
def test_expiration(serve: Serve, database: OnSQLite, mails: Mails) -> None:
    user = database.user(email="gone@example.com")
    one = database.subscription(user, NOW - timedelta(hours=1))
    mails.refuse["gone@example.com"] = "550 no such user"

    done = serve().get(EXPIRATION)

    assert done.status_code == 200
    body = done.json()
    assert types(body) == {
        "success": bool, "message": str,
        "data": {"processed": int, "affectedUsers": list, "errors": list, "timestamp": str},
    }  # fmt: skip
    assert body["message"] == "Processed 1 expired subscriptions"
    assert body["data"]["affectedUsers"] == [{"subscriptionId": one, "userId": user, "planId": "premium"}]
    assert body["data"]["errors"] == ["the mail was refused"]


@pytest.mark.slow
def test_expiration_that_fails(serve: Serve, site: Site, database: OnSQLite) -> None:
    site.write("jobctl.toml", "[jobs.subscription-expired-cleanup]\nretries = 0\n")
    database.execute('ALTER TABLE subscriptions RENAME TO "elsewhere"')

    response = serve().get(EXPIRATION)

    assert (response.status_code, response.json()) == (500, {"success": False, "error": "the job failed"})


@pytest.mark.slow
def test_who_may_not_call(serve: Serve) -> None:
    client = serve()
    wrong = {"Authorization": "Bearer wrong"}
    sync, reminders, expiration = (client.get(path, headers=wrong) for path in (SYNC, REMINDERS, EXPIRATION))

    assert {one.status_code for one in (sync, reminders, expiration)} == {401}
    assert types(sync.json()) == {"success": bool, "timestamp": str, "duration": int, "message": str}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", sync.json()["timestamp"])
    assert sync.json()["message"] == "Unauthorized"
    assert reminders.json() == {"error": "Unauthorized"}
    assert expiration.json() == {"success": False, "message": "Unauthorized - Invalid or missing cron secret"}


@pytest.mark.slow
@pytest.mark.parametrize(("path", "let_in"), [(SYNC, False), (REMINDERS, False), (EXPIRATION, True)])
def test_the_secret_without_bearer(path: str, let_in: bool, serve: Serve) -> None:
    client = serve()
    answers = [
        client.get(path, headers={"Authorization": text}).status_code for text in (SECRET, f"{SECRET}x", "")
    ]

    assert [one != 401 for one in answers] == [let_in, False, False]


@pytest.mark.slow
def test_disabled_auto_sync(serve: Serve, database: OnSQLite, mails: Mails, site: Site) -> None:
    """It stops the sync in development alone, and never the subscriptions."""
    disabled = {"DISABLE_AUTO_SYNC": "true"}
    development, production = serve(NODE_ENV="development", **disabled), serve(**disabled)

    skipped, done = development.get(SYNC), production.get(SYNC)
    others = [
        client.get(path).status_code
        for client in (development, production)
        for path in (REMINDERS, EXPIRATION)
    ]

    assert skipped.status_code == 200
    assert (skipped.json()["success"], skipped.json()["message"]) == (
        True,
        "Sync disabled in development mode",
    )
    assert types(skipped.json())["details"] is str
    assert done.json()["message"] == "Repository synchronized successfully"
    assert others == [200] * 4
    assert [run["job_id"] for run in site.runs() if run["job_id"] == "repository-sync"] == ["repository-sync"]


# Within its time


@pytest.mark.slow
def test_a_call_is_answered_within_its_time_and_the_run_goes_on(serve: Serve, site: Site) -> None:
    client = serve("--timeout", "1s")

    response = client.get("/api/cron/jobs/gated")
    (site.folder / "go").touch()

    assert response.status_code == 202
    body = response.json()
    assert (body["success"], body["pending"]) == (False, True)
    assert "has not ended after 1s; it continues in the background" in body["error"]
    until(lambda: site.runs_kept("gated")[0].status == "completed")
    assert site.runs_kept("gated")[0].id == body["run_id"]


@pytest.mark.slow
def test_retries_go_on_behind_the_answer(serve: Serve, site: Site) -> None:
    site.environment["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    client = serve("--timeout", "4s", NODE_ENV="development", EMAIL_PROVIDER="ethereal")

    response = client.get(REMINDERS, timeout=30)

    assert response.status_code == 202
    assert set(response.json()) == {"success", "error", "pending", "run_id"}
    assert "it continues in the background" in response.json()["error"]
    assert site.runs_kept("subscription-renewal-reminder")[0].status == "running"


@pytest.mark.slow
def test_on_vercel_nothing_goes_on_after_the_answer(serve: Serve, site: Site) -> None:
    client = serve("--timeout", "1s", VERCEL="1", JOBCTL_STATE=str(site.folder / ".jobctl"))

    response = client.get("/api/cron/jobs/gated")

    assert (response.status_code, response.json()["error"]) == (500, "the job took too long")
    (run,) = site.runs_kept("gated")
    assert (run.status, run.reason) == ("failed", "timeout")


@pytest.mark.slow
def test_on_vercel_a_run_that_waits_for_its_next_attempt_is_ended_too(serve: Serve, site: Site) -> None:
    with (site.folder / "jobctl.toml").open("a") as file:
        file.write('[jobs.flaky]\nevery = "1h"\ncall = "work:broken"\nretries = 3\nretry_delay = "1h"\n')
    client = serve(
        "--timeout", "2s", VERCEL="1", JOBCTL_STATE=str(site.folder / ".jobctl"), NODE_ENV="development"
    )

    response = client.get("/api/cron/jobs/flaky")

    assert response.status_code == 500
    assert response.json()["error"] == "ValueError: the password is hunter2"
    (run,) = site.runs_kept("flaky")
    assert (run.status, run.reason) == ("failed", "error")


@pytest.mark.slow
def test_the_call_after_a_timeout_finds_it_running(serve: Serve, site: Site) -> None:
    client = serve("--timeout", "1s")
    answers: list[httpx2.Response] = []
    calls = [
        threading.Thread(target=lambda: answers.append(client.get("/api/cron/jobs/gated"))) for _ in range(2)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()

    assert sorted(one.status_code for one in answers) == [202, 409]
    (site.folder / "go").touch()
