"""Requests that go wrong: what is tried again, how long is waited, and what is said at the end."""

import time

import pytest

from jobctl.errors import ConfigurationError, ServiceError
from jobctl.settings.masking import Secret
from jobctl.trigger_dev.account import Account
from jobctl.trigger_dev.api_types import RefusedError, ScheduleRequest
from jobctl.trigger_dev.client import MAX_TOTAL_PAUSE_S, TriggerDevClient
from tests.support.trigger_dev import KEY, Cloud, Fault

WANTED = ScheduleRequest("a-job", "jobctl:production:a-job", "0 9 * * *", "UTC")
JSON = {"Content-Type": "application/json"}


def test_every_request_says_who_asks_and_which_version_is_meant(api: TriggerDevClient, cloud: Cloud) -> None:
    api.schedules()

    (asked,) = cloud.asked
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["x-trigger-api-version"] == "2025-07-16"
    assert asked.headers["user-agent"] == "jobctl"
    assert asked.query == {"page": "1", "perPage": "100"}


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503])
def test_a_request_to_a_failing_server_is_repeated(
    status: int, api: TriggerDevClient, cloud: Cloud, pauses: list[float]
) -> None:
    cloud.faults = [Fault(status=status, body=b"<html>"), Fault(status=status)]

    assert api.schedules() == []
    assert len(cloud.asked) == 3
    assert 1.0 <= pauses[0] <= 1.1
    assert 2.0 <= pauses[1] <= 2.2


@pytest.mark.parametrize("kind", ["drop", "half"])
def test_a_connection_that_breaks_is_replaced(kind: str, api: TriggerDevClient, cloud: Cloud) -> None:
    cloud.faults = [Fault(kind), Fault(kind)]

    assert api.schedules() == []


def test_all_tries_are_one_request_to_the_server(api: TriggerDevClient, cloud: Cloud) -> None:
    """Its answers were lost twice; it did once what was asked."""
    cloud.faults = [Fault("lost"), Fault("lost")]

    run_id = api.trigger("a-job", {})

    assert list(cloud.runs) == [run_id]
    keys = {one.headers["x-trigger-request-idempotency-key"] for one in cloud.asked}
    assert len(cloud.asked) == 3
    assert len(keys) == 1
    bodies = [one.body["options"]["idempotencyKey"] for one in cloud.asked]
    assert len(set(bodies)) == 1


def test_each_trigger_is_one_of_its_own(api: TriggerDevClient, cloud: Cloud) -> None:
    assert api.trigger("a-job", {}) != api.trigger("a-job", {})
    assert len(cloud.runs) == 2


@pytest.mark.parametrize(
    ("header", "status", "tries"),
    [("false", 503, 1), ("true", 404, 3), ("true", 200, 1), ("false", 429, 1)],
)
def test_the_server_may_say_whether_another_try_helps(
    header: str, status: int, tries: int, api: TriggerDevClient, cloud: Cloud
) -> None:
    body = b'{"data": [], "pagination": {"totalPages": 0}}'
    cloud.faults = [Fault(status=status, body=body, headers={"x-should-retry": header})] * 3

    try:
        api.schedules()
    except RefusedError:
        assert status != 200
    assert len(cloud.asked) == tries


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"x-ratelimit-reset": "+7000"}, 5.5, 8.1),
        ({"Retry-After": "4"}, 4.0, 5.0),
        ({}, 1.0, 1.1),
        ({"x-ratelimit-reset": "soon", "Retry-After": "NaN"}, 1.0, 1.1),
    ],
)
def test_too_many_requests_waits_as_long_as_the_server_asks(
    headers: dict[str, str],
    least: float,
    most: float,
    api: TriggerDevClient,
    cloud: Cloud,
    pauses: list[float],
) -> None:
    if "x-ratelimit-reset" in headers and headers["x-ratelimit-reset"].startswith("+"):
        headers = {"x-ratelimit-reset": str(round(time.time() * 1000) + int(headers["x-ratelimit-reset"]))}
    cloud.faults = [Fault(status=429, headers=headers)]

    assert api.schedules() == []
    assert least <= pauses[0] <= most


def test_the_total_pause_is_at_most_a_minute(
    api: TriggerDevClient, cloud: Cloud, pauses: list[float]
) -> None:
    cloud.faults = [Fault(status=429, headers={"Retry-After": "40"})] * 3

    with pytest.raises(RefusedError, match=r"has had too many requests; again in 40 s"):
        api.schedules()
    assert len(cloud.asked) == 2
    assert sum(pauses) <= MAX_TOTAL_PAUSE_S


@pytest.mark.parametrize(
    ("fault", "words", "hint"),
    [
        (Fault(status=401, body=b'{"error": "Invalid or Missing API Key"}'), "refuses the key", "revoked"),
        (Fault(status=403, body=b'{"error": "Unauthorized"}'), "does not allow this key", "restricted"),
        (Fault(status=503, body=b'{"error": "down for repair"}'), 'it answered 503: "down', None),
        (Fault(status=302, headers={"Location": "http://evil.test/"}), "a redirect", "own address"),
        (Fault(status=200, body=b"<!doctype html>", headers=JSON), "something that is not JSON", "proxy"),
        (Fault(status=200, body=b'{"data": 7}', headers=JSON), "a list that jobctl cannot read", "version"),
        (Fault(status=200, body=b'{"data": [{"id": 7}]}'), "a schedule that jobctl cannot read", None),
        (Fault(status=418, body=b'{"error": "a teapot"}'), 'answered 418: "a teapot"', None),
        (Fault("drop"), "closed the connection before its answer was complete", None),
        (Fault("half"), "closed the connection before its answer was complete", None),
    ],
)  # fmt: skip
def test_what_went_wrong_is_one_sentence(
    fault: Fault, words: str, hint: str | None, api: TriggerDevClient, cloud: Cloud
) -> None:
    cloud.faults = [fault] * 3

    with pytest.raises(ServiceError) as caught:
        api.schedules()

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hint is None or hint in (caught.value.hint or "")
    assert caught.value.exit_code == 5
    assert KEY not in f"{caught.value} {caught.value.hint}"


def test_a_server_that_says_the_key_does_not_make_us_say_it(api: TriggerDevClient, cloud: Cloud) -> None:
    cloud.faults = [Fault(status=422, body=b'{"error": "bad key %s"}' % KEY.encode())]

    with pytest.raises(RefusedError) as caught:
        api.schedules()
    assert KEY not in str(caught.value)
    assert KEY not in caught.value.explanation


def test_a_server_that_does_not_exist(account: Account, pauses: list[float]) -> None:
    api = TriggerDevClient(Account("http://127.0.0.1:1", account.key, "production"), wait=pauses.append)

    with pytest.raises(ServiceError, match=r"\(127.0.0.1:1\) did not answer: the connection was refused"):
        api.schedules()
    assert len(pauses) == 2
    api.close()


def test_a_server_that_never_answers_is_given_up(
    account: Account, cloud: Cloud, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobctl.trigger_dev.client.TIMEOUT_S", 0.2)
    api = TriggerDevClient(account, wait=pauses.append)
    cloud.faults = [Fault("hang")] * 3

    with pytest.raises(ServiceError, match="did not answer in time"):
        api.schedules()
    cloud.released.set()
    api.close()


def test_a_name_that_none_can_have(account: Account) -> None:
    with pytest.raises(ConfigurationError, match="TRIGGER_DEV_API_URL is not a valid address"):
        TriggerDevClient(Account("https://ex\u200bample.com", account.key, "production"))


def test_a_schedule_that_is_gone_already_is_removed(api: TriggerDevClient, cloud: Cloud) -> None:
    made = api.put_schedule(WANTED)
    cloud.faults = [Fault("lost")]

    api.delete_schedule(made.id)

    assert cloud.schedules == {}
    assert api.schedule(WANTED.key) is None


def test_lists_are_read_page_by_page(api: TriggerDevClient, cloud: Cloud) -> None:
    for number in range(230):
        cloud.schedule("a-job", key=f"k{number}")
        cloud.run("a-job", ago=1000 - number)

    assert len({one.id for one in api.schedules()}) == 230
    runs = api.runs(["a-job"])
    assert len({one.id for one in runs}) == 230
    assert runs == sorted(runs, key=lambda one: one.created_at, reverse=True)
    assert len(cloud.sent("GET", "/api/v1/runs")) == 3


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://10.0.0.7:3030",
        "http://localhost.example.com",
        "https://x.test/api",
        "https://x:abc",
        "https://[::1",
        "https://x:99999999",
        "https://a..b",
        "https://user:pw@x.test",
    ],
)
def test_the_key_never_leaves_in_clear(url: str) -> None:
    from tests.support.trigger_dev_settings import settings

    with pytest.raises(ConfigurationError, match="TRIGGER_DEV_API_URL"):
        Account.read(settings(TRIGGER_DEV_API_URL=url, TRIGGER_DEV_API_KEY=KEY))


@pytest.mark.parametrize(
    ("key", "named", "words"),
    [
        ("tr_pat_abcdefghijklmnop", None, "a personal access token"),
        ("pk_prod_abcdefghijklmnop", None, "a public key"),
        ("abcdefghijklmnop", None, "not a Trigger.dev secret key"),
        ("tr_prod_abc\ndef", None, "not a Trigger.dev secret key"),
        (
            KEY,
            "staging",
            "is a key of production, but TRIGGER_DEV_ENVIRONMENT is staging (process environment)",
        ),
        ("tr_preview_abcdefgh", None, "TRIGGER_PREVIEW_BRANCH is not set"),
    ],
)
def test_a_key_that_cannot_be_meant_is_refused_before_anything_is_asked(
    key: str, named: str | None, words: str
) -> None:
    from tests.support.trigger_dev_settings import settings

    more = {"TRIGGER_DEV_ENVIRONMENT": named} if named else {}
    with pytest.raises(ConfigurationError) as caught:
        Account.read(settings(TRIGGER_DEV_API_KEY=key, **more))
    assert words in str(caught.value)
    assert key not in f"{caught.value} {caught.value.hint}"


def test_the_key_names_the_environment() -> None:
    from tests.support.trigger_dev_settings import settings

    found = {
        key: Account.read(settings(TRIGGER_DEV_API_KEY=key, TRIGGER_PREVIEW_BRANCH="new/look")).prefix
        for key in ("tr_dev_x", "tr_stg_sk_x", "tr_prod_x", "tr_preview_x")
    }

    assert list(found.values()) == [
        "jobctl:development:",
        "jobctl:staging:",
        "jobctl:production:",
        "jobctl:preview/new/look:",
    ]
    assert Secret("tr_prod_x") == Account.read(settings(TRIGGER_DEV_API_KEY="tr_prod_x")).key
