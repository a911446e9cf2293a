"""``analytics``, ``report``, ``check``, and jobs that lack what they need, through the real program."""

import json
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from jobctl.clock import SystemClock
from jobctl.site.content.remote import Tip
from tests.support.git_server import Upstream
from tests.support.postgres import Postgres
from tests.support.project import Site
from tests.support.site_database import OnPostgres, OnSQLite
from tests.support.smtp_server import smtp_server
from tests.support.terminal import Cli
from tests.support.trigger_dev import KEY, trigger_dev

NOW = SystemClock().now()
NEEDS_DATABASE = 11


@pytest.fixture
def filled(site: Site, tmp_path: Path) -> OnSQLite:
    """A project with a database in which a little has happened."""
    database = OnSQLite(tmp_path / "site.db")
    database.tenant("t1")
    user = database.user(NOW - timedelta(days=40), name="Ada")
    database.user(NOW - timedelta(days=1), name="Bob")
    database.vote(user, "rowan", NOW - timedelta(days=1))
    database.view("rowan", NOW - timedelta(days=1))
    database.subscription(user, NOW + timedelta(days=3), start_date=NOW - timedelta(days=1))
    database.close()
    site.environment["DATABASE_URL"] = database.url
    return database


# Not configured is not failed


def test_a_job_without_its_database_is_stopped_and_says_why(cli: Cli) -> None:
    jobs = {one["id"]: one for one in cli("status", "--json").json["jobs"]}
    lacking = [one for one in jobs.values() if one["note"] == "DATABASE_URL is not set"]

    assert len(lacking) == NEEDS_DATABASE
    assert {one["status"] for one in lacking} == {"stopped"}
    assert {one["next_run"] for one in lacking} == {None}
    assert jobs["hello"]["status"] == "scheduled"
    refused = cli("trigger", "analytics-top-items")
    assert refused.code == 4
    assert "analytics-top-items was not run: DATABASE_URL is not set" in refused.stderr
    assert cli("runs", "--json").json == {"runs": []}


def test_a_reminder_without_mail_names_the_variable(cli: Cli) -> None:
    variables = {"DATABASE_URL": "sqlite:///site.db", "NODE_ENV": "production"}

    refused = cli("trigger", "subscription-renewal-reminder", **variables)
    others = cli("status", "--json", **variables).json["jobs"]

    assert refused.code == 4
    assert "RESEND_API_KEY is not set" in refused.stderr
    assert [one["id"] for one in others if one["note"] == "RESEND_API_KEY is not set"] == [
        "subscription-renewal-reminder"
    ]


def test_a_job_of_the_projects_own_in_its_place_needs_nothing(cli: Cli, here: Path) -> None:
    with (here / "jobctl.toml").open("a") as file:
        file.write('\n[jobs.analytics-top-items]\ncall = "work:hello"\n')

    assert cli("status", "analytics-top-items", "--json").json["jobs"][0]["status"] == "scheduled"


@pytest.mark.slow
def test_a_scheduler_does_not_time_it(site: Site) -> None:
    site.jobs('[jobs.hello]\nevery = "1d"\ncall = "work:hello"\n')
    scheduler = site.run()
    scheduler.terminate()
    assert scheduler.wait() == 0

    assert "11 jobs are stopped: DATABASE_URL is not set" in site.log(scheduler)
    assert {run["job_id"] for run in site.runs()} == {"hello"}


def test_an_application_is_notified_too(here: Path) -> None:
    from jobctl.catalogue.catalogue import Catalogue
    from jobctl.errors import NotRunError
    from jobctl.managers.factory import get_job_manager
    from jobctl.managers.local import LocalJobManager
    from jobctl.project_location import find_project
    from jobctl.settings.environment import Environment

    manager = get_job_manager()
    assert isinstance(manager, LocalJobManager)
    manager.add(Catalogue.load(find_project(here), Environment.load(here, {})))

    with pytest.raises(NotRunError, match="report-weekly-user-growth was not run: DATABASE_URL is not set"):
        manager.trigger_job("report-weekly-user-growth")


# analytics


@pytest.mark.slow
def test_analytics_of_every_kind_are_in_the_cache_for_any_process(site: Site, filled: OnSQLite) -> None:
    for name in ("user-growth", "activity-trends", "top-items", "recent-activity", "performance-metrics"):
        assert site.call("trigger", f"analytics-{name}").returncode == 0

    found = site.json("analytics")

    assert set(found) == {
        "user_growth_6", "user_growth_12", "user_growth_24", "activity_trends_7", "activity_trends_14",
        "activity_trends_30", "top_items_10", "top_items_20", "top_items_50", "recent_activity_10",
        "recent_activity_20", "performance_metrics",
    }  # fmt: skip
    assert {tuple(one) for one in found.values()} == {("data", "computed_at", "expires_at", "expired")}
    assert found["user_growth_12"]["data"][-1]["active"] == 2
    assert found["top_items_10"]["data"] == [
        {"name": "rowan", "views": 1, "votes": 1, "category": "Uncategorized"}
    ]
    assert set(found["performance_metrics"]["data"]) == {
        "cacheHitRate", "totalQueries", "cachedQueries", "averageQueryTime", "databaseRoundTrip", "connectionsInUse",
    }  # fmt: skip


@pytest.mark.slow
def test_looking_is_counted_and_shown_by_the_performance_metrics(site: Site, filled: OnSQLite) -> None:
    site.call("trigger", "analytics-user-growth")
    site.call("analytics", "user-growth")
    site.call("analytics", "top-items", "--window", "10")
    site.call("trigger", "analytics-performance-metrics")

    data = site.json("analytics", "performance-metrics")["performance_metrics"]["data"]

    assert data["cachedQueries"] == 3
    assert data["cacheHitRate"] == 0.75
    assert data["totalQueries"] == 3 + 2  # the tenant and the growth
    assert data["averageQueryTime"] > 0


@pytest.mark.slow
def test_a_cleanup_removes_what_expired_and_begins_to_count_anew(site: Site, filled: OnSQLite) -> None:
    from contextlib import closing

    from jobctl.store.open import open_store

    site.call("trigger", "analytics-top-items")
    with closing(open_store(site.folder / ".jobctl")) as store:
        store.cache_put({"old": 1}, NOW - timedelta(hours=2), NOW - timedelta(hours=1))
        assert store.counters()
    done = site.call("trigger", "analytics-cache-cleanup")

    assert "1 expired results and 0 old runs removed" in done.stdout
    assert set(site.json("analytics")) == {"top_items_10", "top_items_20", "top_items_50"}
    assert site.json("metrics")["last_cleanup"] is not None
    with closing(open_store(site.folder / ".jobctl")) as store:
        assert "queries" not in store.counters()


def test_nothing_in_the_cache_is_an_empty_document(cli: Cli) -> None:
    assert cli("analytics", "--json").json == {}
    assert cli("analytics").stdout == ""


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("analytics usergrowth", 'there are no analytics "usergrowth"', 'did you mean "user-growth"?'),
        ("analytics user-growth --window 7", "user-growth has no window of 7 months", "it has: 6, 12, 24"),
        ("report", "report needs NAME: one of daily, weekly, monthly, quarterly", "jobctl report weekly"),
        ("report wekly", 'there is no report "wekly"', 'did you mean "weekly"?'),
        ("report monthly --period 2026-W01", '"2026-W01" is not a month', "such as 2026-10"),
        ("report daily --period 2999-01-01", '"2999-01-01" lies in the future', None),
        ("report daily --mail", "--mail needs JOBCTL_REPORT_TO", "set it to a mail address"),
        ("check databse", 'there is no part "databse"', 'did you mean "database"?'),
    ],
)
def test_wrong_use_is_reported(cli: Cli, words: str, message: str, hint: str | None) -> None:
    refused = cli(*words.split(), "--json")

    assert refused.code == 2
    assert message in refused.json["error"]["message"]
    assert hint is None or hint in refused.json["error"]["hint"]


# report


@pytest.mark.slow
def test_a_report_now(site: Site, filled: OnSQLite) -> None:
    yesterday = (NOW - timedelta(days=1)).date().isoformat()

    report = site.json("report", "daily")

    assert report["period"]["name"] == yesterday
    assert {name: one["now"] for name, one in report["figures"].items()} == {
        "sign_ups": 1, "active_users": 1, "votes": 1, "comments": 0, "views": 1, "started": 1, "renewed": 0,
        "expired": 0, "cancelled": 0,
    }  # fmt: skip
    assert report["revenue"] == [{"currency": "usd", "now": 19, "before": 0}]
    folder = site.folder / ".jobctl" / "reports"
    file = folder / f"report-daily-activity-summary-{yesterday}.html"
    assert "Daily Activity Summary" in file.read_text()
    assert json.loads(file.with_suffix(".json").read_text()) == report
    assert "figures,Sign-ups,," in file.with_suffix(".csv").read_text()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not (site.folder / ".jobctl" / "outbox").exists()


@pytest.mark.slow
def test_a_scheduled_report_is_mailed_to_everybody_named(site: Site, filled: OnSQLite) -> None:
    site.environment["JOBCTL_REPORT_TO"] = "ann@example.com, bob@example.com"

    assert site.call("trigger", "report-weekly-user-growth").returncode == 0
    assert site.call("trigger", "report-weekly-user-growth").returncode == 0

    files = list((site.folder / ".jobctl" / "outbox").glob("*.eml"))
    mails = [message_from_bytes(file.read_bytes(), policy=default) for file in files]
    assert sorted(str(mail["To"]) for mail in mails) == ["ann@example.com", "bob@example.com"]
    for mail in mails:
        assert str(mail["Subject"]).startswith("Weekly User Growth, Week ")
        assert isinstance(mail, EmailMessage)
        (page,) = mail.iter_attachments()
        assert "<svg" in page.get_content()


@pytest.mark.slow
def test_a_report_that_is_mailed_now_says_so(site: Site, filled: OnSQLite) -> None:
    site.environment["JOBCTL_REPORT_TO"] = "ann@example.com, bob@example.com"

    done = site.call("report", "daily", "--mail")

    assert done.returncode == 0, done
    assert "sent 2 mails" in done.stderr


@pytest.mark.slow
def test_a_report_of_an_earlier_period_on_a_screen(site: Site, filled: OnSQLite) -> None:
    done = site.call("report", "quarterly", "--period", "2025-q4")

    assert done.returncode == 0, done
    assert "Quarterly Performance Report, Q4 2025, October to December" in done.stdout
    assert "Sign-ups" in done.stdout


@pytest.mark.slow
def test_a_report_that_fails_is_one_document_too(site: Site, filled: OnSQLite) -> None:
    filled = OnSQLite(site.folder / "broken.db")
    filled.tenant("t1")
    filled.execute("DROP TABLE comments")
    filled.close()
    site.environment["DATABASE_URL"] = filled.url
    site.write("jobctl.toml", "[jobs.report-daily-activity-summary]\nretries = 0\n")

    done = site.call("report", "daily", "--json")

    assert done.returncode == 1
    assert 'has no table "comments"' in json.loads(done.stdout)["error"]


def test_what_tab_offers_is_what_the_commands_take() -> None:
    from jobctl.checks import PARTS
    from jobctl.cli.command_data import COMMANDS
    from jobctl.site.analytics.results import ANALYTICS
    from jobctl.site.reports.periods import REPORTS

    assert COMMANDS["analytics"].arguments[0] == tuple(one.name for one in ANALYTICS)
    assert COMMANDS["report"].arguments[0] == tuple(REPORTS)
    assert COMMANDS["check"].arguments[0] == tuple(PARTS)


def test_the_reports_are_the_built_in_jobs() -> None:
    from jobctl.catalogue.builtin import BUILT_IN
    from jobctl.site.reports.periods import REPORTS

    names = {one.id: one.name for one in BUILT_IN}
    assert {one.job_id: one.title for one in REPORTS.values()}.items() <= names.items()


# check


@pytest.mark.slow
def test_check_tries_everything_for_real(site: Site, postgres: Postgres, tmp_path: Path) -> None:
    database = OnPostgres(postgres)
    database.tenant("t1")
    database.close()
    upstream = Upstream(site.folder)
    commit = upstream.commit({"data/a/a.yml": "name: A\n"})
    with smtp_server() as server, trigger_dev() as cloud:
        site.environment |= {
            "TRIGGER_DEV_API_KEY": KEY, "TRIGGER_DEV_API_URL": cloud.url, "DATABASE_URL": database.url, "DATA_REPOSITORY": "content.git",
            "EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port),
        }  # fmt: skip
        parts = {one["part"]: one for one in site.json("check")["parts"]}

    assert parts.pop("site")["detail"] == "JOBCTL_CONTENT_CHANGED_URL is not set"
    assert parts.pop("vercel")["detail"] == "VERCEL_PROJECT_PRODUCTION_URL is not set"
    assert {name: one["state"] for name, one in parts.items()} == dict.fromkeys(
        ("settings", "store", "database", "content", "mail", "trigger-dev"), "ok"
    )
    assert "tenant t1, round trip " in parts["database"]["detail"]
    assert parts["content"]["detail"] == f"{upstream.bare.as_uri()}, branch main at {commit[:8]}"
    assert server.taken == []


@pytest.mark.parametrize(
    ("variables", "part", "code", "words"),
    [
        (
            {"DATABASE_URL": "postgresql://a:hidden@127.0.0.1:1/x"},
            "database",
            5,
            "the connection was refused",
        ),
        ({"DATABASE_URL": "sqlite:///nothing.db"}, "database", 2, "does not exist"),
        ({"DATA_REPOSITORY": "/no/such/place"}, "content", 2, "there is no repository"),
        ({"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": "1"}, "mail", 5, "was refused"),
        ({"EMAIL_FROM": "nobody"}, "mail", 2, 'EMAIL_FROM is "nobody"'),
        ({}, "database", 4, "DATABASE_URL is not set"),
        ({"NODE_ENV": "production"}, "mail", 4, "RESEND_API_KEY is not set"),
    ],
)
def test_check_says_what_is_wrong(
    cli: Cli, variables: dict[str, str], part: str, code: int, words: str
) -> None:
    found = cli("check", part, **variables)

    assert found.code == code
    assert words in found.stdout
    assert "hidden" not in found.stdout + found.stderr
    assert "jobctl check" not in found.stdout


def test_check_names_what_the_database_lacks(cli: Cli, here: Path) -> None:
    database = OnSQLite(here / "site.db")
    database.execute("DROP TABLE votes")
    database.close()

    found = cli("check", "database", DATABASE_URL="sqlite:///site.db")

    assert found.code == 2
    assert 'has no table "votes"' in found.stdout


def test_check_waits_for_its_timeout_for_the_content_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[timedelta] = []

    def look(address: object, branch: object, step: timedelta) -> Tip:
        steps.append(step)
        return Tip("main", "0" * 40)

    monkeypatch.setattr("jobctl.site.content.remote.fetch_tip", look)
    for timeout in ("1m", "100w"):
        cli("check", "content", "--timeout", timeout, DATA_REPOSITORY="https://git.example/content")

    assert steps == [timedelta(minutes=1), timedelta(hours=1)]


def test_check_does_not_wait_for_ever(cli: Cli) -> None:
    import socket
    from contextlib import closing

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = str(listener.getsockname()[1])
        found = cli(
            "check",
            "mail",
            "--timeout",
            "200ms",
            EMAIL_PROVIDER="smtp",
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=port,
        )

    assert found.code == 5
    assert "no answer in 200 ms" in found.stdout
