"""A real HTTP server that plays a mail provider: checks what the provider demands, and can misbehave."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from tests.support.serving import Handler, serving_http


class Request(NamedTuple):
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class Reply(NamedTuple):
    """What goes out."""

    status: int
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


def _bytes(body: Any) -> bytes:
    """JSON; bytes go out as they are."""
    if isinstance(body, bytes):
        return body
    return b"" if body is None else json.dumps(body).encode()


class Provider:
    """Keeps every request. ``replies`` are given first, one each; then ``rule`` answers.

    ``hang`` never answers until it is set.
    """

    def __init__(self, rule: Callable[[Request], Reply]) -> None:
        self.rule = rule
        self.replies: list[Reply] = []
        self.requests: list[Request] = []
        self.hang: threading.Event | None = None
        self.url = ""


class _Handler(Handler):
    provider: Provider
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        data = self.body()
        request = Request(self.command, self.path, self.lower_headers(), json.loads(data) if data else None)
        self.provider.requests.append(request)
        if self.provider.hang is not None:
            self.provider.hang.wait(30)
        reply = self.provider.replies.pop(0) if self.provider.replies else self.provider.rule(request)
        with suppress(ConnectionError):  # whoever asked did not wait
            headers = [*reply.headers, ("Content-Type", "application/json")]
            self.answer(reply.status, _bytes(reply.body), headers)

    do_GET = do_POST = do_OPTIONS = _serve


@contextmanager
def http_server(rule: Callable[[Request], Reply]) -> Iterator[Provider]:
    """A server for the block, on a free port."""
    provider = Provider(rule)
    handler = type("Handler", (_Handler,), {"provider": provider})
    with serving_http(handler) as provider.url:
        try:
            yield provider
        finally:
            if provider.hang is not None:
                provider.hang.set()


class Resend:
    """Resend's rules, as its API reference has them: https://resend.com/docs/api-reference."""

    KEY = "re_123456789_abcdefgh"

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}

    def __call__(self, request: Request) -> Reply:
        if not request.headers.get("user-agent"):
            return Reply(403, {"statusCode": 403, "name": "forbidden", "message": "1010"})
        if request.headers.get("authorization") != f"Bearer {self.KEY}":
            return Reply(403, {"statusCode": 403, "name": "invalid_api_key", "message": "API key is invalid"})
        if (request.method, request.path) == ("GET", "/domains"):
            return Reply(
                401, {"statusCode": 401, "name": "restricted_api_key", "message": "only send emails"}
            )
        if (request.method, request.path) != ("POST", "/emails"):
            return Reply(404, {"statusCode": 404, "name": "not_found", "message": "no such endpoint"})
        body, key = request.body, request.headers.get("idempotency-key", "")
        fine = isinstance(body["to"], list) and all("@" in one for one in body["to"]) and "@" in body["from"]
        if not fine or not body["subject"] or not (body.get("html") or body.get("text")):
            return Reply(
                422, {"statusCode": 422, "name": "validation_error", "message": "a field is missing"}
            )
        if "unverified.test" in body["from"]:
            said = "The unverified.test domain is not verified"
            return Reply(403, {"statusCode": 403, "name": "validation_error", "message": said})
        if not 1 <= len(key) <= 256:
            return Reply(400, {"statusCode": 400, "name": "invalid_idempotency_key", "message": "1 to 256"})
        if key in self.sent and self.sent[key] != body:
            return Reply(
                409, {"statusCode": 409, "name": "invalid_idempotent_request", "message": "modified"}
            )
        self.sent[key] = body
        return Reply(200, {"id": f"mail-{len(self.sent)}"})


class Novu:
    """Novu's rules, as its API reference has them: https://docs.novu.co/api-reference."""

    KEY = "novu-key-0123456789"

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}
        self.status = "processed"

    def __call__(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"ApiKey {self.KEY}":
            return Reply(401, {"statusCode": 401, "message": "API Key not found"})
        if (request.method, request.path) == ("GET", "/v1/environments/me"):
            return Reply(200, {"data": {"name": "Production"}})
        if (request.method, request.path) != ("POST", "/v1/events/trigger"):
            return Reply(404, {"statusCode": 404, "message": "Cannot find it"})
        body = request.body
        if not body.get("name") or not body["to"].get("subscriberId"):
            return Reply(400, {"statusCode": 400, "message": ["name should not be empty"]})
        if body["name"] == "unknown":
            return Reply(422, {"statusCode": 422, "message": "workflow_not_found"})
        if self.status == "processed":
            self.sent.setdefault(body["transactionId"], body)
        errors = {"error": ["no e-mail"]} if self.status == "error" else {}
        data = {"acknowledged": True, "status": self.status, "transactionId": body["transactionId"], **errors}
        return Reply(201, {"data": data})
