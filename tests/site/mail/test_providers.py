"""Resend and Novu against servers that demand what the providers' references demand."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from jobctl.errors import ConfigurationError, PermanentJobError, ServiceError
from jobctl.settings.masking import Secret
from jobctl.site.mail.message import Message, Sender
from jobctl.site.mail.novu import Novu
from jobctl.site.mail.resend import Resend
from jobctl.site.mail.transport import MailRefusedError
from tests.support import http_server as play
from tests.support.http_server import Provider, Reply, http_server
from tests.support.smtp_server import smtp_server

MESSAGE = Message("ada@example.com", "Hello", "<p>Hello</p>", "Hello", "greeting/1", "Ada")
SENDER = Sender("hello@example.com", "Toolshelf")
BUSY = Reply(
    429, {"statusCode": 429, "name": "rate_limit_exceeded", "message": "slow down"}, (("retry-after", "7"),)
)
BROKEN = Reply(500, {"statusCode": 500, "name": "application_error", "message": "oh"})


class Bench:
    def __init__(self, kind: str, provider: Provider, rule: play.Resend | play.Novu) -> None:
        self.kind, self.provider, self.rule = kind, provider, rule
        self.waits: list[float] = []

    def transport(
        self, key: str | None = None, sender: Sender = SENDER, timeout: float = 10
    ) -> Resend | Novu:
        made = Resend if self.kind == "resend" else Novu
        secret = Secret(key or self.rule.KEY)
        return made(self.provider.url, secret, sender, timeout=timeout, wait=self.waits.append)


@pytest.fixture(params=["resend", "novu"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    rule = play.Resend() if request.param == "resend" else play.Novu()
    with http_server(rule) as provider:
        yield Bench(request.param, provider, rule)


def test_what_the_reference_demands(bench: Bench) -> None:
    bench.transport().send(MESSAGE)

    (request,) = bench.provider.requests
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("jobctl")
    if bench.kind == "resend":
        assert request.path == "/emails"
        assert request.headers["idempotency-key"] == "greeting/1"
        assert request.body["from"] == '"Toolshelf" <hello@example.com>'
    else:
        assert request.path == "/v1/events/trigger"
        payload = request.body["payload"]
        assert {name: payload[name] for name in ("subject", "body", "preheader", "from")} == {
            "subject": MESSAGE.subject, "body": MESSAGE.html, "preheader": MESSAGE.text, "from": SENDER.address,
        }  # fmt: skip
        assert request.body["name"] == "email-default"
        assert request.body["to"] == {
            "subscriberId": "ada@example.com",
            "email": "ada@example.com",
            "firstName": "Ada",
        }
        assert len(request.body["transactionId"]) == 32


@pytest.mark.parametrize(("reply", "waits"), [(BUSY, [7.0]), (BROKEN, [1.0])], ids=["429", "500"])
def test_after_a_passing_error_the_mail_is_sent_once(bench: Bench, reply: Reply, waits: list[float]) -> None:
    bench.provider.replies = [reply]

    bench.transport().send(MESSAGE)

    assert bench.waits == waits
    assert len(bench.rule.sent) == 1
    first, second = bench.provider.requests
    assert first.body == second.body
    assert first.headers.get("idempotency-key") == second.headers.get("idempotency-key")


def test_an_error_that_stays_is_reported(bench: Bench) -> None:
    bench.provider.replies = [BROKEN] * 4

    with pytest.raises(ServiceError, match="cannot send now: 500 oh"):
        bench.transport().send(MESSAGE)
    assert bench.waits == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("header", "wait"),
    [("3600", 30.0), ("-5", 1.0), ("soon", 1.0), ("nan", 1.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 1.0)],
)
def test_what_it_asks_to_wait_is_bounded(bench: Bench, header: str, wait: float) -> None:
    bench.provider.replies = [Reply(429, {"message": "slow"}, (("retry-after", header),))]

    bench.transport().send(MESSAGE)

    assert bench.waits == [wait]


def test_no_answer_in_time(bench: Bench) -> None:
    import threading

    bench.provider.hang = threading.Event()

    with pytest.raises(ServiceError, match="did not answer in time"):
        bench.transport(timeout=0.1).send(MESSAGE)
    assert len(bench.waits) == 3


def test_a_server_that_does_not_exist(bench: Bench) -> None:
    bench.provider.url = "http://127.0.0.1:1"

    with pytest.raises(ServiceError, match=r"127.0.0.1:1 did not answer: the connection was refused"):
        bench.transport().send(MESSAGE)


def test_a_wrong_key_is_reported_and_not_shown(bench: Bench) -> None:
    with pytest.raises(PermanentJobError, match="refused the key") as told:
        bench.transport(key="re_wrong_key").send(MESSAGE)
    assert "re_wrong_key" not in str(told.value)
    assert told.value.hint == ("see RESEND_API_KEY" if bench.kind == "resend" else "see NOVU_API_KEY")


@pytest.mark.parametrize("key", ["re_secret\nmore", "re_secretя"])
def test_a_key_that_no_header_can_hold_is_reported_and_not_shown(bench: Bench, key: str) -> None:
    with pytest.raises(ConfigurationError, match="_API_KEY contains a character that no key has") as told:
        bench.transport(key=key)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("body", [None, b"<html>Welcome</html>", {"fine": True}, b"[" * 100_000])
def test_an_answer_of_another_server_is_no_sent_mail(bench: Bench, body: object) -> None:
    bench.provider.replies = [Reply(200, body)]

    with pytest.raises(ServiceError, match="does not answer like") as told:
        bench.transport().send(MESSAGE)
    assert told.value.hint == ("see RESEND_BASE_URL" if bench.kind == "resend" else "see NOVU_BASE_URL")


def test_what_answers_is_no_web_server(bench: Bench) -> None:
    with smtp_server() as server:
        bench.provider.url = f"http://127.0.0.1:{server.port}"
        with pytest.raises(ServiceError, match="does not speak HTTP"):
            bench.transport().send(MESSAGE)


def test_a_redirect_does_not_take_the_key_along(bench: Bench) -> None:
    bench.provider.replies = [Reply(302, None, (("Location", "http://127.0.0.1:1/else"),))]

    with pytest.raises(PermanentJobError, match="302"):
        bench.transport().send(MESSAGE)
    assert len(bench.provider.requests) == 1


@pytest.fixture
def resend() -> Iterator[Bench]:
    rule = play.Resend()
    with http_server(rule) as provider:
        yield Bench("resend", provider, rule)


@pytest.fixture
def novu() -> Iterator[Bench]:
    rule = play.Novu()
    with http_server(rule) as provider:
        yield Bench("novu", provider, rule)


def test_resend_refuses_one_message(resend: Bench) -> None:
    with pytest.raises(MailRefusedError, match="422 a field is missing"):
        resend.transport().send(replace(MESSAGE, subject=""))


def test_resend_refuses_the_sender(resend: Bench) -> None:
    with pytest.raises(PermanentJobError, match="not verified") as told:
        resend.transport(sender=Sender("x@unverified.test")).send(MESSAGE)
    assert told.value.hint == "see EMAIL_FROM: its domain must be verified with Resend"


def test_resend_sent_it_before_with_other_words(resend: Bench) -> None:
    resend.transport().send(MESSAGE)
    resend.transport().send(replace(MESSAGE, subject="Other words"))

    assert len(resend.rule.sent) == 1


def test_resend_is_still_busy_with_the_same_mail(resend: Bench) -> None:
    resend.provider.replies = [Reply(409, {"name": "concurrent_idempotent_requests", "message": "wait"})]

    resend.transport().send(MESSAGE)

    assert resend.waits == [1.0]
    assert len(resend.rule.sent) == 1


def test_resend_quota(resend: Bench) -> None:
    resend.provider.replies = [Reply(429, {"name": "daily_quota_exceeded", "message": "daily quota"})] * 4

    with pytest.raises(ServiceError, match="cannot send now: 429 daily quota"):
        resend.transport().send(MESSAGE)
    assert resend.waits == []  # it lasts until tomorrow


@pytest.mark.parametrize("key", ["k" * 257, "report/ü@example.com", "a\nb"])
def test_resend_takes_a_mail_whose_key_no_header_could_carry(resend: Bench, key: str) -> None:
    for _ in range(2):
        resend.transport().send(replace(MESSAGE, key=key))

    assert len(resend.rule.sent) == 1


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("trigger_not_active", PermanentJobError, 'its workflow "email-default" is not active'),
        ("no_workflow_active_steps_defined", PermanentJobError, "has no active step"),
        ("error", MailRefusedError, "Novu refused it: no e-mail"),
        ("invalid_recipients", MailRefusedError, "invalid_recipients"),
    ],
)
def test_novu_acknowledges_and_sends_nothing(
    novu: Bench, status: str, error: type[Exception], words: str
) -> None:
    assert isinstance(novu.rule, play.Novu)
    novu.rule.status = status

    with pytest.raises(error, match=words):
        novu.transport().send(MESSAGE)


def test_an_older_novu_refuses_a_mail_that_it_has_sent(novu: Bench) -> None:
    said = "transactionId property is not unique, please make sure all triggers have a unique transactionId"
    novu.transport().send(MESSAGE)
    novu.provider.replies = [Reply(400, {"statusCode": 400, "message": said})]

    novu.transport().send(MESSAGE)

    assert len(novu.rule.sent) == 1


def test_novu_is_not_paid(novu: Bench) -> None:
    novu.provider.replies = [Reply(402, {"statusCode": 402, "message": "Payment required"})]

    with pytest.raises(ServiceError, match="402 Payment required"):
        novu.transport().send(MESSAGE)


def test_novu_does_not_know_the_workflow(novu: Bench) -> None:
    transport = Novu(
        novu.provider.url, Secret(play.Novu.KEY), SENDER, workflow="unknown", wait=novu.waits.append
    )

    with pytest.raises(PermanentJobError, match="workflow_not_found") as told:
        transport.send(MESSAGE)
    assert told.value.hint == "see NOVU_TEMPLATE_ID and NOVU_BASE_URL"
