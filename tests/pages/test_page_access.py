"""Who may see the page: each rule by itself."""

import asyncio
from contextlib import closing
from datetime import timedelta

import pytest
from starlette.types import Message

from jobctl.web.pages import application
from jobctl.web.pages.access import LoginLimit, PageAccess, TooManyAttemptsError
from jobctl.web.pages.visit import local_path
from tests.pages.conftest import OWN, READ_SECRET, SECRET, Open, log_in, project_of, token_of
from tests.support.project import SOON, Site


@pytest.fixture
def project(site: Site) -> Site:
    """On SQLite alone: no rule of access depends on the store."""
    return site


def test_without_a_secret_it_is_open_to_this_machine_in_development(open_page: Open) -> None:
    assert open_page().get("/").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.test"}, {"x-forwarded-for": "203.0.113.9"}, {"origin": "https://evil.test"}, {"sec-fetch-site": "cross-site"}],
)  # fmt: skip
def test_without_a_secret_it_is_closed_to_other_sites_and_proxies(
    headers: dict[str, str], open_page: Open
) -> None:
    answer = open_page().get("/", headers=headers)

    assert answer.status_code == 403
    assert "This page is closed" in answer.text


def test_without_a_secret_it_is_closed_in_production(open_page: Open) -> None:
    answer = open_page(NODE_ENV="production").get("/")

    assert answer.status_code == 403
    assert "JOBCTL_PAGE_SECRET" in answer.text


@pytest.mark.parametrize("name", ["CRON_SECRET", "JOBCTL_PAGE_SECRET"])
def test_with_a_secret_each_visitor_logs_in(name: str, open_page: Open) -> None:
    client = open_page(**{name: SECRET})

    first = client.get("/?q=a")
    assert (first.status_code, first.headers["location"]) == (303, "/login?next=/%3Fq%3Da")
    assert log_in(client, "wrong").status_code == 401
    assert client.get("/").status_code == 303
    answer = log_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age="))
    assert SECRET not in cookie
    page = client.get("/")
    assert page.status_code == 200
    assert "Log out" in page.text
    assert SECRET not in page.text


def test_a_separate_secret_replaces_that_of_the_endpoints(open_page: Open) -> None:
    client = open_page(CRON_SECRET="the-one-of-the-endpoints", JOBCTL_PAGE_SECRET=SECRET)

    assert log_in(client, "the-one-of-the-endpoints").status_code == 401
    assert log_in(client).status_code == 303


def test_a_changed_secret_ends_every_session(open_page: Open) -> None:
    before, after = open_page(CRON_SECRET=SECRET), open_page(CRON_SECRET="another-secret")
    log_in(before)
    after.cookies = before.cookies

    assert before.get("/").status_code == 200
    assert after.get("/").status_code == 303


def test_a_session_is_of_all_processes_with_the_secret(open_page: Open) -> None:
    first, second = open_page(CRON_SECRET=SECRET), open_page(CRON_SECRET=SECRET)
    log_in(first)
    second.cookies = first.cookies

    assert second.get("/").status_code == 200


def test_a_forged_cookie_is_refused(open_page: Open) -> None:
    client = open_page(CRON_SECRET=SECRET)
    log_in(client)
    name = "jobctl_page_8321"
    body, at, signature = client.cookies[name].split(".")
    client.cookies.clear()

    for forged in (
        "x",
        f"{body}.{at}.{signature[::-1]}",
        f"{body}.{at}.",
        f"{body[::-1]}.{at}.{signature}",
        "." * 4000,
    ):
        assert client.get("/", headers={"cookie": f"{name}={forged}"}).status_code == 303
    assert client.get("/", headers={"cookie": f"{name}={body}.{at}.{signature}"}).status_code == 200


def test_a_login_does_not_end_that_of_another_project_on_another_port(open_page: Open) -> None:
    first, second = open_page(CRON_SECRET=SECRET), open_page(CRON_SECRET="another-secret")
    second.base_url = "http://127.0.0.1:8322"
    log_in(first)
    elsewhere = {"Origin": "http://127.0.0.1:8322", "Sec-Fetch-Site": "same-origin"}
    second.post("/login", data={"secret": "another-secret"}, headers=elsewhere)
    for name, value in second.cookies.items():  # as a browser has it: a host's cookies are of all its ports
        first.cookies.set(name, value)

    assert first.get("/").status_code == 200


def test_a_secret_that_is_also_the_reading_one_only_reads(open_page: Open) -> None:
    client = open_page(JOBCTL_PAGE_READONLY_SECRET=SECRET, CRON_SECRET=SECRET)
    log_in(client)
    answer = client.post("/jobs/any/run", data={"token": token_of(client, "/")}, headers=OWN)

    assert answer.status_code == 403
    assert "only lets you read" in answer.text


def test_addresses_of_one_network_share_the_slowing_of_logins(project: Site) -> None:
    with closing(project_of(project, CRON_SECRET=SECRET)) as context:
        for addresses in (
            ["2001:db8::1", "2001:db8::2", "2001:db8::3%eth0", "2001:db8::ffff:4"],
            ["::ffff:192.0.2.1", "192.0.2.1", "::ffff:c000:201", "192.0.2.1"],
        ):
            access = PageAccess(context.environment, Steady())  # type: ignore[arg-type]
            for address in addresses[:3]:
                assert access.log_in("wrong", address) is None
            with pytest.raises(TooManyAttemptsError):
                access.log_in("wrong", addresses[3])
            assert access.log_in("wrong", "2001:db8:0:1::1") is None


def test_a_login_from_another_site_is_refused(open_page: Open) -> None:
    client = open_page(CRON_SECRET=SECRET)

    for headers in (
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {},
        {"sec-fetch-site": "cross-site"},
    ):
        answer = client.post("/login", data={"secret": SECRET}, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_logout_needs_the_token_and_ends_the_session(open_page: Open) -> None:
    client = open_page(CRON_SECRET=SECRET)
    log_in(client)
    token = token_of(client, "/")

    client.post("/logout", data={"token": "x"}, headers=OWN)
    assert client.get("/").status_code == 200
    client.post("/logout", data={"token": token}, headers=OWN)
    assert client.get("/").status_code == 303


def test_logins_are_slowed_after_wrong_ones(open_page: Open) -> None:
    client = open_page(CRON_SECRET=SECRET)
    answers = [log_in(client, f"wrong-{n}") for n in range(5)]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert log_in(client).status_code == 429  # else the answer would say which is right


class Steady:
    def __init__(self) -> None:
        self.time = 100.0

    def monotonic(self) -> float:
        return self.time


def test_the_wait_doubles_up_to_a_minute_and_is_of_one_address() -> None:
    clock = Steady()
    limit = LoginLimit(clock)  # type: ignore[arg-type]
    waits = []
    for _ in range(12):
        try:
            limit.begin("a")
        except TooManyAttemptsError as error:
            waits.append(error.wait_s)
            clock.time += error.wait_s
            limit.begin("a")
    limit.begin("b")

    assert waits == [3, 5, 9, 17, 33, 61, 61, 61, 61]
    clock.time += timedelta(hours=1).total_seconds()
    limit.begin("a")
    limit.begin("a")


def test_after_a_login_it_goes_only_to_a_path_of_the_page() -> None:
    assert local_path("/jobs/quick?state=failed") == "/jobs/quick?state=failed"
    for elsewhere in ("https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/\nx", ""):
        assert local_path(elsewhere) == "/"


def test_every_answer_forbids_scripts_and_frames_of_others(open_page: Open) -> None:
    client = open_page()

    for path in ("/", "/mode", "/static/page.css", "/static/none"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_the_reading_secret_logs_in(open_page: Open) -> None:
    client = open_page(JOBCTL_PAGE_READONLY_SECRET=READ_SECRET, CRON_SECRET=SECRET)

    assert log_in(client, READ_SECRET).status_code == 303
    assert client.get("/").status_code == 200


def test_a_form_that_does_not_arrive_is_refused_and_is_no_bug(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(application, "_FORM_S", 0.05)
    app = open_page(CRON_SECRET=SECRET).app
    headers = {**OWN, "host": "127.0.0.1:8321", "content-type": "application/x-www-form-urlencoded"}
    scope = {
        "type": "http", "method": "POST", "path": "/login", "query_string": b"", "client": ("127.0.0.1", 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip

    async def ask(*parts: Message) -> int:
        coming, answers = list(parts), []

        async def receive() -> Message:
            if not coming:
                await asyncio.Event().wait()
            return coming.pop(0)

        async def send(message: Message) -> None:
            answers.append(message)

        async with asyncio.timeout(SOON):
            await app(dict(scope), receive, send)
        return int(answers[0]["status"])

    begin = {"type": "http.request", "body": b"secret=", "more_body": True}
    assert asyncio.run(ask(begin)) == 401
    assert asyncio.run(ask(begin, {"type": "http.disconnect"})) == 401
    assert not caplog.records
