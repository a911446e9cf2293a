"""The HTTP client against real servers: connections, limits, proxies and certificates."""

import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from jobctl import http
from jobctl.errors import ServiceError
from jobctl.http import NO_RETRY, HttpClient, Response, RetryPolicy
from tests.support.http_server import Provider, Reply, http_server
from tests.support.serving import Handler, Server, serving_http

KEY = "SESAMEopenSESAME"


@pytest.fixture
def echo() -> Iterator[Provider]:
    with http_server(lambda _: Reply(200, {"ok": True})) as server:
        yield server


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives one answer a connection, then closes it; its address, and the requests."""
    listening = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                requests.append(connection.recv(65536))
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", requests
        thread.join(10)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


def test_an_open_connection_is_used_again() -> None:
    ports: list[int] = []

    class Noting(Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ports.append(self.client_address[1])
            self.answer(200, b"{}")

    with serving_http(Noting) as url, closing(HttpClient(url, keep_open=True)) as client:
        for _ in range(3):
            assert client.call("/x").body == {}
        assert len(set(ports)) == 1

        one_each = HttpClient(url)
        one_each.call("/x")
        one_each.call("/x")
        assert len(set(ports)) == 3


def test_a_connection_that_the_server_closed_meanwhile_is_made_anew_without_a_second_request() -> None:
    with (
        answering(OK, OK) as (url, requests),
        closing(HttpClient(url, retry=NO_RETRY, keep_open=True)) as client,
    ):
        assert client.call("/a", {"n": 1}).body == []
        assert client._connection is not None
        assert select.select([client._connection.sock], [], [], 30)[0], "the server closes it"
        assert client.call("/b", {"n": 2}).body == []
    assert [one.split(b" ")[1] for one in requests] == [b"/a", b"/b"]


def test_the_path_of_the_base_comes_first(echo: Provider) -> None:
    HttpClient(f"{echo.url}/prefix/").call("/x?y=1")
    HttpClient(echo.url).call()
    HttpClient(f"{echo.url}/hook/?y=1").call()

    assert [request.path for request in echo.requests] == ["/prefix/x?y=1", "/", "/hook/?y=1"]


def test_an_ipv6_address_without_a_port() -> None:
    connection = HttpClient("http://[::1]")._new_connection()

    assert (connection.host, connection.port) == ("::1", 80)


def test_a_large_answer_counts_by_its_status_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_SIZE", 1000)
    with http_server(lambda _: Reply(200, b'"' + b"x" * 5000 + b'"')) as server:
        response = HttpClient(server.url).call("/x")

    assert response.is_success
    assert response.body is None


def test_an_answer_without_an_end_is_given_up() -> None:
    ended = threading.Event()

    class Dripping(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            while not ended.wait(0.02):
                self.wfile.write(b" ")

    with serving_http(Dripping) as url:
        try:
            with pytest.raises(ServiceError, match="did not answer in time"):
                HttpClient(url, timeout=0.2, retry=NO_RETRY).call("/x")
        finally:
            ended.set()


@pytest.mark.parametrize(
    "cut",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]",
    ],
)
def test_an_answer_that_is_cut_off_is_no_answer(cut: bytes) -> None:
    pauses: list[float] = []
    with answering(cut, cut) as (url, _), pytest.raises(ServiceError, match="closed the connection before"):
        HttpClient(url, retry=RetryPolicy(pauses=(1.0,)), wait=pauses.append).call("/x")
    assert pauses == [1.0]


@pytest.mark.parametrize("body", [b"NaN", b"[1e999]", b"nothing", b""])
def test_what_is_not_json_is_none(body: bytes) -> None:
    with http_server(lambda _: Reply(200, body)) as server:
        assert HttpClient(server.url).call("/x").body is None


def test_no_request_follows_if_the_service_asks_for_too_long_a_pause(echo: Provider) -> None:
    echo.replies = [Reply(503, {}, (("Retry-After", "40"),))] * 3
    pauses: list[float] = []

    policy = RetryPolicy(pauses=(1.0, 2.0), max_pause=100, max_total=60)
    assert HttpClient(echo.url, retry=policy, wait=pauses.append).call("/x").status == 503
    assert pauses == [40.0]


def test_an_encrypted_service_is_reached_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b"HTTP/1.1 403 No\r\n\r\n") as (proxy, requests):
        monkeypatch.setenv("https_proxy", proxy.replace("http://", "http://user:p%40ss@"))
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(ServiceError, match=r"service\.example cannot be reached: .*403"):
            HttpClient("https://service.example", {"Authorization": f"Bearer {KEY}"}, retry=NO_RETRY).call(
                "/x"
            )

    (request,) = requests
    assert request.startswith(b"CONNECT service.example:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in request
    assert KEY.encode() not in request


def test_a_client_without_a_proxy_ignores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    with answering(b"no TLS") as (url, requests), pytest.raises(ServiceError, match="cannot be reached"):
        HttpClient(url.replace("http:", "https:"), retry=NO_RETRY, use_proxy=False).call("/x")
    assert b"CONNECT" not in requests[0]


def test_a_certificate_of_an_unknown_authority_is_refused_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    class Plain(Handler):
        def do_GET(self) -> None:
            self.answer(200, b'{"encrypted": true}')

    server = Server(("127.0.0.1", 0), Plain)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        client = HttpClient(f"https://localhost:{server.server_port}", retry=NO_RETRY, use_proxy=False)
        with pytest.raises(ServiceError, match="shows a certificate that is not trusted here"):
            client.call("/x")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert client.call("/x").body == {"encrypted": True}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    "base", ["http://user:pw@127.0.0.1:1", "http://127.0.0.1:x", "http://ex\u200bample.com"]
)
def test_an_address_that_cannot_be_used_is_refused(base: str) -> None:
    with pytest.raises(ServiceError, match="cannot be requested") as refused:
        HttpClient(base).call("/x")
    assert "pw" not in str(refused.value)


def test_a_response_has_fields_only_if_it_is_an_object() -> None:
    assert Response(200, [1], {}).fields == {}
    assert Response(200, {"a": 1}, {}).fields == {"a": 1}
