"""Whatever jobctl is fed, it answers with what was designed: never a traceback, never a hang, nothing lost.

One file a surface. Each run of the suite tries a few hundred inputs of each; to look longer, and afresh each time:

    JOBCTL_FUZZ=50 python -m pytest tests/fuzz

That is how many times as many. What it finds is kept in ``.hypothesis`` until it is mended; pin it with ``@example``.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.support.fuzzing import TIMES

HERE = Path(__file__).parent
TIMEOUT_S = 120


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """More examples take longer; a large one that fails must be shown and not warned of."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S * TIMES))
            item.add_marker(pytest.mark.filterwarnings("ignore:Generating overly large repr"))


class Answering:
    """A server that answers each connection with ``data``, whatever it is asked."""

    def __init__(self) -> None:
        self.data = b""
        self.asked = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.asked += 1
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(self.data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # else what was not read would cut the answer short
                    pass


@pytest.fixture
def answering() -> Iterator[Answering]:
    """On the loopback."""
    made = Answering()
    yield made
    made.close()


status = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 429 x", b"HTTP/1.1 999 ", b"HTTP/9.9 200", b"HTTP/1.1 -1 x", b"HTTP/1.1 302 F", b"ICY 200", b"HTTP/1.1 " + b"9" * 5000])  # fmt: skip
header = st.sampled_from(
    [b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: " + b"9" * 5000, b"Content-Length: x", b"Transfer-Encoding: chunked",
     b"Retry-After: nan", b"Retry-After: -1", b"Retry-After: Wed, 99 Foo", b"Retry-After: 1e400", b"Location: http://[", b"Location: file:///etc/passwd",
     b"Content-Encoding: gzip", b"A" * 70_000, b"\xff: \xfe", b": ", b" x", b"Set-Cookie: a"]
)  # fmt: skip
body = st.sampled_from([b"", b"ok", b'{"id": 1}', b"[" * 10_000, b"zz\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"9" * 5000, b"\xff", b'"' + b"x" * 100_000])  # fmt: skip
raw_answers = st.builds(
    lambda status, headers, body: b"\r\n".join([status, *headers, b"", body]), status, st.lists(header, max_size=3), body
) | st.binary(max_size=60)  # fmt: skip
"""Nearly HTTP, or nothing like it."""
