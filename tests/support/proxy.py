"""A TCP proxy that loses connections on demand."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Forwards to a port of this machine. ``cut_at`` loses the connection at a message that holds these bytes.

    ``answer``: the server has got the message and its answer is lost; else the message itself is. ``down``
    refuses every connection after that.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.cut_at: bytes | None = None
        self.answer = True
        self.down = False
        self.flowing = threading.Event()
        self.flowing.set()
        self.cuts = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def hang(self) -> None:
        """Take what is sent, on every connection, and pass nothing on until ``resume``."""
        self.flowing.clear()

    def resume(self) -> None:
        """Pass on what was withheld, and what comes."""
        self.flowing.set()

    def serve(self) -> None:
        """Until ``listening`` is closed."""
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            for pair in ((client, server, True), (server, client, False)):
                thread = threading.Thread(target=self._pump, args=pair, daemon=True)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.flowing.wait()
                if from_client and self.cut_at is not None and self.cut_at in data:
                    self.cut_at = None
                    self.cuts += 1
                    if self.answer:
                        self._silence(sink, source, data)
                    break
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @staticmethod
    def _silence(server: socket.socket, client: socket.socket, data: bytes) -> None:
        """The client is gone before the server knows; the server still handles the message."""
        client.shutdown(socket.SHUT_RDWR)
        server.sendall(data)


@contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    """A proxy on a free port."""
    proxy = Proxy(target)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.resume()
        proxy.listening.shutdown(socket.SHUT_RDWR)
        proxy.listening.close()
        thread.join()
