"""A real HTTP server that plays a mail provider or a monitor: checks what the service demands, and can misbehave."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

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


class Healthchecks:
    """The management API and the pings of healthchecks.io: https://healthchecks.io/docs/api/.

    Attributes:
        checks: what exists, by UUID.
        pings: the ends of the paths of pings, and the run ids, by UUID.
    """

    KEY = "Qw3rTy9876543210asdfGHJK12345678"

    def __init__(self) -> None:
        self.checks: dict[str, dict[str, Any]] = {}
        self.pings: dict[str, list[tuple[str, str]]] = {}
        self.url = ""

    def __call__(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        if parts.path.startswith("/ping/"):
            return self._ping(parts.path.split("/")[2], parts.path, parse_qs(parts.query))
        if request.headers.get("x-api-key") != self.KEY:
            return Reply(401, {"error": "wrong api key"})
        if parts.path != "/api/v3/checks/":
            return Reply(404)
        if request.method == "POST":
            return self._put(request.body)
        slug = parse_qs(parts.query)["slug"][0]
        return Reply(200, {"checks": [check for check in self.checks.values() if check["slug"] == slug]})

    def _ping(self, code: str, path: str, query: dict[str, list[str]]) -> Reply:
        if code not in self.checks:
            return Reply(404)
        self.pings[code].append((path.rpartition(code)[2], query["rid"][0]))
        return Reply(200, b"OK")

    def _put(self, body: dict[str, Any]) -> Reply:
        timing = {"schedule", "tz"} if "schedule" in body else {"timeout"}
        if not body.keys() <= {"name", "slug", "tags", "grace", "unique", "channels"} | timing:
            return Reply(400, {"error": "json validation error"})
        if not all(60 <= body.get(key, 60) <= 31_536_000 for key in ("timeout", "grace")):
            return Reply(400, {"error": "json validation error: grace is too small"})
        found = [code for code, check in self.checks.items() if check["slug"] == body["slug"]]
        code = found[0] if found else f"3f2a91c4-0000-4000-8000-{len(self.checks):012}"
        self.pings.setdefault(code, [])
        kept = {key: value for key, value in self.checks.get(code, {}).items() if key == "channels"}
        self.checks[code] = {**kept, **body, "ping_url": f"{self.url}/ping/{code}"}
        return Reply(200 if found else 201, self.checks[code])


@contextmanager
def healthchecks() -> Iterator[tuple[Healthchecks, Provider]]:
    """A server of healthchecks.io for the block."""
    rules = Healthchecks()
    with http_server(rules) as provider:
        rules.url = provider.url
        yield rules, provider


class Sentry:
    """The check-ins of Sentry's Relay, which creates and updates monitors: ``relay-server/src/endpoints/monitor.rs``.

    Attributes:
        monitors: the definitions, by slug.
        check_ins: slug, id and status.
    """

    KEY = "a1b2c3d4e5f60718293a4b5c6d7e8f90"

    def __init__(self) -> None:
        self.monitors: dict[str, dict[str, Any]] = {}
        self.check_ins: list[tuple[str, str, str]] = []

    def __call__(self, request: Request) -> Reply:
        _, api, project, cron, slug, key, _ = request.path.split("/")
        if (api, project, cron, key) != ("api", "42", "cron", self.KEY) or not request.body:
            return Reply(403, {"detail": "bad sentry DSN public key"})
        config = request.body["monitor_config"]
        schedule = config["schedule"]
        whole = {"crontab": {"value"}, "interval": {"value", "unit"}}[schedule["type"]]
        numbers = [config["checkin_margin"], config["max_runtime"]]
        if schedule.keys() != {"type", *whole} or not all(
            type(one) is int and 1 <= one <= 40_320 for one in numbers
        ):
            return Reply(400)
        self.monitors[slug] = config
        self.check_ins.append((slug, request.body["check_in_id"], request.body["status"]))
        return Reply(202)
