"""``check vercel``: who may call a deployment, which calls are scheduled, when jobs last ran; and that it runs nothing."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobctl.clock import SystemClock
from jobctl.model import RunStatus, Trigger
from jobctl.store.base import RunStore
from jobctl.store.open import open_store
from jobctl.store.records import Claim, Claimed, Ending, Owner, Registration, new_run_id
from tests.support.http_server import Provider, Reply, Request, http_server
from tests.support.postgres import Postgres
from tests.support.project import Site
from tests.web.conftest import serving

SECRET = "a-secret-of-the-deployment"
JOBS = """
[jobs.quick]
every = "10m"
call = "work:quick"
[jobs.nightly]
cron = "30 2 * * *"
call = "work:quick"
[jobs.by-hand]
call = "work:quick"
"""
CODE = "def quick():\n    print('quick ran')\n"
UNAUTHORIZED = Reply(401, {"error": "Unauthorized"}, (("WWW-Authenticate", "Bearer"),))
SITE_CALLS = {
    "/api/cron/sync": "0 3 * * *",
    "/api/cron/subscription-reminders": "0 9 * * *",
    "/api/cron/subscription-expiration": "0 0 * * *",
}


@pytest.fixture
def site(site: Site) -> Site:
    site.jobs(JOBS, CODE)
    site.environment["CRON_SECRET"] = SECRET
    return site


@pytest.fixture
def exported(site: Site) -> Path:
    """The folder of the deployment, as it is exported."""
    folder = site.folder / "vercel-jobs"
    assert site.call("export", "vercel", "vercel-jobs", "--from-index").returncode == 0
    return folder


def check(site: Site, url: str | None = None, *, code: int = 0) -> str:
    """Its detail and hint."""
    if url is not None:
        site.environment["VERCEL_PROJECT_PRODUCTION_URL"] = url
    done = site.call("check", "vercel", "--timeout", "30s", "--json")
    assert done.returncode == code, done
    (part,) = json.loads(done.stdout)["parts"]
    return f"{part['detail']}; {part['hint']}"


def with_secret(request: Request) -> Reply:
    given = request.headers.get("authorization")
    return Reply(200, {"jobs": []}) if given == f"Bearer {SECRET}" else UNAUTHORIZED


@pytest.fixture
def right() -> Iterator[Provider]:
    with http_server(with_secret) as server:
        yield server


@pytest.mark.slow
def test_our_own_server_is_right_and_runs_nothing(site: Site, exported: Path) -> None:
    with serving(site, NODE_ENV="production") as client:
        found = check(site, str(client.base_url))

    assert "answers 401 without a secret and with a wrong one, and 200 with CRON_SECRET" in found
    assert "as the jobs are scheduled" in found
    assert "the run store is not on Postgres" in found
    assert site.runs() == []


@pytest.mark.slow
def test_a_server_with_another_secret_is_found(site: Site, exported: Path) -> None:
    with serving(site, NODE_ENV="production", CRON_SECRET="quite-another-secret") as client:
        found = check(site, str(client.base_url), code=2)

    assert "answers 401 to /api/jobs with CRON_SECRET; its CRON_SECRET is another one" in found


@pytest.mark.slow
def test_a_server_without_a_secret_is_open_to_anybody(site: Site, exported: Path) -> None:
    with serving(site, NODE_ENV="development", CRON_SECRET="") as client:
        found = check(site, str(client.base_url), code=2)

    assert (
        "answers 200 to /api/jobs without a secret, where 401 is expected: every caller can run the jobs"
        in found
    )
    assert "set CRON_SECRET in the Vercel project" in found
    assert site.runs() == []


@pytest.mark.parametrize(
    ("reply", "code", "words"),
    [
        (Reply(308, None, (("Location", "https://www.example.com/"),)), 2, "redirects /api/jobs, and Vercel's calls follow no redirect"),
        (Reply(503), 5, "answers 503 to /api/jobs"),
        (Reply(404), 2, "has no /api/cron/sync"),
        (Reply(200, {}), 2, "without a secret, where 401 is expected: every caller can run the jobs"),
        (Reply(403), 2, "answers 403 to /api/jobs without a secret, where 401 is expected; set"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("inline")
def test_a_wrong_answer_is_explained(site: Site, exported: Path, reply: Reply, code: int, words: str) -> None:
    with http_server(lambda _: reply) as server:
        assert words in check(site, server.url, code=code)


@pytest.mark.usefixtures("inline")
def test_one_who_accepts_any_secret_is_found(site: Site, exported: Path) -> None:
    with http_server(
        lambda request: Reply(200) if "authorization" in request.headers else UNAUTHORIZED
    ) as server:
        assert "answers 200 to /api/jobs with a wrong secret" in check(site, server.url, code=2)


@pytest.mark.usefixtures("inline")
def test_no_answer_and_no_tls_are_5(site: Site, exported: Path, right: Provider) -> None:
    assert "cannot be reached: [ssl" in check(site, right.url.replace("http:", "https:"), code=5)
    assert "refused" in check(site, "http://127.0.0.1:1", code=5)


@pytest.mark.usefixtures("inline")
def test_the_secret_never_leaves_in_clear(site: Site, exported: Path) -> None:
    assert "CRON_SECRET would cross the network unencrypted" in check(site, "http://jobs.example.com", code=2)


@pytest.mark.usefixtures("inline")
def test_without_an_address_or_a_secret_it_is_not_configured(site: Site, exported: Path) -> None:
    assert "VERCEL_PROJECT_PRODUCTION_URL is not set" in check(site, code=4)
    site.environment["CRON_SECRET"] = ""
    assert "CRON_SECRET is not set" in check(site, "jobs.example.com", code=4)
    site.environment["CRON_SECRET"] = SECRET
    assert "expected a host such as my-jobs.vercel.app" in check(site, "not a host", code=2)


@pytest.mark.usefixtures("inline")
def test_the_address_of_the_site_counts_where_vercel_calls_its_jobs(site: Site, right: Provider) -> None:
    site.environment["NEXT_PUBLIC_APP_URL"] = right.url
    assert "VERCEL_PROJECT_PRODUCTION_URL is not set" in check(site, code=4)
    site.write("vercel.json", json.dumps({"crons": [{"path": "/api/other", "schedule": "0 3 * * *"}]}))
    check(site, code=4)
    site.call("export", "vercel", ".", "--from-index")
    assert "200 with CRON_SECRET" in check(site)


# The scheduled calls


@pytest.mark.usefixtures("inline")
def test_calls_that_are_not_those_of_the_jobs_are_named(site: Site, exported: Path, right: Provider) -> None:
    site.jobs(JOBS.replace("30 2", "45 2") + '[jobs.new]\nevery = "1h"\ncall = "work:quick"\n', CODE)
    found = check(site, right.url, code=2)
    assert "the calls of new, nightly in vercel-jobs/vercel.json are not those of the jobs" in found
    assert "jobctl export vercel vercel-jobs, and deploy again" in found

    site.call("export", "vercel", "vercel-jobs", "--from-index")
    check(site, right.url)


@pytest.mark.parametrize("options", [("--plan", "hobby"), ("--target", "schedules")])
@pytest.mark.usefixtures("inline")
def test_calls_of_each_plan_and_list_are_right(site: Site, right: Provider, options: tuple[str, ...]) -> None:
    site.call("export", "vercel", ".", "--from-index", *options)
    assert "as the jobs are scheduled" in check(site, right.url)


@pytest.mark.usefixtures("inline")
def test_a_project_without_calls_is_named(site: Site, right: Provider) -> None:
    assert "in a folder in it, has calls of jobs" in check(site, right.url, code=2)


# The site's own application


def template(request: Request) -> Reply:
    """As the site's application answers."""
    if request.path not in SITE_CALLS:
        return Reply(404)
    if request.method == "OPTIONS":
        return Reply(204, None, (("Allow", "GET, HEAD, OPTIONS"),))
    given = request.headers.get("authorization")
    return Reply(200, {"success": True}) if given == f"Bearer {SECRET}" else Reply(401, {"success": False})


def be_next(site: Site, calls: dict[str, str]) -> None:
    site.write("package.json", json.dumps({"dependencies": {"next": "15.0.0"}}))
    crons: list[Any] = [{"path": path, "schedule": schedule} for path, schedule in calls.items()]
    site.write("vercel.json", json.dumps({"crons": crons}))


@pytest.mark.usefixtures("inline")
def test_the_sites_own_application_is_never_sent_the_secret(site: Site) -> None:
    be_next(site, SITE_CALLS)
    with http_server(template) as server:
        found = check(site, server.url)

    assert "answers 401 without a secret and with a wrong one; CRON_SECRET itself was not tried" in found
    assert 'sync at "0 3 * * *"' in found
    assert [each for each in server.requests if SECRET in each.headers.get("authorization", "")] == []
    assert len(server.requests) == 6


@pytest.mark.usefixtures("inline")
def test_a_call_that_the_site_lacks_is_named(site: Site) -> None:
    be_next(site, {"/api/cron/sync": "0 3 * * *"})
    with http_server(template) as server:
        found = check(site, server.url, code=2)
    assert "has no call of /api/cron/subscription-expiration, /api/cron/subscription-reminders" in found


# The last runs


@pytest.fixture
def store(site: Site, postgres: Postgres) -> Iterator[RunStore]:
    address = site.environment["JOBCTL_STATE"] = postgres.schema()
    with closing(open_store(address)) as store:
        yield store


def ran(store: RunStore, job_id: str, ago: timedelta) -> None:
    now = SystemClock().now()
    owner = Owner(new_run_id(), "application", "here", 1, "1", "", now, leased=True)
    store.register_process(owner)
    store.register([Registration(job_id, job_id, "", "UTC")], now - ago)
    (claimed,) = store.claim(owner, [Claim(new_run_id(), job_id, Trigger.HTTP, now - ago)])
    assert isinstance(claimed, Claimed)
    began, took = claimed.run.started_at, timedelta(seconds=1)
    store.finish([Ending(claimed.run.id, job_id, RunStatus.COMPLETED, began, began + took, took)])


@pytest.mark.usefixtures("inline")
def test_a_job_that_was_not_called_is_named(
    site: Site, exported: Path, right: Provider, store: RunStore
) -> None:
    found = check(site, right.url)
    assert "the last runs are in time; not run yet: " in found
    assert found.endswith(", quick, nightly; None")

    ran(store, "nightly", timedelta(hours=25.5))
    ran(store, "quick", timedelta(minutes=9))
    ran(store, "by-hand", timedelta(days=9))
    assert check(site).endswith(", report-quarterly-performance; None")


@pytest.mark.parametrize(
    ("job_id", "ago", "is_late"),
    [
        ("quick", timedelta(minutes=10), False),
        ("quick", timedelta(minutes=33), True),
        ("nightly", timedelta(hours=23), False),
        ("nightly", timedelta(hours=50), True),
    ],
)
@pytest.mark.usefixtures("inline")
def test_twice_the_interval_is_late(
    site: Site,
    exported: Path,
    right: Provider,
    store: RunStore,
    job_id: str,
    ago: timedelta,
    *,
    is_late: bool,
) -> None:
    ran(store, job_id, ago)
    found = check(site, right.url, code=5 if is_late else 0)
    assert (f"not run for twice their intervals: {job_id} (" in found) == is_late


@pytest.mark.usefixtures("inline")
def test_a_paused_job_is_not_late(site: Site, exported: Path, right: Provider, store: RunStore) -> None:
    ran(store, "quick", timedelta(hours=5))
    check(site, right.url, code=5)
    assert site.call("stop", "quick").returncode == 0
    check(site, right.url)


@pytest.mark.usefixtures("inline")
def test_all_that_is_wrong_is_named_at_once(site: Site, exported: Path, store: RunStore) -> None:
    ran(store, "quick", timedelta(hours=5))
    site.jobs(JOBS.replace("30 2", "45 2"), CODE)
    with http_server(lambda _: Reply(200)) as server:
        found = check(site, server.url, code=2)
    for words in (
        "every caller can run the jobs",
        "the calls of nightly",
        "not run for twice their intervals: quick",
    ):
        assert words in found
