"""A service manager's ear, by sd_notify(3): a datagram socket, and what was said to it."""

import socket
from pathlib import Path
from typing import Self

from tests.support.project import SOON


class Ear:
    """Listens at ``NOTIFY_SOCKET``. ``heard`` holds each message's assignments, oldest first."""

    def __init__(self, address: Path | str) -> None:
        self.address = str(address)
        self.heard: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address.replace("@", "\0", 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def variables(self, patience: float | None = None, pid: int | None = None) -> dict[str, str]:
        """What the manager puts into a service's environment. ``patience`` is the watchdog's interval in seconds."""
        found = {"NOTIFY_SOCKET": self.address}
        if patience is not None:
            found["WATCHDOG_USEC"] = str(round(patience * 1e6))
        if pid is not None:
            found["WATCHDOG_PID"] = str(pid)
        return found

    def next(self, name: str, seconds: float = SOON) -> str:
        """The value of the next message that assigns ``name``; raises ``TimeoutError`` after silence."""
        self._socket.settimeout(seconds)
        while True:
            message = dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())
            self.heard.append(message)
            if name in message:
                return message[name]

    def drain(self) -> None:
        """Forget what has come and was not looked at."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(4096)
        except BlockingIOError:
            pass
