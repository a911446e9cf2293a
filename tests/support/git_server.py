"""A real Git server on loopback: git's own smart HTTP behind a check of the token."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.serving import Handler, serving_http

GIT_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_AUTHOR_NAME": "Author",
    "GIT_AUTHOR_EMAIL": "author@example.com",
    "GIT_COMMITTER_NAME": "Author",
    "GIT_COMMITTER_EMAIL": "author@example.com",
    "PATH": os.environ.get("PATH", ""),
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=GIT_ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


class Upstream:
    """A bare repository and a clone that another user works in."""

    def __init__(self, root: Path, name: str = "content") -> None:
        root.mkdir(exist_ok=True)
        self.bare = root / f"{name}.git"
        self.work = root / f"{name}-work"
        git(root, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(self.bare, "config", "http.receivepack", "true")
        git(root, "init", "-q", "-b", "main", str(self.work))
        git(self.work, "remote", "add", "origin", str(self.bare))

    def commit(self, files: dict[str, str | bytes | None], *, push: bool = True) -> str:
        """Write files (None removes one), commit and push; the commit's id."""
        for name, text in files.items():
            path = self.work / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", "change")
        if push:
            self.push()
        return git(self.work, "rev-parse", "HEAD")

    def push(self, *options: str) -> None:
        git(self.work, "push", "-q", *options, "origin", "HEAD")

    def pull(self) -> None:
        git(self.work, "fetch", "-q", "origin")
        git(self.work, "reset", "-q", "--hard", "origin/main")


@dataclass
class GitServer:
    """Serves every bare repository below ``root``; ``requests`` are those that came."""

    root: Path
    url: str = ""
    token: str | None = None
    requests: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    break_after: int | None = None
    user: str = "x-access-token"
    redirect_to: str | None = None
    ask_before_redirect: bool = False
    moved: tuple[str, str] | None = None
    silent: threading.Event | None = None
    refuse_push: bool = False


class _Handler(Handler):
    protocol_version = "HTTP/1.1"
    server_state: GitServer

    def _serve(self) -> None:
        state = self.server_state
        state.requests.append(f"{self.command} {self.path}")
        state.authorizations.append(self.headers.get("Authorization"))
        body = self.body()
        if state.silent is not None:
            state.silent.wait(30)
            self.close_connection = True
            return
        if state.ask_before_redirect and self.headers.get("Authorization") is None:
            self.answer(401, b"no", [("WWW-Authenticate", 'Basic realm="git"')])
            return
        if state.moved is not None and self.path.startswith(state.moved[0]):
            self.answer(301, b"", [("Location", state.url + self.path.replace(*state.moved))])
            return
        if state.redirect_to is not None:
            self.answer(301, b"", [("Location", state.redirect_to + self.path)])
            return
        if state.token is not None:
            wanted = "Basic " + base64.b64encode(f"{state.user}:{state.token}".encode()).decode()
            if self.headers.get("Authorization") != wanted:
                self.answer(401, b"no", [("WWW-Authenticate", 'Basic realm="git"')])
                return
        if state.refuse_push and "receive-pack" in self.path:
            self.answer(403, b"read only")
            return
        self._backend(body)

    do_GET = do_POST = _serve

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while length := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return super().body()

    def _backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            **GIT_ENVIRONMENT,
            "GIT_PROJECT_ROOT": str(self.server_state.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        head, _, data = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n") if line)
        status = int(headers.pop("Status", "200").split()[0])
        if self.server_state.break_after is not None and self.command == "POST":
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: self.server_state.break_after])
            self.close_connection = True
            return
        self.answer(status, data, headers.items())


@contextmanager
def serving(root: Path, **state: object) -> Iterator[GitServer]:
    """A server for the block, on a free port."""
    server_state = GitServer(root, **state)  # type: ignore[arg-type]
    handler = type("Handler", (_Handler,), {"server_state": server_state})
    with serving_http(handler) as server_state.url:
        try:
            yield server_state
        finally:
            if server_state.silent is not None:
                server_state.silent.set()
