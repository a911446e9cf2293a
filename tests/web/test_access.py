"""Who may call: the rule by itself, and clients that never say what they want."""

import socket
import threading

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from jobctl.settings.masking import Secret
from jobctl.web.access import Access
from jobctl.web.connection_limits import BoundedProtocol
from tests.support.project import Site

SECRET = "a-secret-of-the-site"


@given(
    header=st.text() | st.builds(lambda text: f"Bearer {text}", st.text()),
    client=st.sampled_from([None, "127.0.0.1"]),
)
def test_whatever_is_sent_only_the_secret_is_let_in(header: str, client: str | None) -> None:
    for development in (True, False):
        access = Access(Secret(SECRET), development)
        assert access.allows({"authorization": header}, client) == (header.split() == ["Bearer", SECRET])
    assert Access(Secret(SECRET), development=False).allows({"authorization": f"bearer {SECRET}"}, None)


@pytest.mark.parametrize("secret", ["sécret-of-the-site", "secret-à", "пароль", "x"])
def test_a_secret_beyond_ascii_is_compared_as_it_was_sent(secret: str) -> None:
    """A client sends its bytes, which the server decodes as Latin-1."""
    access = Access(Secret(secret), development=False)
    sent = secret.encode().decode("latin-1")

    assert access.allows({"authorization": f"Bearer  {sent} "}, None)
    assert not access.allows({"authorization": f"Bearer {sent}x"}, None)
    assert not access.allows({"authorization": f"Bearer {sent[:-1]}"}, None)


@pytest.mark.parametrize(
    ("client", "host", "allowed"),
    [
        ("127.0.0.1", "localhost:8000", True), ("127.0.0.1", "127.0.0.1", True), ("::1", "[::1]:8000", True),
        ("10.0.0.7", "localhost:8000", False), ("127.0.0.1", "evil.test:8000", False), ("127.0.0.1", "", False),
        (None, "localhost", False), ("127.0.0.1", "localhost.evil.test", False),
    ],
)  # fmt: skip
def test_without_a_secret_it_is_this_machine_in_development(
    client: str | None, host: str, allowed: bool
) -> None:
    headers = {"host": host}

    assert Access(None, development=True).allows(headers, client) is allowed
    assert not Access(None, development=False).allows(headers, client)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("forwarded", "for=203.0.113.9", False), ("x-real-ip", "203.0.113.9", False), ("via", "1.1 proxy", False),
        ("x-forwarded-for", "127.0.0.1", False), ("x-forwarded-server", "a", False), ("x-client-ip", "127.0.0.1", False),
        ("cf-connecting-ip", "127.0.0.1", False), ("x-forwarded-proto", "https", False),
        ("origin", "https://evil.test", False), ("origin", "null", False), ("origin", "http://localhost:8001", False),
        ("origin", "http://localhost:8000", True), ("origin", "https://localhost:8000", False),
        ("referer", "https://evil.test/", False), ("referer", "http://localhost:8000/page", True), ("referer", "http://localhost:8000", True),
        ("referer", "http://localhost:80001/", False), ("cdn-loop", "a", False), ("fly-client-ip", "::1", False), ("x_forwarded_for", "::1", False),
        ("x-cluster-client-ip", "::1", False), ("x-envoy-peer", "a", False), ("proxy-connection", "close", False), ("user-agent", "curl", True),
    ],
)  # fmt: skip
def test_what_comes_through_a_proxy_or_from_another_page_is_not_this_machine(
    name: str, value: str, allowed: bool
) -> None:
    headers = {"host": "localhost:8000", name: value}

    assert Access(None, development=True).allows(headers, "127.0.0.1") is allowed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("sécret-of-the-whole-site", "beyond printable ASCII"),
        ("short", "fewer than 16 characters"),
        (SECRET, ""),
    ],
)
def test_a_weak_secret_is_warned_of(secret: str, words: str, site: Site) -> None:
    site.write(".env", f"CRON_SECRET={secret}\n")

    for command in ("check settings", "export vercel ."):
        said = site.call(*command.split())
        assert said.returncode == 0
        assert (
            (words in said.stderr)
            if words
            else ("CRON_SECRET" not in said.stderr.replace("set CRON_SECRET", ""))
        )
        assert secret not in said.stdout + said.stderr


def test_a_client_that_never_ends_its_request_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "CHECK_S", 0.1)

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("there was no request")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, http=BoundedProtocol, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        with socket.create_connection(listening.getsockname(), timeout=30) as slow:
            slow.sendall(b"GET /api/cron/sync HTTP/1.1\r\nHost: loc")
            assert slow.recv(1) == b""
        server.should_exit = True
        thread.join()
