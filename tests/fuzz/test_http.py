"""Whatever is sent, the server answers cleanly, reveals nothing, runs nothing without the secret, and stays alive."""

import re
import socket
import string
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobctl.settings.masking import Secret
from jobctl.web.access import Access
from tests.support.fuzzing import SURROGATES, anything, examples
from tests.support.project import Site
from tests.web.conftest import CODE, JOBS, SECRET, serving

ROUTES = (
    "/api/cron/sync", "/api/cron/subscription-reminders", "/api/cron/subscription-expiration",
    "/api/cron/jobs/quick", "/api/cron/jobs/unknown", "/api/jobs", "/api/metrics", "/metrics", "/healthz", "/",
)  # fmt: skip
LEAKS = re.compile(r"Traceback|File \"|hunter2|/jobctl/", re.IGNORECASE)

path = st.sampled_from(ROUTES) | st.builds(
    lambda route, more: f"{route}{more}",
    st.sampled_from(ROUTES),
    st.text("/.%?&=;0123456789abcdef~\\:@ \u00e9", max_size=12),
)
method = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"])
visible = string.ascii_letters + string.digits + " !#$%&'*+-.^_`|~;,=\"/()"
headers = st.dictionaries(
    st.sampled_from(
        ["X-Any", "Host", "Accept", "Content-Type", "Sec-Fetch-Site", "X-Forwarded-For", "Cookie"]
    ),
    st.text(visible, max_size=40).map(str.strip),
    max_size=4,
)


@pytest.fixture
def client(site: Site) -> Iterator[httpx2.Client]:
    site.jobs(JOBS, CODE)
    with ExitStack() as stack:
        yield stack.enter_context(serving(site, NODE_ENV="production", CRON_SECRET=SECRET))


@pytest.mark.slow
def test_any_request_is_answered_cleanly(client: httpx2.Client, site: Site) -> None:
    @examples(60)
    @given(
        method, path, headers, st.binary(max_size=100), st.sampled_from(["", "Bearer x", f"Bearer {SECRET}"])
    )
    @example("GET", "/healthz", {}, b"", "")
    @example("GET", "/api/jobs", {}, b"", "")
    @example("GET", "/nowhere", {}, b"", "")
    @example("PUT", "/api/cron/sync", {}, b"", "")
    def each(method: str, path: str, headers: dict[str, str], body: bytes, bearer: str) -> None:
        told = client.request(method, path, content=body, headers={**headers, "Authorization": bearer})

        assert told.status_code in {200, 207, 303, 400, 401, 404, 405, 503}  # 303: to the login
        seen.add(told.status_code)
        assert LEAKS.search(told.text) is None
        assert SECRET not in told.text
        if told.text and path not in {"/healthz", "/metrics"} and told.status_code < 500:
            assert told.status_code == 400 or told.headers["content-type"].startswith(
                ("application/json", "text/plain", "application/openmetrics-text")
            )
        if not bearer.endswith(SECRET):
            assert told.status_code != 503
            assert told.status_code != 200 or urlsplit(path).path == "/healthz"

    seen: set[int] = set()
    each()
    assert seen >= {200, 401, 404, 405}
    assert client.get("/healthz").text == "ok\n"
    assert {run["trigger"] for run in site.runs()} <= {"http"}


@pytest.mark.slow
def test_any_bytes_leave_the_server_alive(client: httpx2.Client, site: Site) -> None:
    address = (client.base_url.host, client.base_url.port or 80)
    line = st.sampled_from(
        [b"GET /api/cron/sync HTTP/1.1\r\n", b"POST /api/cron/sync HTTP/9.9\r\n", b"\r\n", b"Host: x\r\n",
         b"Content-Length: -1\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n",
         b"Upgrade: websocket\r\nConnection: Upgrade\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"zz\r\n"]
    )  # fmt: skip

    @examples(60)
    @given(st.lists(line | st.binary(max_size=30), max_size=8))
    def each(parts: list[bytes]) -> None:
        with socket.create_connection(address, timeout=30) as raw, suppress(OSError):
            raw.sendall(b"".join(parts))
            raw.shutdown(socket.SHUT_WR)
            told = b""
            while data := raw.recv(65536):
                told += data
            assert LEAKS.search(told.decode("latin-1")) is None
            assert b" 200 " not in told.partition(b"\r\n")[0]

    each()
    assert client.get("/healthz").text == "ok\n"
    assert site.runs() == []


bearers = anything | st.sampled_from(["", "Bearer", "bearer ", f"Bearer {SECRET}", f"Basic {SECRET}", SECRET, f"Bearer {SECRET}x", SURROGATES])  # fmt: skip
hosts = anything | st.sampled_from(
    ["localhost", "localhost:1", "[::1]", "[", "127.0.0.1:x", "evil.example", "localhost.evil.example"]
)


def as_sent(secret: str) -> str:
    """The bytes of a secret as a server decodes those of a header."""
    return secret.encode("utf-8", "surrogateescape").decode("latin-1")


@examples(100)
@given(st.none() | st.sampled_from([SECRET, "é", SURROGATES]), st.booleans(), bearers, hosts, st.none() | anything, st.sampled_from([None, "127.0.0.1", "::1", "10.0.0.1"]))  # fmt: skip
@example(SURROGATES, True, f"Bearer {as_sent(SURROGATES)}", "localhost", None, "127.0.0.1")
def test_unusual_headers_give_no_access(
    secret: str | None, development: bool, bearer: str, host: str, site: str | None, client: str | None
) -> None:
    access = Access(Secret(secret) if secret else None, development)
    headers = {"authorization": bearer, "host": host, **({} if site is None else {"sec-fetch-site": site})}

    allowed = access.allows(headers, client)

    if secret is not None:
        words = bearer.partition(" ")
        assert allowed == (words[0].lower() == "bearer" and words[2].strip(" \t") == as_sent(secret))
    elif allowed:
        assert development
        assert client in {"127.0.0.1", "::1"}
        assert host.strip().lower().partition(":")[0] in {
            "localhost",
            "127.0.0.1",
        } or host.strip().startswith("[::1]")
