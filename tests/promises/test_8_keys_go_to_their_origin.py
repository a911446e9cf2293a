"""Promise 8, on the network: a key goes to the origin that it is for, over TLS or within this machine."""

from collections.abc import Iterator

import pytest

from jobctl.errors import PermanentJobError
from jobctl.http import HttpClient
from jobctl.settings.masking import Secret
from jobctl.site.mail.message import Sender
from jobctl.site.mail.novu import Novu
from jobctl.site.mail.resend import Resend
from jobctl.site.mail.transport import MailRefusedError
from jobctl.urls import is_in_clear, is_loopback
from tests.support.http_server import Provider, Reply, http_server
from tests.support.project import Site

KEY = "re_SESAMEopenSESAME"


@pytest.fixture
def other() -> Iterator[Provider]:
    """A proxy, or another origin: it answers everything."""
    with http_server(lambda _: Reply(200, {})) as provider:
        yield provider


@pytest.mark.parametrize(
    ("url", "clear"),
    [
        ("https://mail.example", False),
        ("HTTPS://mail.example", False),
        ("http://127.0.0.1:8025", False),
        ("http://127.9.9.9", False),
        ("http://[::1]:80", False),
        ("http://localhost", False),
        ("http://mail.example", True),
        ("http://localhost.example", True),
        ("http://127.0.0.1.example", True),
        ("http://localhost@mail.example", True),
        ("http://10.0.0.1", True),
    ],
)
def test_what_can_be_read_on_the_way(url: str, clear: bool) -> None:
    assert is_in_clear(url) is clear


def test_names_of_this_machine() -> None:
    assert [one for one in ("localhost", "LOCALHOST", "127.0.0.1", "::1") if not is_loopback(one)] == []


@pytest.mark.parametrize(("made", "variable"), [(Resend, "RESEND_BASE_URL"), (Novu, "NOVU_BASE_URL")])
def test_a_provider_is_refused_where_its_key_would_be_read(
    made: type[Resend] | type[Novu], variable: str
) -> None:
    with pytest.raises(PermanentJobError, match=f"^{variable} begins with http://") as refused:
        made("http://mail.example", Secret(KEY), Sender("a@b.example"))
    assert refused.value.hint == "write https://"
    assert refused.value.retry is False


def test_no_proxy_sees_what_is_sent_to_this_machine(other: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, other.url)
    monkeypatch.delenv("no_proxy", raising=False)
    with http_server(lambda _: Reply(200, {})) as provider:
        HttpClient(provider.url, {"Authorization": f"Bearer {KEY}"}).call("/x")
        assert provider.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert other.requests == []


def test_no_redirect_takes_a_key_elsewhere(other: Provider) -> None:
    with http_server(lambda _: Reply(307, None, (("location", f"{other.url}/y"),))) as provider:
        for body in (None, {"a": 1}):
            assert HttpClient(provider.url, {"Authorization": f"Bearer {KEY}"}).call("/x", body).status == 307
    assert other.requests == []


def test_an_answer_that_repeats_the_key_shows_none_of_it() -> None:
    said = {"name": "validation_error", "message": "x" * 190 + KEY}
    with http_server(lambda _: Reply(422, said)) as provider:
        resend = Resend(provider.url, Secret(KEY), Sender("a@b.example"))
        with pytest.raises(MailRefusedError) as refused:
            resend.check()
    assert "re_" not in str(refused.value)


@pytest.mark.slow
def test_check_and_the_run_itself_refuse_an_address_in_clear(site: Site, other: Provider) -> None:
    text = f"RESEND_API_KEY={KEY}\nRESEND_BASE_URL=http://mail.example\nMONITOR=http://hc.example/ping/x1y2\n"
    site.write(".env", text)
    site.jobs('[jobs.tell]\ncall = "time:time"\ncheck_in = "$MONITOR"\n')
    proxy = {"http_proxy": other.url}

    mail = site.call("check", "mail", env=proxy)
    settings = site.call("check", "settings", env=proxy)
    run = site.call("trigger", "tell", env=proxy)

    assert (mail.returncode, settings.returncode, run.returncode) == (2, 2, 0)
    assert "RESEND_BASE_URL begins with http://" in mail.stdout
    assert "the address at hc.example begins with http://" in settings.stdout
    assert "the address at hc.example begins with http://" in " ".join(run.stderr.split())
    assert other.requests == []
