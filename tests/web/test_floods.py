"""Callers without the secret cannot shut out the one that has it."""

import re
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest

from tests.support.project import Site
from tests.web.conftest import SECRET

UNFINISHED_LOGIN = (
    b"POST /login HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nContent-Length: 9\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nsec"
)
FEW_FILES = ["prlimit", "--nofile=128:128"]


@contextmanager
def serving(site: Site) -> Iterator[tuple[tuple[str, int], list[str]]]:
    """A server that may open few files; what it writes is there once it has ended."""
    site.prefix = FEW_FILES
    site.environment |= {"CRON_SECRET": SECRET, "NODE_ENV": "production"}
    log = site.folder / "log"
    lines: list[str] = []
    with log.open("w") as file:
        process = site.popen("serve", "--port", "0", stderr=file)
    try:
        found = None
        while found is None:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())
            assert process.poll() is None
        yield ("127.0.0.1", int(found[1])), lines
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        lines += log.read_text().splitlines()


def answer(address: tuple[str, int]) -> int:
    headers = {"Authorization": f"Bearer {SECRET}"}
    return httpx2.get(
        f"http://{address[0]}:{address[1]}/api/jobs", headers=headers, timeout=30, trust_env=False
    ).status_code


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /api/jobs HTTP/1.1\r\nHost: loc",
        b"GET /api/jobs HTTP/1.1\r\nHost: a\r\n\r\n",
        UNFINISHED_LOGIN,
    ],
)
def test_silent_connections_do_not_block_others(said: bytes, site: Site) -> None:
    with serving(site) as (address, lines), ExitStack() as held:
        for _ in range(300):
            connection = held.enter_context(socket.create_connection(address, timeout=30))
            connection.sendall(said)
        assert [answer(address) for _ in range(3)] == [200, 200, 200]
    assert not [line for line in lines if "Traceback" in line]
    assert len(lines) < 100


@pytest.mark.slow
def test_refused_requests_fill_no_disk(site: Site) -> None:
    with serving(site) as (address, lines), httpx2.Client(trust_env=False, timeout=30) as client:
        for _ in range(200):
            assert client.get(f"http://{address[0]}:{address[1]}/api/jobs").status_code == 401
        assert answer(address) == 200
    assert 60 <= len(lines) < 80
